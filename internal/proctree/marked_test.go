package proctree

import (
	"bufio"
	"crypto/rand"
	"os/exec"
	"strconv"
	"testing"
	"time"
)

// mark returns a pair that no process of another run of the tests has.
func mark() string { return "JCI_TEST_MARK=t0ken/" + rand.Text() }

// TestEndMarked: the processes with the very pair are ended, with what was detached from
// them, and no others: nor those below a live process of this program.
func TestEndMarked(t *testing.T) {
	const work = `setsid sleep 1000 & echo $!; wait; exit 3`
	start := func(script string, env ...string) *exec.Cmd {
		cmd := exec.Command("/bin/sh", "-c", script)
		cmd.Env = append(env, "PATH=/usr/bin:/bin")
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		if line, err := bufio.NewReader(out).ReadString('\n'); err != nil {
			t.Fatal(line, err)
		}
		return cmd
	}
	pair := mark()
	below := func(env string) *exec.Cmd { return start("env " + env + " sh -c '" + work + "'; exit 4") }
	others := []*exec.Cmd{below(pair + "1"), below("X" + pair), below("A=" + pair), below("A=1"), start(work, pair)}
	ours := below("A=1 " + pair)
	if left := EndMarked(pair, time.Now().Add(-time.Second)); len(left) == 0 {
		t.Error("none was left when the time was over")
	}
	if left := EndMarked(pair, time.Now().Add(time.Hour)); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
	if err := ours.Wait(); err == nil || ours.ProcessState.ExitCode() != 4 {
		t.Errorf("the shell above them ended with %v", err)
	}
	for i, o := range others {
		if kids := Children(o.Process.Pid); len(kids) == 0 {
			t.Errorf("another one, %d, was ended", i)
		}
		KillTree(time.Now().Add(time.Second), func() []int { return []int{o.Process.Pid} })
		_ = o.Wait()
	}
	if left := EndMarked(pair, time.Now().Add(time.Hour)); len(left) > 0 { // a killed one takes its time
		t.Errorf("found again: %v", left)
	}
}

// TestStopMarked: all are stopped before one is killed, unless the time is over.
func TestStopMarked(t *testing.T) {
	pair := mark()
	shell(t, "export "+pair+"; bash -c 'setsid sleep 1000 & echo; wait'; :", ownSessionOf)
	defer EndMarked(pair, time.Now().Add(time.Minute))
	all := marked(pair)
	for len(all) < 2 { // until the sleep is there
		all = marked(pair)
	}
	if n := stopMarked(pair, time.Now()); n != 0 {
		t.Errorf("%d were stopped after the deadline", n)
	}
	if n := stopMarked(pair, time.Now().Add(time.Minute)); n != len(all) {
		t.Errorf("%d were stopped, want %d", n, len(all))
	}
	for _, p := range all {
		for end := time.Now().Add(time.Minute); Look(p.PID).State != 'T'; {
			if time.Now().After(end) {
				t.Fatalf("not stopped: %s", Look(p.PID))
			}
		}
	}
}

// TestEndMarkedComets: each process starts its successor, in a session of its own, and exits.
func TestEndMarkedComets(t *testing.T) {
	pair := mark()
	end := strconv.FormatInt(time.Now().Add(time.Minute).Unix(), 10)
	cmd := exec.Command("/bin/bash", "-c", `for i in {1..20}; do setsid bash -c "$BODY" & done; echo ready; wait`)
	cmd.Env = []string{"PATH=/usr/bin:/bin", pair, "END=" + end, `BODY=(( EPOCHSECONDS > END )) || (eval "$BODY") & exit`}
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil {
		t.Fatal(line, err)
	}
	if left := EndMarked(pair, time.Now().Add(40*time.Second)); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
	for range 100 {
		if left := marked(pair); len(left) > 0 {
			t.Fatalf("there again: %v", left)
		}
	}
	_ = cmd.Wait()
}
