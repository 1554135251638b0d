package folder

import (
	"golang.org/x/sys/unix"

	"jacamar-ci/internal/failure"
	"jacamar-ci/internal/job"
)

// Rules are what every directory of a job must be: its user's own, and closed to
// all others, or with Group to all but those of its group, who may read.
type Rules struct {
	Owner job.UID
	Group bool
}

func (r Rules) mode() uint32 {
	if r.Group {
		return 0o750
	}
	return 0o700
}

func (r Rules) judge(path string, st *unix.Stat_t) error {
	if err := r.judgeOwner(path, st); err != nil {
		return err
	}
	if perm := st.Mode & 0o777; perm&^r.mode() != 0 {
		return failure.Systemf("cannot use %s: others may enter it (mode %04o)", path, perm).
			WithHint("make it private: chmod %o %s", r.mode(), path)
	}
	return nil
}

func (r Rules) judgeOwner(path string, st *unix.Stat_t) error {
	switch {
	case st.Mode&unix.S_IFMT != unix.S_IFDIR:
		return failure.Systemf("cannot use %s: it is not a directory", path)
	case st.Uid != uint32(r.Owner):
		return failure.Systemf("cannot use %s: owned by uid %d, not by you (uid %d)", path, st.Uid, r.Owner)
	}
	return nil
}

// judgeParent refuses a directory in which anybody could swap what is in it.
func judgeParent(path string, st *unix.Stat_t) error {
	if st.Mode&0o002 != 0 && st.Mode&unix.S_ISVTX == 0 {
		return failure.Systemf("cannot use a directory in %s: everybody may replace it (mode %04o)", path, st.Mode&0o7777).
			WithHint("tell its administrators: it needs the sticky bit, chmod +t %s", path)
	}
	return nil
}
