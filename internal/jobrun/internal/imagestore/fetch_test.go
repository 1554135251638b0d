package imagestore

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"jacamar-ci/internal/failure"
	"jacamar-ci/internal/image"
	"jacamar-ci/internal/job"
	"jacamar-ci/internal/joblog"
	"jacamar-ci/internal/jobrun/internal/container"
	"jacamar-ci/test/harness/testutil"
)

// TestPlace: an image that is one file has a directory of its own.
func TestPlace(t *testing.T) {
	s := store(t, &registry{}, &bytes.Buffer{})
	for form, want := range map[container.Format]string{
		container.Squashfs: "/name/file", container.SIF: "/name/file", container.Directory: "/name", container.Store: "/name",
	} {
		p, err := s.place(form, "name")
		if got := strings.TrimPrefix(p.Path.String(), s.Dir.Path().String()); got != want || p.Form != form || err != nil {
			t.Errorf("%s: %s (%v), want %s", form, got, err, want)
		}
	}
}

// TestFileSize: only an image that is one file has the size of its path.
func TestFileSize(t *testing.T) {
	dir := t.TempDir()
	testutil.Must(t, os.WriteFile(dir+"/file", make([]byte, 1000), 0o600))
	for path, want := range map[string]int64{dir + "/file": 1000, dir: 0, dir + "/missing": 0} {
		if got := fileSize(testutil.AbsPath(t, path)); got != want {
			t.Errorf("%s: %d, want %d", path, got, want)
		}
	}
}

// TestSuffix: images of one name have different suffixes: parts of their digests, or the jobs
// that fetched them.
func TestSuffix(t *testing.T) {
	f := fetching{Store: Store{Job: "r-1"}}
	for digest, want := range map[string]string{"sha256:0123456789abcdef0123": "0123456789abcdef", "": "r-1", "unknown": "r-1"} {
		if got := f.suffix(digest); got != want {
			t.Errorf("%q: %q, want %q", digest, got, want)
		}
	}
}

