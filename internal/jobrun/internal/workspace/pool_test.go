package workspace

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"jacamar-ci/internal/job"
	"jacamar-ci/internal/jobrun/internal/safedir"
)

// opened is a pool in a new directory.
func opened(t testing.TB, dir string) *pool {
	t.Helper()
	f, err := safedir.Base(abs(t, dir), safedir.Rules{Owner: job.UID(os.Geteuid())})
	must(t, err)
	p, err := lock(f, nil)
	must(t, err)
	return p
}

func TestPoolKeepsClaims(t *testing.T) {
	dir := filepath.Join(self(t).Home.String(), "pool")
	p := opened(t, dir)
	if all, err := p.claims(); len(all) != 0 || err != nil {
		t.Errorf("a new one has %v, %v", all, err)
	}
	const count = 20 // more than are read at once
	for n := range count {
		must(t, p.put(n, sample(job.ID(n+1)), ""))
	}
	must(t, p.put(3, reservation{}, ""), p.close())
	p = opened(t, dir)
	defer p.close()
	all, err := p.claims()
	must(t, err)
	if len(all) != count || !all[3].free() || all[count-1].Job != count {
		t.Errorf("%d claims: %+v", len(all), all)
	}
	if c, err := p.claim(5); c.Job != 6 || err != nil {
		t.Errorf("%+v, %v", c, err)
	}
}

// TestLockHoldsOthersOut takes the lock again, by another open file.
func TestLockHoldsOthersOut(t *testing.T) {
	dir := filepath.Join(self(t).Home.String(), "pool")
	p := opened(t, dir)
	file, err := os.OpenFile(filepath.Join(dir, claimsFile), os.O_RDWR, 0)
	must(t, err)
	defer file.Close()
	err = await(file, time.Now().Add(-time.Second))
	if err == nil || !strings.Contains(err.Error(), "another job of yours keeps it") {
		t.Errorf("got %v", err)
	}
	must(t, p.close())
	must(t, await(file, time.Now().Add(-time.Second)))
}

// TestRemovedClaimsFile: a user clears his directories with rm while a job waits
// for the lock.
func TestRemovedClaimsFile(t *testing.T) {
	dir := filepath.Join(self(t).Home.String(), "pool")
	p := opened(t, dir)
	must(t, p.put(0, sample(1), ""), os.Remove(filepath.Join(dir, claimsFile)))
	next := make(chan *pool)
	go func() { next <- opened(t, dir) }()
	second := <-next // does not wait: it is a new file
	if all, err := second.claims(); len(all) != 0 || err != nil {
		t.Errorf("%v, %v", all, err)
	}
	must(t, second.close(), p.close())
}

func TestClaimsFileTakesNoSpaceItDoesNotUse(t *testing.T) {
	dir := filepath.Join(self(t).Home.String(), "pool")
	p := opened(t, dir)
	must(t, p.put(0, sample(1), ""), p.close())
	var st unix.Stat_t
	must(t, unix.Stat(filepath.Join(dir, claimsFile), &st))
	if used := st.Blocks * 512; used > 16<<10 {
		t.Errorf("it takes %d bytes", used)
	}
}

func TestClaimsFileThatIsNone(t *testing.T) {
	for name, plant := range map[string]func(path string) error{
		"directory": func(p string) error { return os.Mkdir(p, 0o700) },
		"link":      func(p string) error { return os.Symlink("/etc/passwd", p) },
		"FIFO":      func(p string) error { return unix.Mkfifo(p, 0o600) },
	} {
		dir := filepath.Join(self(t).Home.String(), "pool")
		must(t, os.Mkdir(dir, 0o700), plant(filepath.Join(dir, claimsFile)))
		f, err := safedir.Base(abs(t, dir), safedir.Rules{Owner: job.UID(os.Geteuid())})
		must(t, err)
		if _, err := lock(f, nil); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestJournal(t *testing.T) {
	a := self(t)
	o := order(t, a, 41)
	o.Brief.Settings.Storage.FileLockDebug = true
	o = configure(t, o)
	prepare(t, o)
	cleanup(t, o)
	text, err := os.ReadFile(filepath.Join(filepath.Dir(o.Brief.Dirs.Builds.String()), journalFile))
	must(t, err)
	var actions []string
	for line := range strings.Lines(string(text)) {
		if !strings.Contains(line, "job 41 of runner t0ken") {
			t.Errorf("the line %q", line)
		}
		actions = append(actions, strings.TrimSpace(line[strings.Index(line, ": ")+2:]))
	}
	if got := strings.Join(actions, ", "); got != "000 claimed, 000 confirmed, 000 is being cleared, 000 released" {
		t.Errorf("it says %s", got)
	}
}
