package seccomp

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// known returns the names of all calls of all architectures.
func known(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob("calls*.go")
	if err != nil || len(files) != 4 {
		t.Fatal(files, err)
	}
	var names []string
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile(`\{"(\w+)", unix`).FindAllStringSubmatch(string(text), -1) {
			names = append(names, m[1])
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

func TestFamiliesNameRealCalls(t *testing.T) {
	names := known(t)
	for _, f := range families {
		for _, name := range strings.Fields(f.calls + " " + f.also) {
			if !slices.Contains(names, name) {
				t.Errorf("no architecture has %q", name)
			}
		}
	}
}

// TestUnknownCallRefusesTheRing: what this architecture lacks adds nothing to the list.
func TestUnknownCallRefusesTheRing(t *testing.T) {
	var names []string
	for _, c := range (Filter{Block: []Call{{name: "no_such_call"}}}).Refused() {
		names = append(names, c.name)
	}
	if got := strings.Join(names, " "); got != ringCalls {
		t.Errorf("%q is refused, want %q", got, ringCalls)
	}
}

// refusedBy returns what a list of one call refuses.
func refusedBy(name string, t *testing.T) (names []string) {
	t.Helper()
	c, err := ParseCall(name)
	if err != nil {
		return nil
	}
	for _, c := range (Filter{Block: []Call{c}}).Refused() {
		names = append(names, c.name)
	}
	return names
}

// TestMemberRefusesFamily checks the verdicts of the compiled program: each member is
// refused when any other is named.
func TestMemberRefusesFamily(t *testing.T) {
	for _, f := range families {
		for _, named := range strings.Fields(f.calls) {
			c, err := ParseCall(named)
			if err != nil {
				continue // of another architecture
			}
			program := Filter{Block: []Call{c}}.Program()
			for _, member := range strings.Fields(f.calls + " " + f.also + " " + ringCalls) {
				m, err := ParseCall(member)
				if err != nil {
					continue
				}
				want := refused
				if member == "clone3" {
					want = absent
				}
				if got := decide(t, program, system{arch: nativeArch, number: m.number}); got != want {
					t.Errorf("%s is named: the verdict of %s is %#x", named, member, got)
				}
			}
		}
	}
}

// TestAlsoIsOneWay: naming a more general call does not refuse the special ones.
func TestAlsoIsOneWay(t *testing.T) {
	for named, spared := range map[string]string{
		"unlinkat": "rmdir", "prlimit64": "ptrace", "process_vm_readv": "ptrace", "open_by_handle_at": "open", "socket": "connect", "sendto": "connect",
	} {
		if slices.Contains(refusedBy(named, t), spared) {
			t.Errorf("%s is named, and %s refused", named, spared)
		}
	}
}

// TestRelativesByName: a call with the name of another and one of the kernel's
// suffixes for newer calls is of the same family or is listed as unrelated.
func TestRelativesByName(t *testing.T) {
	different := strings.Fields("lock mount stat time times")
	names := known(t)
	for _, name := range names {
		for _, relative := range relatives(name) {
			if !slices.Contains(names, relative) || slices.Contains(different, name) && !sameFamily(name, relative) {
				continue
			}
			if !sameFamily(name, relative) {
				t.Errorf("%s and %s are of no family", name, relative)
			}
		}
	}
}

// relatives are the names that a newer or wider form of a call may have.
func relatives(name string) (all []string) {
	for _, prefix := range []string{"", "f", "l", "p", "rt_", "new", "_new", "old", "u", "_l", "clock_"} {
		for _, suffix := range []string{"", "at", "at2", "2", "3", "4", "6", "64", "v", "v2", "1", "_time64", "info", "_fd"} {
			if prefix+suffix != "" {
				all = append(all, prefix+name+suffix)
			}
		}
	}
	return all
}

func sameFamily(a, b string) bool {
	return slices.ContainsFunc(families[:], func(f family) bool {
		all := strings.Fields(f.calls + " " + f.also)
		return slices.Contains(all, a) && slices.Contains(all, b)
	})
}

func TestRings(t *testing.T) {
	block := []Call{call(t, "ptrace")}
	for _, name := range strings.Fields(ringCalls) {
		ring := call(t, name)
		for what, c := range map[string]struct {
			filter Filter
			want   uint32
		}{
			"without a list":   {Filter{}, permitted},
			"with a list":      {Filter{Block: block}, refused},
			"wanted":           {Filter{Block: block, Allow: []Call{ring}}, permitted},
			"spared":           {Filter{Block: block}.WithAllowed([]Call{ring}), permitted},
			"under block_all":  {Filter{OnlyAllowed: true}, refused},
			"allowed under it": {Filter{OnlyAllowed: true, Allow: []Call{ring}}, permitted},
		} {
			if got := decide(t, c.filter.Program(), system{arch: nativeArch, number: ring.number}); got != c.want {
				t.Errorf("%s, %s: %#x", name, what, got)
			}
		}
	}
}

// TestNewerCalls: with a list, calls newer than the table fail with ENOSYS.
func TestNewerCalls(t *testing.T) {
	last := newestNumber()
	for _, c := range allCalls() {
		if c.number > last {
			t.Errorf("%s is %d, above %d", c.name, c.number, last)
		}
	}
	block := Filter{Block: []Call{call(t, "bpf")}}.Program()
	for number, want := range map[uint32]uint32{last: permitted, last + 1: absent, last + 1000: absent} {
		if got := decide(t, block, system{arch: nativeArch, number: number}); got != want {
			t.Errorf("call %d, of %d: %#x", number, last, got)
		}
	}
	if got := decide(t, Filter{}.Program(), system{arch: nativeArch, number: last + 1}); got != permitted {
		t.Errorf("without a list: %#x", got)
	}
}

func TestGuards(t *testing.T) {
	for _, c := range []struct {
		named, call string
		args        [6]uint64
		want        uint32
	}{
		{"connect", "sendto", [6]uint64{3, 0, 0, unix.MSG_FASTOPEN}, refused},
		{"connect", "sendto", [6]uint64{3, 0, 0, unix.MSG_FASTOPEN | unix.MSG_DONTWAIT}, refused},
		{"connect", "sendto", [6]uint64{3, 0, 0, unix.MSG_DONTWAIT}, permitted},
		{"connect", "sendto", [6]uint64{unix.MSG_FASTOPEN, 0, unix.MSG_FASTOPEN, 0}, permitted},
		{"connect", "sendmsg", [6]uint64{3, 0, unix.MSG_FASTOPEN}, refused},
		{"connect", "sendmsg", [6]uint64{3, 0, 0, unix.MSG_FASTOPEN}, permitted},
		{"connect", "sendmmsg", [6]uint64{3, 0, 1, unix.MSG_FASTOPEN}, refused},
		{"connect", "sendmmsg", [6]uint64{3, 0, unix.MSG_FASTOPEN, 0}, permitted},
		{"bind", "sendto", [6]uint64{3, 0, 0, unix.MSG_FASTOPEN}, permitted},
		{"unshare", "clone", [6]uint64{unix.CLONE_NEWUSER | uint64(unix.SIGCHLD)}, refused},
		{"unshare", "clone", [6]uint64{unix.CLONE_NEWNET}, refused},
		{"unshare", "clone", [6]uint64{unix.CLONE_NEWNS}, refused},
		{"unshare", "clone", [6]uint64{unix.CLONE_NEWPID}, refused},
		{"unshare", "clone", [6]uint64{unix.CLONE_VM | unix.CLONE_VFORK | uint64(unix.SIGCHLD)}, permitted},
		{"unshare", "clone3", [6]uint64{1, 2}, absent},
		{"unshare", "fork", [6]uint64{}, permitted},
		{"setns", "clone3", [6]uint64{}, permitted},
		{"seccomp", "prctl", [6]uint64{unix.PR_SET_SECCOMP}, refused},
		{"seccomp", "prctl", [6]uint64{unix.PR_GET_SECCOMP}, permitted},
		{"seccomp", "prctl", [6]uint64{unix.PR_SET_SECCOMP | 1}, permitted},
	} {
		m, err := ParseCall(c.call)
		if err != nil {
			continue // arm64 has no fork
		}
		program := Filter{Block: []Call{call(t, c.named)}}.Program()
		if got := decide(t, program, system{arch: nativeArch, number: m.number, args: c.args}); got != c.want {
			t.Errorf("%s is named: %s with %#x: %#x, want %#x", c.named, c.call, c.args, got, c.want)
		}
	}
}

// TestGuardsYieldToLists: a call that is allowed by name is allowed with all
// arguments, and a refused one is refused with all.
func TestGuardsYieldToLists(t *testing.T) {
	block := []Call{call(t, "unshare"), call(t, "connect"), call(t, "sendmsg")}
	f := Filter{Block: block, Allow: []Call{call(t, "clone"), call(t, "clone3")}}
	for name, want := range map[string]uint32{"clone": permitted, "clone3": permitted, "sendmsg": refused, "unshare": refused} {
		s := system{arch: nativeArch, number: call(t, name).number, args: [6]uint64{1<<32 - 1, 1<<32 - 1, 0}}
		if got := decide(t, f.Program(), s); got != want {
			t.Errorf("%s: %#x, want %#x", name, got, want)
		}
	}
}

// TestGuardKeepsNumber: a guard leaves the number of the call loaded.
func TestGuardKeepsNumber(t *testing.T) {
	f := Filter{Block: []Call{call(t, "connect"), call(t, "unshare"), call(t, "seccomp")}}
	harmless := [6]uint64{}
	for _, g := range guards {
		if got := decide(t, f.Program(), system{arch: nativeArch, number: call(t, g.call).number, args: harmless}); got != permitted && g.call != "clone3" {
			t.Errorf("%s without the flag: %#x", g.call, got)
		}
	}
}

func TestMissingEssentials(t *testing.T) {
	all := strings.Fields(essential)
	var everything []Call
	for _, name := range all {
		everything = append(everything, call(t, name))
	}
	for name, c := range map[string]struct {
		filter Filter
		want   string
	}{
		"no list":             {Filter{}, ""},
		"harmless":            {Filter{Block: []Call{call(t, "ptrace")}}, ""},
		"by its name":         {Filter{Block: []Call{call(t, "execve")}}, "execve"},
		"by another":          {Filter{Block: []Call{call(t, "clone3")}}, "clone"},
		"spared":              {Filter{Block: []Call{call(t, "clone3")}, Allow: []Call{call(t, "clone")}}, ""},
		"only some":           {Filter{OnlyAllowed: true, Allow: everything[1:]}, all[0]},
		"all that it takes":   {Filter{OnlyAllowed: true, Allow: everything}, ""},
		"blocked and unknown": {Filter{Block: []Call{call(t, "openat2"), call(t, "readv")}}, "openat read"},
	} {
		if got := strings.Join(c.filter.MissingEssentials(), " "); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

func TestWithAllowedCopies(t *testing.T) {
	f := Filter{Block: []Call{call(t, "ptrace")}, Allow: make([]Call, 0, 4)}
	f.WithAllowed([]Call{call(t, "bpf")}).WithAllowed([]Call{call(t, "read")})
	if len(f.Allow) != 0 || len(f.Allow[:1:1]) == 1 && f.Allow[:1][0] != (Call{}) {
		t.Errorf("%+v", f)
	}
}
