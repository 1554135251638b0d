package config

import (
	"reflect"
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
	for _, m := range least {
		m.Hard = rlimit.Unlimited
		if _, err := parse(minimal + "[auth.limits]\n" + m.Resource + " = \"" + m.Range.String() + "\"\n"); err != nil {
			t.Error(err)
		}
		m.Soft--
		if _, err := parse(minimal + "[auth.limits]\n" + m.Resource + " = \"" + m.Range.String() + "\"\n"); err == nil {
			t.Errorf("%v was accepted", m)
		}
	}
}
