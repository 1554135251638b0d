package storage

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"jacamar-ci/test/harness/fakerunner"
	"jacamar-ci/test/harness/site"
	"jacamar-ci/test/harness/testutil"
)

// TestRacer (C1): the job's user replaces each directory of the jobs by a symbolic link
// and restores it, continuously while stages start. The targets of the links do not
// change: no file is written there or removed.
func TestRacer(t *testing.T) {
	starts := int64(1000)
	if testing.Short() {
		starts = 40
	}
	for _, d := range site.Deployments() {
		if d.Name != "root" && d.Name != "user" {
			continue
		}
		t.Run(d.Name, func(t *testing.T) { race(t, d.Open(t), starts) })
	}
}

func race(t *testing.T, s *site.Site, starts int64) {
	base := dataDir(t, s)
	r := s.Runner()
	r.Judge = nil // stages fail here, also cleanups, and the next one continues
	// The runner's own scripts go by paths, as the user: here only the driver may
	// touch anything.
	job := func() fakerunner.Job {
		j := s.Job("true")
		j.Raw = map[string][]byte{}
		for _, stage := range []string{"prepare_script", "get_sources", "build_script", "cleanup_file_variables"} {
			j.Raw[stage] = []byte("true\n")
		}
		return j
	}
	site.Want(t, r.Run(job()), fakerunner.Success, 0)
	outside := filepath.Join(s.Dir, "outside")
	testutil.Must(t, makeTree(outside, s.Account))
	before := snapshot(t, outside)
	racer := &racer{base: base, outside: outside}
	stop := racer.start(s.Account)
	var started, failed int64
	r.Hooks.Ended = func(c fakerunner.Call) {
		started++
		if c.Err != nil {
			failed++
		}
	}
	for deadline := time.Now().Add(4 * time.Minute); started < starts; {
		if r.Run(job()); time.Now().After(deadline) {
			t.Fatalf("%d of %d stages have started in time", started, starts)
		}
	}
	testutil.Must(t, stop())
	t.Logf("%d stages started, %d of them failed; %d swaps", started, failed, racer.swaps.Load())
	if failed == 0 || failed == started || racer.swaps.Load() < starts {
		t.Error("the racer never affected a stage")
	}
	if after := snapshot(t, outside); after != before {
		t.Errorf("outside was\n%s\nand is\n%s", before, after)
	}
	site.Want(t, r.Run(job()), fakerunner.Success, 0)
}

// makeTree creates the targets of the links: owned by the user, with the same structure as
// the directories that they replace, so that only the driver protects them.
func makeTree(dir string, a site.Account) error {
	var errs []error
	for _, path := range []string{"", "000", "t0kenXyz1", "t0kenXyz1/000", "t0kenXyz1/1", "000/group", "000/group/project.tmp", ".trash", "key"} {
		path = filepath.Join(dir, path)
		errs = append(errs, os.MkdirAll(path, 0o700), os.WriteFile(filepath.Join(path, "precious"), []byte("precious"), 0o600),
			os.WriteFile(filepath.Join(path, "lease"), []byte("{}"), 0o600), os.WriteFile(filepath.Join(path, ".claims"), nil, 0o600))
	}
	errs = append(errs, filepath.Walk(dir, func(path string, _ os.FileInfo, err error) error {
		return errors.Join(err, os.Lchown(path, int(a.UID), int(a.GID)))
	}))
	return errors.Join(errs...)
}

// snapshot lists everything below a directory, with mode and time of change.
func snapshot(t *testing.T, dir string) string {
	t.Helper()
	var text strings.Builder
	for _, path := range append([]string{"."}, below(t, dir)...) {
		var st unix.Stat_t
		testutil.Must(t, unix.Lstat(filepath.Join(dir, path), &st))
		fmt.Fprintf(&text, "%s %o %d %d %d\n", path, st.Mode, st.Size, st.Mtim.Nano(), st.Ctim.Nano())
	}
	return text.String()
}

// racer replaces directories of a base by links.
type racer struct {
	base, outside string
	swaps         atomic.Int64
}

// start races as the account until the returned function is called, which restores all
// directories.
func (r *racer) start(a site.Account) (stop func() error) {
	over, ended := make(chan struct{}), make(chan error, 1)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends with the goroutine
		if os.Geteuid() == 0 {
			if err := errors.Join(unix.Setfsgid(int(a.GID)), unix.Setfsuid(int(a.UID))); err != nil {
				ended <- err
				return
			}
		}
		ended <- r.run(over)
	}()
	return func() error {
		close(over)
		return <-ended
	}
}

func (r *racer) run(over <-chan struct{}) error {
	link := filepath.Join(filepath.Dir(r.base), "link-of-the-racer")
	if err := os.Symlink(r.outside, link); err != nil {
		return err
	}
	for {
		for _, dir := range r.directories() {
			select {
			case <-over:
				return os.Remove(link)
			default:
			}
			r.swap(dir, link)
		}
	}
}

// swap replaces a directory by the link for a moment.
func (r *racer) swap(dir, link string) {
	if unix.Renameat2(unix.AT_FDCWD, dir, unix.AT_FDCWD, link, unix.RENAME_EXCHANGE) != nil {
		return
	}
	r.swaps.Add(1)
	for range 50 {
		runtime.Gosched()
	}
	for unix.Renameat2(unix.AT_FDCWD, dir, unix.AT_FDCWD, link, unix.RENAME_EXCHANGE) != nil {
		if _, err := os.Lstat(dir); err != nil { // removed meanwhile, link and all
			_ = os.Rename(link, dir)
			_ = os.Symlink(r.outside, link)
			return
		}
	}
}

// directories are those that can be replaced now.
func (r *racer) directories() (dirs []string) {
	for _, pattern := range []string{
		"builds", "builds/*", "builds/*/000", "builds/.trash", "builds/*/.claims",
		"scripts", "scripts/*", "scripts/*/*", "scripts/*/*/lease", "scripts/.trash", "cache",
	} {
		found, _ := filepath.Glob(filepath.Join(r.base, pattern))
		dirs = append(dirs, found...)
	}
	return dirs
}
