package settings

import (
	"reflect"

	"jacamar-ci/internal/rlimit"
	"jacamar-ci/internal/seccomp"
)

// Confinement are keys of [auth] about what the processes of a job on this host may do
// and have.
type Confinement struct {
	NoNewPrivs bool `toml:"no_new_privs" json:"no_new_privs,omitempty"`
	// SetStackSize raises the soft limit of the stack to the hard one.
	SetStackSize bool    `toml:"set_stack_size" json:"set_stack_size,omitempty"`
	Seccomp      Seccomp `toml:"seccomp" json:"seccomp,omitzero"`
	Limits       Limits  `toml:"limits" json:"limits,omitzero"`
}

// Filter returns the system-call filter of jobs; nil for none. Without no_new_privs an
// account cannot set one (seccomp(2)).
func (c Confinement) Filter() *seccomp.Filter {
	if !c.NoNewPrivs {
		return nil
	}
	return c.Seccomp.Filter()
}

// Seccomp is the table [auth.seccomp].
type Seccomp struct {
	Disabled   bool           `toml:"disabled" json:"disabled,omitempty"`
	BlockAll   bool           `toml:"block_all" json:"block_all,omitempty"`
	BlockCalls []seccomp.Call `toml:"block_calls" json:"block_calls,omitempty"`
	AllowCalls []seccomp.Call `toml:"allow_calls" json:"allow_calls,omitempty"`
}

// Filter returns the filter that the table describes; nil when there is none.
func (s Seccomp) Filter() *seccomp.Filter {
	if s.Disabled {
		return nil
	}
	return &seccomp.Filter{OnlyAllowed: s.BlockAll, Allow: s.AllowCalls, Block: s.BlockCalls}
}

// Limits is the table [auth.limits], with a key for each resource of the package
// rlimit. A range that is not set leaves the runner's own limit.
type Limits struct {
	AS         rlimit.Range `toml:"as" json:"as,omitzero"`
	Core       rlimit.Range `toml:"core" json:"core,omitzero"`
	CPU        rlimit.Range `toml:"cpu" json:"cpu,omitzero"`
	Data       rlimit.Range `toml:"data" json:"data,omitzero"`
	FSize      rlimit.Range `toml:"fsize" json:"fsize,omitzero"`
	Locks      rlimit.Range `toml:"locks" json:"locks,omitzero"`
	MemLock    rlimit.Range `toml:"memlock" json:"memlock,omitzero"`
	MsgQueue   rlimit.Range `toml:"msgqueue" json:"msgqueue,omitzero"`
	Nice       rlimit.Range `toml:"nice" json:"nice,omitzero"`
	NoFile     rlimit.Range `toml:"nofile" json:"nofile,omitzero"`
	NProc      rlimit.Range `toml:"nproc" json:"nproc,omitzero"`
	RSS        rlimit.Range `toml:"rss" json:"rss,omitzero"`
	RTPrio     rlimit.Range `toml:"rtprio" json:"rtprio,omitzero"`
	RTTime     rlimit.Range `toml:"rttime" json:"rttime,omitzero"`
	SigPending rlimit.Range `toml:"sigpending" json:"sigpending,omitzero"`
	Stack      rlimit.Range `toml:"stack" json:"stack,omitzero"`
}

// Set returns the limits that the table sets.
func (l Limits) Set() (set []rlimit.Limit) {
	v := reflect.ValueOf(l)
	for i := range v.NumField() {
		if r, ok := v.Field(i).Interface().(rlimit.Range); ok && r.IsSet() {
			set = append(set, rlimit.Limit{Resource: v.Type().Field(i).Tag.Get("toml"), Range: r})
		}
	}
	return set
}
