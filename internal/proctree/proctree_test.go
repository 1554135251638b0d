package proctree

import (
	"os"
	"os/exec"
	"slices"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func sleeper(t *testing.T, argv ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(argv[0], argv[1:]...)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	return cmd
}

func TestFindAndGone(t *testing.T) {
	cmd := sleeper(t, "sleep", "1000")
	p, ok := Find(cmd.Process.Pid)
	if !ok || p.Start == 0 || p.Boot == "" {
		t.Fatalf("found %+v, %v", p, ok)
	}
	if p.Gone() {
		t.Error("a live process counts as gone")
	}
	other := p
	other.Start++
	if !other.Gone() {
		t.Error("another process with the same pid counts as this one")
	}
	other = p
	other.Boot = "another boot"
	if !other.Gone() {
		t.Error("a process of another boot counts as live")
	}
	for name, unknown := range map[string]Process{"no pid": {}, "no boot": {PID: p.PID, Start: 1}} {
		if unknown.Gone() {
			t.Errorf("%s: what cannot be known counts as gone", name)
		}
	}
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	if !p.Gone() {
		t.Error("an ended process counts as live")
	}
	if err := p.Signal(unix.SIGTERM); err != nil {
		t.Errorf("signalling an ended process: %v", err)
	}
}

func TestSignalSparesAStranger(t *testing.T) {
	cmd := sleeper(t, "sleep", "1000")
	p, _ := Find(cmd.Process.Pid)
	stranger := p
	stranger.Start++
	if err := stranger.Signal(unix.SIGKILL); err != nil || p.Gone() {
		t.Fatalf("a stranger was hit (%v)", err)
	}
	if err := p.Signal(unix.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if ws := wait(cmd); ws.Signal() != unix.SIGTERM {
		t.Errorf("ended by %v", ws.Signal())
	}
}

func TestDescendants(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	// Neither shell ends by itself when what it waits for is killed.
	cmd := exec.Command("bash", "-c", "(sleep 1000 & echo; wait; exec sleep 1000) & wait; exec sleep 1000")
	cmd.Stdout = w
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	w.Close()
	if _, err := r.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	tree := Descendants(os.Getpid())
	below := Descendants(cmd.Process.Pid)
	if !slices.Contains(tree, cmd.Process.Pid) || len(below) != 2 || !slices.Contains(tree, below[1]) {
		t.Fatalf("of this process %v, of the shell %d %v", tree, cmd.Process.Pid, below)
	}
	for _, pid := range below {
		_ = unix.Kill(pid, unix.SIGKILL)
	}
	Walk(time.Now().Add(time.Minute), func(m Member) {
		if m.PID == cmd.Process.Pid {
			err = m.Signal(unix.SIGKILL)
		}
	})
	if err != nil {
		t.Error(err)
	}
	if ws := wait(cmd); ws.Signal() != unix.SIGKILL {
		t.Errorf("ended by %v", ws.Signal())
	}
}

func wait(cmd *exec.Cmd) syscall.WaitStatus {
	_ = cmd.Wait()
	return cmd.ProcessState.Sys().(syscall.WaitStatus)
}

// A process that no process has waited for yet has ended all the same.
func TestZombieIsGone(t *testing.T) {
	cmd := exec.Command("/bin/cat")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Wait()
	p, ok := Find(cmd.Process.Pid)
	if !ok || p.Gone() {
		t.Fatalf("%+v is alive", p)
	}
	in.Close()
	if err := unix.Waitid(unix.P_PID, p.PID, nil, unix.WEXITED|unix.WNOWAIT, nil); err != nil {
		t.Fatal(err)
	}
	if !p.Gone() {
		t.Error("a zombie counts as alive")
	}
}
