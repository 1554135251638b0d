package rlimit

import (
	"os/exec"
	"slices"
	"testing"

	"golang.org/x/sys/unix"

	"jacamar-ci/test/harness/testutil"
)

// TestShortages sets each limit of another process to what is needed, and then to one less.
func TestShortages(t *testing.T) {
	cmd := exec.Command("/bin/cat")
	stdin, err := cmd.StdinPipe()
	testutil.Must(t, err)
	stdout, err := cmd.StdoutPipe()
	testutil.Must(t, err)
	testutil.Must(t, cmd.Start())
	pid := cmd.Process.Pid
	_, err = stdin.Write([]byte("x"))
	testutil.Must(t, err)
	_, err = stdout.Read(make([]byte, 1)) // execve(2) has ended, which sets the stack limit
	testutil.Must(t, err)
	soft := func(n Need, value uint64) {
		t.Helper()
		resource, ok := resourceNumber(n.Resource)
		var has unix.Rlimit
		if !ok || unix.Prlimit(pid, resource, nil, &has) != nil {
			t.Fatalf("no limit %q", n.Resource)
		}
		if has.Max < value {
			t.Skipf("the hard limit on %s is %d here, below %d", n.What, has.Max, value)
		}
		testutil.Must(t, Limit{n.Resource, Range{true, value, has.Max}}.Set(pid))
	}
	short := func(want ...Shortage) {
		t.Helper()
		if got, err := Shortages(pid); err != nil || !slices.Equal(got, want) {
			t.Errorf("%v %v, want %v", got, err, want)
		}
	}
	for _, n := range Needs() {
		soft(n, n.Least)
	}
	short()
	for _, n := range Needs() {
		soft(n, n.Least-1)
		short(Shortage{n, n.Least - 1})
		soft(n, n.Least)
	}
	testutil.Must(t, stdin.Close())
	testutil.Must(t, cmd.Wait())
	if got, err := Shortages(pid); err == nil {
		t.Errorf("a process that has ended has the shortages %v", got)
	}
}
