package proctree

import (
	"os"
	"os/exec"
	"runtime"
	"slices"
	"syscall"
	"testing"
)

// TestChildOfAThreadThatEnds: the kernel moves the child of a thread that ends to another
// thread. It is listed at every moment.
func TestChildOfAThreadThatEnds(t *testing.T) {
	for range 150 {
		started := make(chan *exec.Cmd)
		go func() {
			runtime.LockOSThread() // and never unlocks it: the thread ends with the function
			cmd := exec.Command("/bin/sleep", "1000")
			cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
			if err := cmd.Start(); err != nil {
				t.Error(err)
			}
			started <- cmd
		}()
		cmd := <-started
		for range 20 {
			if !slices.Contains(Children(os.Getpid()), cmd.Process.Pid) {
				t.Error("the child is missing")
			}
			if !slices.Contains(Own(), cmd.Process.Pid) {
				t.Error("the child is missing among the own")
			}
		}
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}
}
