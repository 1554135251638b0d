package schedulers

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"jacamar-ci/test/harness/fakerunner"
	"jacamar-ci/test/harness/site"
)

var jobs atomic.Int64

// newJob is a job whose number no other test of this process has: one real
// cluster keeps the names of all.
func newJob(s *site.Site, script ...string) fakerunner.Job {
	j := s.Job(script...)
	j.ID = 100_000*int64(os.Getpid()) + jobs.Add(1)
	return s.WithClaims(j, s.GitLab.Claims(j, s.User))
}

// allow makes the file for which a script waits in its home, and removes.
func allow(t *testing.T, s *site.Site, name string) {
	t.Helper()
	file := filepath.Join(s.Account.Home, name)
	if err := os.WriteFile(file+".new", nil, 0o666); err != nil {
		t.Fatal(err)
	}
	if os.Geteuid() == 0 {
		if err := os.Chown(file+".new", int(s.Account.UID), int(s.Account.GID)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Rename(file+".new", file); err != nil {
		t.Fatal(err)
	}
}

// awaitText reads until one of the texts has arrived, and then continues to read so that
// the writer never waits.
func awaitText(r io.Reader, texts ...string) error {
	var seen strings.Builder
	buf := make([]byte, 4096)
	for {
		n, err := r.Read(buf)
		seen.Write(buf[:n])
		for _, text := range texts {
			if strings.Contains(seen.String(), text) {
				go func() { _, _ = io.Copy(io.Discard, r) }()
				return nil
			}
		}
		if err != nil {
			return fmt.Errorf("%w before any of %q:\n%s", err, texts, seen.String())
		}
	}
}
