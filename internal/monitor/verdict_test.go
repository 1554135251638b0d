package monitor

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"jacamar-ci/internal/failure"
	"jacamar-ci/internal/ipc"
	"jacamar-ci/internal/proctree"
)

func TestVerdict(t *testing.T) {
	hello := ipc.Hello{PID: 42, Processes: 64}
	one := leftError{all: []proctree.Sight{{PID: 7, Name: "sleep", State: 'S', UID: 1000}}}
	waits := leftError{all: []proctree.Sight{{PID: 7, Name: "jacamar", State: 'D', UID: 1000}}}
	build := ipc.Result{Kind: "build", Code: 7, Reason: "exit 7"}
	system := ipc.Result{Kind: "system", Reason: "storage"}
	killed, exited := unix.WaitStatus(9), unix.WaitStatus(2<<8)
	crash := &ipc.CrashError{Text: "runtime stack:\nruntime.throw({0x69a670?, 0x1a6cc77c9d88?})\n\truntime/panic.go:1229 +0x48\nruntime.newosproc(0x1a6cc787e008)"}
	for name, c := range map[string]struct {
		v    verdict
		kind failure.Kind
		user string // what the user reads, "" for success
		full string // part of what the operator reads
	}{
		"success":                       {verdict{hello: hello}, failure.System, "", ""},
		"build failure":                 {verdict{last: outcome{result: build}}, failure.Build, "exit 7", "exit 7"},
		"stopped success":               {verdict{stopped: true}, failure.System, "the job was stopped by the runner", ""},
		"stopped build failure":         {verdict{last: outcome{result: build}, stopped: true}, failure.Build, "exit 7", ""},
		"stopped without a result":      {verdict{last: outcome{err: io.EOF}, stopped: true}, failure.System, "the job was stopped by the runner", ""},
		"success that leaves one":       {verdict{left: one}, failure.System, "processes of the job could not be ended: sleep (pid 7, state S, uid 1000)", ""},
		"build failure leaves one":      {verdict{last: outcome{result: build}, left: one}, failure.Build, "exit 7", ""},
		"system failure leaves one":     {verdict{last: outcome{result: system}, left: waits}, failure.System, "storage", ""},
		"no result, and one is left":    {verdict{last: outcome{err: io.EOF}, left: waits}, failure.System, "processes of the job could not be ended: jacamar (pid 7, state D, uid 1000)", ""},
		"stopped, and one is left":      {verdict{last: outcome{err: io.EOF}, left: one, stopped: true}, failure.System, "the job was stopped by the runner", ""},
		"killed":                        {verdict{last: outcome{err: io.EOF}, hello: hello, status: killed}, failure.System, "jacamar, which runs the job, was killed by signal 9 (SIGKILL)", ""},
		"killed, and a reset":           {verdict{last: outcome{err: syscall.ECONNRESET}, hello: hello, status: killed}, failure.System, "jacamar, which runs the job, was killed by signal 9 (SIGKILL)", ""},
		"ended by force":                {verdict{last: outcome{err: io.EOF}, hello: hello, status: killed, forced: true}, failure.System, "this CI resource could not run the job", "closed its conversation"},
		"killed before its hello":       {verdict{last: outcome{err: io.EOF}, status: killed}, failure.System, "this CI resource could not run the job", "jacamar ended without a result"},
		"ended with a status":           {verdict{last: outcome{err: io.EOF}, hello: hello, status: exited}, failure.System, "this CI resource could not run the job", "jacamar ended without a result (exit status 2)"},
		"ended well without a result":   {verdict{last: outcome{err: io.EOF}, hello: hello}, failure.System, "this CI resource could not run the job", "jacamar ended without a result"},
		"with early words":              {verdict{last: outcome{err: io.EOF}, status: exited, early: "sudo: no\n"}, failure.System, "this CI resource could not run the job", "jacamar ended without a result (exit status 2): sudo: no"},
		"nonsense":                      {verdict{last: outcome{err: errors.New("odd")}, hello: hello}, failure.System, "this CI resource could not run the job", "jacamar, which runs the job, failed: odd"},
		"no thread":                     {verdict{last: outcome{err: crash, tasks: 64}, hello: hello}, failure.System, "no more processes or threads can be started as your account: it has 64, and its limit is 64 (RLIMIT_NPROC, ulimit -u)", "newosproc"},
		"a signal that ends by a crash": {verdict{last: outcome{err: &ipc.CrashError{Text: "SIGQUIT: quit\nPC=0x1 m=0 sigcode=0\nruntime.newosproc(0x1)"}}, hello: hello}, failure.System, "jacamar, which runs the job, was killed by signal 3 (SIGQUIT)", ""},
		"a crash with a signal's name":  {verdict{last: outcome{err: &ipc.CrashError{Text: "fatal error: SIGQUIT: x"}}, hello: hello}, failure.System, "this CI resource could not run the job", "jacamar crashed: fatal error: SIGQUIT: x"},
		"another crash":                 {verdict{last: outcome{err: &ipc.CrashError{Text: "panic: x"}}, hello: hello}, failure.System, "this CI resource could not run the job", "jacamar crashed: panic: x"},
	} {
		t.Run(name, func(t *testing.T) {
			err := c.v.err()
			if (err == nil) != (c.user == "") || failure.KindOf(err) != c.kind {
				t.Fatalf("it is %v", err)
			}
			if err == nil {
				return
			}
			if line, _ := failure.ForUser(err, false, ""); line != c.user {
				t.Errorf("the user reads %q, want %q", line, c.user)
			}
			if !strings.Contains(err.Error(), c.full) {
				t.Errorf("the operator reads %q, want %q", err, c.full)
			}
		})
	}
}

