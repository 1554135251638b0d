package process

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestOutputsOfOneFile gives both outputs of a job one open file, as a shell does
// with ">log 2>&1": no line may cover another.
func TestOutputsOfOneFile(t *testing.T) {
	const lines = 2000
	for name, flags := range map[string]int{"written": 0, "appended to": os.O_APPEND} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "log")
			out, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|flags, 0o600)
			if err != nil {
				t.Fatal(err)
			}
			fd, err := unix.Dup(int(out.Fd()))
			if err != nil {
				t.Fatal(err)
			}
			var writers sync.WaitGroup
			var pumps []*Pump
			for stream, to := range []*os.File{out, os.NewFile(uintptr(fd), path)} {
				p, end, err := NewPump(to)
				if err != nil {
					t.Fatal(err)
				}
				pumps = append(pumps, p)
				writers.Go(func() {
					defer end.Close()
					for n := range lines {
						fmt.Fprintf(end, "%d %d %s\n", stream, n, strings.Repeat("x", n%97))
					}
				})
			}
			writers.Wait()
			for _, p := range pumps {
				if err := p.Drain(time.Minute); err != nil {
					t.Error(err)
				}
			}
			seen := map[string]int{}
			f, err := os.Open(path)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			for s := bufio.NewScanner(f); s.Scan(); {
				seen[s.Text()]++
			}
			for stream := range 2 {
				for n := range lines {
					if line := fmt.Sprintf("%d %d %s", stream, n, strings.Repeat("x", n%97)); seen[line] != 1 {
						t.Fatalf("line %d of output %d is there %d times", n, stream, seen[line])
					}
				}
			}
		})
	}
}