// TestDescribeFails: a description that fails is a failure of the resource with its reason, a
// configuration that is none is one of the image.
func TestDescribeFails(t *testing.T) {
	for name, tt := range map[string]struct {
		reply container.Reply
		kind  failure.Kind
		text  string
	}{
		"the engine fails":  {container.Reply{Code: 125, Stderr: "Error: cannot read the store"}, failure.System, "cannot read the store"},
		"it does not start": {container.Reply{Err: errors.New("no such file"), Code: 1, Stderr: "other"}, failure.System, "no such file"},
		"no description":    {container.Reply{Stdout: "text"}, failure.System, "cannot read the configuration"},
	} {
		s := store(t, &registry{}, &bytes.Buffer{})
		s.Run = func(context.Context, container.Command, []*os.File) container.Reply { return tt.reply }
		f := fetching{Store: s, request: busybox(t)}
		if _, err := f.describe(t.Context(), container.Place{}); failure.KindOf(err) != tt.kind || !strings.Contains(err.Error(), tt.text) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestFullPlace: an engine that had no space names the file, or the full file system shows
// where it was. Otherwise a quota is among the images, and the lesser space is the reason.
func TestFullPlace(t *testing.T) {
	s := store(t, &registry{}, &bytes.Buffer{})
	small, full := smallDisk(t), smallDisk(t)
	testutil.Must(t, fill(full))
	dir, temp := s.Dir.Path(), s.Temp
	for name, tt := range map[string]struct {
		temp job.AbsPath
		line string
		err  error
		want job.AbsPath
	}{
		"named among the images": {temp, "write " + dir.String() + "/x: no space", unix.ENOSPC, dir},
		"named in the directory": {temp, "write " + temp.String() + "/x: no space", unix.ENOSPC, temp},
		"a full file system":     {full, "no space", unix.ENOSPC, full},
		"full, and a quota":      {full, "quota exceeded", unix.EDQUOT, full},
		"a quota":                {small, "quota exceeded", unix.EDQUOT, dir},
		"one has less space":     {small, "no space", unix.ENOSPC, small},
		"both are the same":      {temp, "no space", unix.ENOSPC, dir},
	} {
		f := fetching{Store: s}
		f.Temp = tt.temp
		if got := f.fullPlace(tt.line, tt.err); got != tt.want.String() {
			t.Errorf("%s: %s, want %s", name, got, tt.want)
		}
	}
}

// smallDisk is a file system of its own.
func smallDisk(t *testing.T) job.AbsPath {
	t.Helper()
	dir := privateDir(t)
	if err := unix.Mount("tmpfs", dir.String(), "tmpfs", 0, "size=1m,mode=700"); err != nil {
		t.Skipf("cannot mount a tmpfs here: %v", err)
	}
	t.Cleanup(func() { _ = unix.Unmount(dir.String(), unix.MNT_DETACH) })
	return dir
}

func fill(dir job.AbsPath) error {
	if err := os.WriteFile(dir.String()+"/large", make([]byte, 2<<20), 0o600); !errors.Is(err, unix.ENOSPC) {
		return errors.Join(errors.New("it is not full"), err)
	}
	return nil
}

// TestAdviceOnLogins: a refused request without a login has another advice than one with a
// login, whose source is named.
func TestAdviceOnLogins(t *testing.T) {
	for source, want := range map[string]string{"": "set the CI variable DOCKER_AUTH_CONFIG", "the runner": "the login is from the runner"} {
		if got := (fetching{source: source}).advice(container.Denied); !strings.Contains(got, want) {
			t.Errorf("%q: %q, want %q", source, got, want)
		}
	}
}

// TestLockFailed: a wait ends with the reason of its end; a file system without locks is named.
func TestLockFailed(t *testing.T) {
	over, cancel := context.WithDeadline(t.Context(), time.Now())
	defer cancel()
	stopped, stop := context.WithCancel(t.Context())
	stop()
	soon, cancelSoon := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancelSoon()
	long, cancelLong := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancelLong()
	for name, tt := range map[string]struct {
		ctx  context.Context
		err  error
		want error
	}{
		"its time is over": {over, unix.EAGAIN, context.DeadlineExceeded},
		"it is over soon":  {soon, unix.EAGAIN, context.DeadlineExceeded},
		"it is stopped":    {stopped, context.Canceled, context.Canceled},
	} {
		if got := lockFailed(tt.ctx, "/x", tt.err); got != tt.want {
			t.Errorf("%s: %v, want %v", name, got, tt.want)
		}
	}
	var f *failure.Error
	if err := lockFailed(long, "/proc/x", unix.ENOLCK); !errors.As(err, &f) || !strings.Contains(f.Hint, "does not support file locks") {
		t.Errorf("%v", err)
	}
}

// TestPolicyOrder: the first policy that succeeds ends the search, and so does the job's end.
func TestPolicyOrder(t *testing.T) {
	var log bytes.Buffer
	r := &registry{digest: "a"}
	s := store(t, r, &log)
	if _, err := get(t, s, image.IfNotPresent, image.Always); err != nil || r.pulls != 1 || strings.Contains(log.String(), "trying") {
		t.Errorf("%v, %d pulls: %s", err, r.pulls, log.String())
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r.reply = container.Reply{Code: 1, Stderr: "Error: no"}
	if _, err := s.Get(ctx, busybox(t), []image.PullPolicy{image.Always, image.Always}); err == nil || strings.Contains(log.String(), "trying") {
		t.Errorf("a stopped job: %v: %s", err, log.String())
	}
}

// TestPresentWaitsForNoOne: an image that is there is used without the lock of its name.
func TestPresentWaitsForNoOne(t *testing.T) {
	var log bytes.Buffer
	r := &registry{digest: "a"}
	s := store(t, r, &log)
	e, err := get(t, s, image.IfNotPresent)
	testutil.Must(t, err)
	lock := reopened(t, s).tryLock(e.key() + lockSuffix)
	defer lock.Close()
	s.Log = joblog.NewWriter(onWrite(func(line string) {
		if strings.Contains(line, "waiting") {
			t.Error(line)
			lock.Close()
		}
	}))
	if again, err := get(t, s, image.IfNotPresent); err != nil || again.Name != e.Name {
		t.Error(err)
	}
}

// TestEntryOfAnotherForm: a file that cannot be parsed as an entry is none, whatever it names.
func TestEntryOfAnotherForm(t *testing.T) {
	s := store(t, &registry{digest: "a"}, &bytes.Buffer{})
	e, err := get(t, s, image.IfNotPresent)
	testutil.Must(t, err)
	path := filepath.Join(s.Dir.Path().String(), e.key()+entrySuffix)
	text, err := os.ReadFile(path)
	testutil.Must(t, err)
	testutil.Must(t, os.WriteFile(path, bytes.Replace(text, []byte(`"size":2500000`), []byte(`"size":"2500000"`), 1), 0o600))
	if got, found := s.find(e.key(), busybox(t)); found {
		t.Errorf("it is found: %+v", got)
	}
}