func TestHintNamesStorage(t *testing.T) {
	for state, want := range map[byte]bool{'D': true, 'S': false} {
		err := verdict{left: leftError{all: []proctree.Sight{{PID: 7, Name: "x", State: 'S'}, {PID: 8, Name: "y", State: state}}}}.err()
		if _, hint := failure.ForUser(err, false, ""); strings.Contains(hint, "storage") != want {
			t.Errorf("state %c: %q", state, hint)
		}
	}
}

func TestIsCrowded(t *testing.T) {
	for early, want := range map[string]bool{
		"": false, "sorry": false,
		"runtime: failed to create new OS thread (have 2 already; errno=11)\nruntime: may": true, // cut
		"fatal error: newosproc": true,
		"runtime: failed to create new OS thread (have 2 already; errno=11)\nruntime: may need to increase max user processes (ulimit -u)\nfatal error: newosproc": true,
		"sudo: unable to execute /opt/jacamar/bin/jacamar: Resource temporarily unavailable":                                                                       true,
		"sudo: unable to fork: Resource temporarily unavailable":                                                                                                   true,
	} {
		if got := isCrowded(early); got != want {
			t.Errorf("%q: %v", early, got)
		}
	}
}

func TestLeftNamesSome(t *testing.T) {
	var l leftError
	for n := range shown + 2 {
		l.all = append(l.all, proctree.Sight{PID: 100 + n, Name: "x", State: 'S', UID: -1})
	}
	for n, want := range map[int]string{
		1:         "processes of the job could not be ended: x (pid 100, state S)",
		2:         "processes of the job could not be ended: x (pid 100, state S), x (pid 101, state S)",
		shown:     "processes of the job could not be ended: x",
		shown + 2: fmt.Sprintf("x (pid %d, state S), 2 more", 100+shown-1),
	} {
		got := leftError{all: l.all[:n]}.Error()
		if !strings.Contains(got, want) || strings.Contains(got, "more") != (n > shown) {
			t.Errorf("%d: %q, want %q", n, got, want)
		}
	}
	l.all, l.account = l.all[:1], errors.New("sudo refused")
	if got := l.Error(); !strings.HasSuffix(got, " (sudo refused)") {
		t.Errorf("%q", got)
	}
}
