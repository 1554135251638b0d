package testutil

import (
	"os/exec"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
)

// TestWriteProgram writes programs and executes them while other goroutines start programs.
func TestWriteProgram(t *testing.T) {
	var others sync.WaitGroup
	var done atomic.Bool
	for range 4 {
		others.Go(func() {
			for !done.Load() {
				if err := exec.Command("/bin/true").Run(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for range 200 {
		program := filepath.Join(t.TempDir(), "program")
		if err := WriteProgram(program, []byte("#!/bin/sh\n"), 0o700); err != nil {
			t.Error(err)
		} else if err := exec.Command(program).Run(); err != nil {
			t.Errorf("cannot execute it: %v", err)
		}
	}
	done.Store(true)
	others.Wait()
}
