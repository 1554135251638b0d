package job

// Account is a local account as the name service describes it (passwd(5),
// initgroups(3)).
type Account struct {
	Name   Username `json:"name"`
	UID    UID      `json:"uid"`
	GID    GID      `json:"gid"`
	Groups GIDs     `json:"groups"`
	Home   AbsPath  `json:"home"`
	Shell  AbsPath  `json:"shell"`
}
