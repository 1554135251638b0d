package config

import (
	"fmt"
	"slices"
	"strings"

	"jacamar-ci/internal/rlimit"
	"jacamar-ci/internal/seccomp"
	"jacamar-ci/internal/settings"
)

// checkSeccomp refuses a filter whose effect is not what it seems, and one that the
// kernel would not accept from an ordinary account: it needs no_new_privs (seccomp(2)).
func checkSeccomp(c *Config) (faults []Fault) {
	s := &c.Auth.Seccomp
	for _, k := range []struct {
		name string
		set  bool
	}{{"block_all", s.BlockAll}, {"block_calls", s.BlockCalls != nil}, {"allow_calls", s.AllowCalls != nil}} {
		key := "auth.seccomp." + k.name
		faults = append(faults, when(k.set && s.Disabled, key, "has no effect: the filter is disabled")...)
		faults = append(faults, when(k.set && !c.Auth.NoNewPrivs, key, "needs no_new_privs = true under [auth]")...)
	}
	listed := s.BlockAll || s.BlockCalls != nil
	faults = append(faults, when(!listed && s.AllowCalls != nil, "auth.seccomp.allow_calls", "has no effect without block_all or block_calls")...)
	faults = append(faults, when(s.BlockAll && s.BlockCalls != nil, "auth.seccomp.block_calls", "has no effect: block_all refuses them already")...)
	for _, call := range s.BlockCalls {
		faults = append(faults, when(slices.Contains(s.AllowCalls, call), "auth.seccomp.allow_calls", "names %s, and so does block_calls", call)...)
	}
	return append(faults, startable(*s)...)
}

// startable refuses lists under which no job could start. A call that is blocked blocks
// all of its family.
func startable(s settings.Seccomp) []Fault {
	f := s.Filter()
	if f == nil {
		return nil
	}
	if s.BlockAll && len(s.AllowCalls) == 0 {
		return when(true, "auth.seccomp.allow_calls", "missing: under block_all no program could run without it")
	}
	lacking := strings.Join(f.MissingEssentials(), ", ")
	faults := when(s.BlockAll && lacking != "", "auth.seccomp.allow_calls", "lacks calls without which no job starts: %s", lacking)
	return append(faults, when(!s.BlockAll && lacking != "", "auth.seccomp.block_calls",
		"refuses calls without which no job starts, by their names or by those of calls that do the same: %s: allow_calls can leave them", lacking)...)
}

// least is what jacamar itself needs: it has the limits of the job, as all processes of
// a login have the same.
var least = []rlimit.Limit{
	{Resource: "as", Range: rlimit.Range{Soft: 4 << 30}},
	{Resource: "cpu", Range: rlimit.Range{Soft: 60}},
	{Resource: "data", Range: rlimit.Range{Soft: 512 << 20}},
	{Resource: "fsize", Range: rlimit.Range{Soft: 64 << 20}},
	{Resource: "nofile", Range: rlimit.Range{Soft: 64}},
	{Resource: "nproc", Range: rlimit.Range{Soft: 64}},
	{Resource: "stack", Range: rlimit.Range{Soft: 256 << 10}},
}

func checkLimits(c *Config) (faults []Fault) {
	for _, l := range c.Auth.Limits.Set() {
		for _, m := range least {
			faults = append(faults, when(l.Resource == m.Resource && l.Soft < m.Soft, "auth.limits."+l.Resource,
				"%s is too low: jacamar itself needs %d", l.Range, m.Soft)...)
		}
	}
	return append(faults, when(c.Auth.SetStackSize && c.Auth.Limits.Stack.IsSet(), "auth.set_stack_size",
		"and stack under [auth.limits] contradict each other: remove one")...)
}

// warnConfinement names allowed calls that no list refuses.
func warnConfinement(c *Config) (faults []Fault) {
	s := c.Auth.Seccomp
	for _, call := range s.AllowCalls {
		idle := !s.BlockAll && !slices.Contains(seccomp.Filter{Block: s.BlockCalls}.Refused(), call)
		faults = append(faults, when(idle, "auth.seccomp.allow_calls", "has no effect for %s: block_calls does not refuse it", call)...)
	}
	return faults
}

// number gives an integer of the file the form of text.
func number(value any) any {
	if n, ok := value.(int64); ok {
		return fmt.Sprint(n)
	}
	return value
}
