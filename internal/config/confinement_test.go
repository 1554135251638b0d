package config

import (
	"fmt"
	"reflect"
	"strings"
	"testing"

	"jacamar-ci/internal/rlimit"
	"jacamar-ci/internal/settings"
)

// enough are calls with which a job starts, on every architecture.
const enough = `["chdir", "clone", "close", "dup3", "execve", "exit", "exit_group", "fcntl", "futex", "getppid", "mmap", "mprotect", "munmap",
	"openat", "pipe2", "prctl", "read", "rt_sigaction", "rt_sigprocmask", "rt_sigreturn", "setsid", "wait4", "write", "sched_yield", "ioctl"]`

func TestFilter(t *testing.T) {
	for name, c := range map[string]struct {
		table            string
		none, only       bool
		blocked, allowed int
	}{
		"by default": {"", false, false, 0, 0},
		"disabled":   {"[auth.seccomp]\ndisabled = true\n", true, false, 0, 0},
		"blocking":   {"no_new_privs = true\n[auth.seccomp]\nblock_calls = [\"ptrace\", \"bpf\"]\n", false, false, 2, 0},
		"allowing":   {"no_new_privs = true\n[auth.seccomp]\nblock_all = true\nallow_calls = " + enough + "\n", false, true, 0, 25},
		"sparing":    {"no_new_privs = true\n[auth.seccomp]\nblock_calls = [\"ptrace\"]\nallow_calls = [\"io_uring_setup\"]\n", false, false, 1, 1},
	} {
		t.Run(name, func(t *testing.T) {
			cfg, err := parse(minimal + c.table)
			if err != nil {
				t.Fatal(err)
			}
			f := cfg.Auth.Seccomp.Filter()
			if (f == nil) != c.none {
				t.Fatalf("%+v", f)
			}
			if f != nil && (f.OnlyAllowed != c.only || len(f.Block) != c.blocked || len(f.Allow) != c.allowed) {
				t.Errorf("%+v", f)
			}
		})
	}
}

// TestFilterWithoutEssentials: the fault names the list that has to be changed.
func TestFilterWithoutEssentials(t *testing.T) {
	for table, want := range map[string]string{
		"block_all = true\n":                                     "auth.seccomp.allow_calls: missing",
		"block_all = true\nallow_calls = [\"read\"]\n":           "auth.seccomp.allow_calls: lacks calls without which no job starts: ",
		"block_calls = [\"execve\"]\n":                           "auth.seccomp.block_calls: refuses calls without which no job starts",
		"block_calls = [\"execve\"]\nallow_calls = [\"read\"]\n": "auth.seccomp.block_calls: refuses calls without which no job starts",
	} {
		_, err := parse(minimal + "no_new_privs = true\n[auth.seccomp]\n" + table)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Count(err.Error(), "auth.seccomp") != 1 {
			t.Errorf("%s%v, want %q", table, err, want)
		}
	}
}

// TestEveryLimitIsGiven sets each resource alone and looks for it among those
// that reach the jobs.
func TestEveryLimitIsGiven(t *testing.T) {
	all := reflect.VisibleFields(reflect.TypeFor[settings.Limits]())
	if len(all) != 16 {
		t.Errorf("%d resources, want the 16 of getrlimit(2)", len(all))
	}
	for _, field := range all {
		name := field.Tag.Get("toml")
		c, err := parse(minimal + "[auth.limits]\n" + name + " = \"8G:unlimited\"\n")
		if err != nil {
			t.Error(err)
			continue
		}
		want, err := rlimit.ParseRange("8G:unlimited")
		if got := c.Auth.Limits.Set(); err != nil || !reflect.DeepEqual(got, []rlimit.Limit{{Resource: name, Range: want}}) {
			t.Errorf("%v, want %v alone", got, want)
		}
	}
	c, err := parse(minimal)
	if got := c.Auth.Limits.Set(); err != nil || got != nil {
		t.Errorf("without the table: %v %v", got, err)
	}
}

// TestLeastIsAccepted: the report of a value that is too low names a value that is not.
func TestLeastIsAccepted(t *testing.T) {
	for _, n := range rlimit.Needs() {
		for limit, accepted := range map[uint64]bool{n.Least: true, n.Least - 1: false} {
			_, err := parse(minimal + fmt.Sprintf("[auth.limits]\n%s = \"%d:unlimited\"\n", n.Resource, limit))
			if (err == nil) != accepted {
				t.Errorf("%s = %d: %v", n.Resource, limit, err)
			}
		}
	}
}
