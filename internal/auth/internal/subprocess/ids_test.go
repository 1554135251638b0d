package subprocess

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"jacamar-ci/internal/auth/internal/thread"
	"jacamar-ci/internal/rlimit"
)

func other(t *testing.T) *thread.IDs {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("only root can start a helper with other ids")
	}
	return &thread.IDs{UID: 5001, GID: 5002, Groups: []int{7, 8}}
}

func TestRunAsAnother(t *testing.T) {
	cmd := sh(`grep -E '^(Uid|Gid|Groups|CapPrm|CapInh|CapAmb|NoNewPrivs):' /proc/$$/status | tr -s '\t ' ' '`)
	cmd.As = other(t)
	cmd.NoNewPrivs = true
	got, err := cmd.Run(t.Context())
	want := "Uid: 5001 5001 5001 5001\nGid: 5002 5002 5002 5002\nGroups: 7 8 \nCapInh: 0000000000000000\nCapPrm: 0000000000000000\nCapAmb: 0000000000000000\nNoNewPrivs: 1\n"
	if err != nil || !strings.HasPrefix(string(got.Stdout), want) {
		t.Errorf("%v: %s, want %s", err, got.Stdout, want)
	}
	// The next helper and this process are unchanged.
	got, err = sh(`grep -E '^(Uid|NoNewPrivs):' /proc/$$/status | tr -s '\t ' ' '`).Run(t.Context())
	if want := "Uid: 0 0 0 0\nNoNewPrivs: 0\n"; err != nil || string(got.Stdout) != want {
		t.Errorf("%v: %s, want %s", err, got.Stdout, want)
	}
}

// TestRunEndsAnother: this process may lack the right to signal processes of another
// account, as one with only the capabilities setuid and setgid.
func TestRunEndsAnother(t *testing.T) {
	cmd := sh("trap '' TERM; while :; do sleep 1000; done")
	cmd.As, cmd.Limit = other(t), 300*time.Millisecond
	marker := markOf(t, &cmd)
	if _, err := cmd.Run(t.Context()); !errors.Is(err, TimeoutError{cmd.Limit}) {
		t.Errorf("error %v", err)
	}
	awaitNoneMarked(t, marker)
}

func TestRunCannotTakeIDs(t *testing.T) {
	if os.Geteuid() == 0 {
		t.Skip("root can take every id")
	}
	cmd := sh("echo it ran")
	cmd.As = &thread.IDs{UID: 5001, GID: 5002}
	got, err := cmd.Run(t.Context())
	if start := (StartError{}); !errors.As(err, &start) || !errors.Is(err, unix.EPERM) || len(got.Stdout) > 0 {
		t.Errorf("%v: %q", err, got.Stdout)
	}
}

// limited makes this program run one helper with limits that its caller set.
const limited = "JACAMAR_TEST_LIMITED"

// TestLimits: K1, a limit that could make the output incomplete is a refusal; one
// exactly at the minimum is not.
func TestLimits(t *testing.T) {
	ids := other(t)
	if os.Getenv(limited) != "" {
		cmd := sh("echo it ran")
		cmd.As = ids
		got, err := cmd.Run(t.Context())
		fmt.Printf("\n%s%v\n", got.Stdout, err)
		return
	}
	for _, n := range rlimit.Needs() {
		for limit, ran := range map[uint64]bool{n.Least - 1: false, n.Least: true} {
			cmd := exec.Command("/usr/bin/prlimit", fmt.Sprintf("--%s=%d:", n.Resource, limit), os.Args[0], "-test.run", "^TestLimits$")
			cmd.Env = []string{limited + "=1"}
			out, err := cmd.CombinedOutput()
			if err != nil {
				t.Fatalf("%s=%d: %v: %s", n.Resource, limit, err, out)
			}
			refused := strings.Contains(string(out), fmt.Sprintf("its limit on %s is %d, below %d", n.What, limit, n.Least))
			if strings.Contains(string(out), "\n<nil>\n") != ran || refused == ran {
				t.Errorf("%s=%d: %s", n.Resource, limit, out)
			}
		}
	}
}

// TestLimitsOfAnEndedHelper: they can be read until the helper is reaped.
func TestLimitsOfAnEndedHelper(t *testing.T) {
	ids := other(t)
	cmd := exec.Command("/bin/true")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	awaitExit(cmd.Process.Pid)
	if err := (Command{As: ids}).checkLimits(cmd.Process.Pid); err != nil {
		t.Error(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
	if err := (Command{As: ids}).checkLimits(cmd.Process.Pid); !errors.Is(err, unix.ESRCH) {
		t.Errorf("a helper that is gone: %v", err)
	}
}
