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
func checkSeccomp(c *Config, f *findings) {
	s := &c.Auth.Seccomp
	for _, k := range []struct {
		name string
		set  bool
	}{{"block_all", s.BlockAll}, {"block_calls", s.BlockCalls != nil}, {"allow_calls", s.AllowCalls != nil}} {
		key := "auth.seccomp." + k.name
		f.when(k.set && s.Disabled, key, "has no effect: the filter is disabled")
		f.when(k.set && !c.Auth.NoNewPrivs, key, "needs no_new_privs = true under [auth]")
	}
	listed := s.BlockAll || s.BlockCalls != nil
	f.when(!listed && s.AllowCalls != nil, "auth.seccomp.allow_calls", "has no effect without block_all or block_calls")
	f.when(s.BlockAll && s.BlockCalls != nil, "auth.seccomp.block_calls", "has no effect: block_all refuses them already")
	for _, call := range s.BlockCalls {
		f.when(slices.Contains(s.AllowCalls, call), "auth.seccomp.allow_calls", "names %s, and so does block_calls", call)
	}
	startable(*s, f)
}

// startable refuses lists under which no job could start. A call that is blocked blocks
// all of its family.
func startable(s settings.Seccomp, f *findings) {
	filter := s.Filter()
	if filter == nil {
		return
	}
	switch lacking := strings.Join(filter.MissingEssentials(), ", "); {
	case lacking == "":
	case !s.BlockAll:
		f.fault("auth.seccomp.block_calls",
			"refuses calls without which no job starts, by their names or by those of calls that do the same: %s: allow_calls can leave them", lacking)
	case len(s.AllowCalls) == 0:
		f.fault("auth.seccomp.allow_calls", "missing: under block_all no program could run without it")
	default:
		f.fault("auth.seccomp.allow_calls", "lacks calls without which no job starts: %s", lacking)
	}
}

// checkLimits compares the limits of jobs with what jacamar itself needs: it has them too,
// as all processes of a login have the same.
func checkLimits(c *Config, f *findings) {
	for _, l := range c.Auth.Limits.Set() {
		for _, n := range rlimit.Needs() {
			f.when(l.Resource == n.Resource && l.Soft < n.Least, "auth.limits."+l.Resource,
				"%s is too low: jacamar itself needs %d", l.Range, n.Least)
		}
	}
	f.when(c.Auth.SetStackSize && c.Auth.Limits.Stack.IsSet(), "auth.set_stack_size",
		"and stack under [auth.limits] contradict each other: remove one")
}

// warnConfinement names allowed calls that no list refuses.
func warnConfinement(c *Config, f *findings) {
	s := c.Auth.Seccomp
	for _, call := range s.AllowCalls {
		idle := !s.BlockAll && !slices.Contains(seccomp.Filter{Block: s.BlockCalls}.Refused(), call)
		f.when(idle, "auth.seccomp.allow_calls", "has no effect for %s: block_calls does not refuse it", call)
	}
}

// number gives an integer of the file the form of text.
func number(value any) any {
	if n, ok := value.(int64); ok {
		return fmt.Sprint(n)
	}
	return value
}
