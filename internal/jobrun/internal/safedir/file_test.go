package safedir

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"jacamar-ci/internal/eintr"
	"jacamar-ci/internal/jobrun/internal/diskspace"
	"jacamar-ci/test/harness/testutil"
)

func TestFiles(t *testing.T) {
	top := private(t)
	f := base(t, top, me())
	for _, text := range []string{"one", "two, which is longer", ""} {
		testutil.Must(t, f.Write("a", []byte(text)))
		got, err := f.Read("a", 100)
		if string(got) != text || err != nil {
			t.Errorf("%q, %v", got, err)
		}
	}
	if got := mode(t, filepath.Join(top, "a")); got != 0o600 {
		t.Errorf("the mode is %04o", got)
	}
	if names, err := f.Names(); err != nil || !slices.Equal(names, []string{"a"}) {
		t.Errorf("%v, %v", names, err)
	}
	if _, err := f.Read("missing", 1); err != unix.ENOENT {
		t.Errorf("got %v", err)
	}
	testutil.Must(t, f.Write("a", make([]byte, 11)))
	if _, err := f.Read("a", 10); err == nil || !strings.Contains(err.Error(), "longer than 10 bytes") {
		t.Errorf("got %v", err)
	}
}

func TestCreate(t *testing.T) {
	top := private(t)
	f := base(t, top, me())
	testutil.Must(t, f.Create("a"))
	if text, err := f.Read("a", 0); err != nil || len(text) != 0 {
		t.Errorf("%q, %v", text, err)
	}
	testutil.Must(t, f.Write("a", []byte("text")), f.Create("a"))
	if text, err := f.Read("a", 10); string(text) != "text" || err != nil {
		t.Errorf("%q, %v", text, err)
	}
	testutil.Must(t, os.Mkdir(filepath.Join(top, "dir"), 0o700))
	if err := f.Create("dir"); err == nil || !strings.Contains(err.Error(), filepath.Join(top, "dir")) {
		t.Errorf("a directory of that name: %v", err)
	}
}

// TestFileFollowsNoLink, neither to read nor to write.
func TestFileFollowsNoLink(t *testing.T) {
	outside := filepath.Join(private(t), "precious")
	testutil.Must(t, write(outside))
	for name, plant := range map[string]func(path string) error{
		"link": func(p string) error { return os.Symlink(outside, p) },
		"FIFO": func(p string) error { return unix.Mkfifo(p, 0o600) },
		"dir":  func(p string) error { return os.Mkdir(p, 0o700) },
	} {
		t.Run(name, func(t *testing.T) {
			top := private(t)
			f := base(t, top, me())
			testutil.Must(t, plant(filepath.Join(top, "a")), plant(filepath.Join(top, "b.new")))
			if _, err := f.Read("a", 10); err == nil {
				t.Error("it was read")
			}
			testutil.Must(t, f.Write("b", []byte("evil"))) // in another new file
			if err := f.Write("a", []byte("evil")); (err == nil) == (name == "dir") {
				t.Errorf("written over it: %v", err)
			}
			if text, _ := os.ReadFile(outside); string(text) != "x" {
				t.Errorf("the file outside has %q", text)
			}
		})
	}
}

func TestWriteToAFullDiskKeepsTheOldText(t *testing.T) {
	top := tmpfs(t, "size=64k")
	f := base(t, filepath.Join(top, "base"), me())
	testutil.Must(t, f.Write("a", []byte("old")))
	err := f.Write("a", make([]byte, 1<<20))
	if err == nil || !strings.Contains(err.Error(), "no space left on device") {
		t.Errorf("got %v", err)
	}
	if text, err := f.Read("a", 100); string(text) != "old" || err != nil {
		t.Errorf("%q, %v", text, err)
	}
}

// TestWriteAfterAKilledOne: what killed processes left of a file keeps no other from
// writing it, and goes when no process can be writing it any more.
func TestWriteAfterAKilledOne(t *testing.T) {
	for age, left := range map[time.Duration]string{time.Minute: "a a.7-5.new a.b.new a.new", 2 * temporaryTime: "a a.b.new"} {
		top := private(t)
		f := base(t, top, me())
		leaveTemporary(t, top, age)
		testutil.Must(t, f.Write("a", []byte("whole")))
		if text, err := f.Read("a", 100); string(text) != "whole" || err != nil || list(t, top) != left {
			t.Errorf("after %v: %q, %v; there is %s, want %s", age, text, err, list(t, top), left)
		}
	}
}

func TestRemoveTemporary(t *testing.T) {
	for age, left := range map[time.Duration]string{time.Minute: "a.7-5.new a.b.new", 2 * temporaryTime: "a.b.new"} {
		top := private(t)
		leaveTemporary(t, top, age)
		testutil.Must(t, base(t, top, me()).RemoveTemporary("a", later()))
		if list(t, top) != left {
			t.Errorf("after %v there is %s, want %s", age, list(t, top), left)
		}
	}
}

// leaveTemporary makes what two killed writes of the file a leave, and a file of another.
func leaveTemporary(t *testing.T, top string, age time.Duration) {
	for _, name := range []string{"a.new", "a.7-5.new", "a.b.new"} {
		half := filepath.Join(top, name)
		testutil.Must(t, write(half), os.Chtimes(half, time.Now(), time.Now().Add(-age)))
	}
}

func TestMove(t *testing.T) {
	top := private(t)
	f := base(t, top, me())
	to, err := f.Make("to")
	testutil.Must(t, err)
	defer to.Close()
	testutil.Must(t, os.Mkdir(filepath.Join(top, "a"), 0o700), os.Mkdir(filepath.Join(top, "b"), 0o700))
	testutil.Must(t, f.Move("a", to, "x"))
	if err := f.Move("b", to, "x"); err != unix.EEXIST {
		t.Errorf("to an existing name: %v", err)
	}
	if err := f.Move("a", to, "y"); err != unix.ENOENT {
		t.Errorf("a missing entry: %v", err)
	}
}

func TestIsRemoved(t *testing.T) {
	for err, want := range map[error]bool{
		nil: false, unix.ENOENT: true, unix.ESTALE: true, unix.EACCES: false, unix.EIO: false,
		diskspace.Explain("cannot create x", "/", unix.ESTALE): true,
	} {
		if got := IsRemoved(err); got != want {
			t.Errorf("%v: %v", err, got)
		}
	}
}

func TestIsNamed(t *testing.T) {
	top := private(t)
	f := base(t, top, me())
	testutil.Must(t, f.Write("a", nil))
	file, err := f.File("a", unix.O_RDONLY)
	testutil.Must(t, err)
	defer file.Close()
	if !f.IsNamed("a", file) {
		t.Error("it is not seen")
	}
	testutil.Must(t, f.Write("a", nil))
	if f.IsNamed("a", file) {
		t.Error("another file is taken for it")
	}
	testutil.Must(t, f.Remove("a", later()))
	if f.IsNamed("a", file) {
		t.Error("it is gone")
	}
}

func TestModTime(t *testing.T) {
	top := private(t)
	f := base(t, top, me())
	testutil.Must(t, f.Write("a", nil), os.Chtimes(filepath.Join(top, "a"), time.Time{}, time.Unix(1e9, 0)))
	if got := f.ModTime("a"); got.Unix() != 1e9 || !f.ModTime("b").IsZero() {
		t.Errorf("%v, %v", got, f.ModTime("b"))
	}
}

func TestRemoveEmpty(t *testing.T) {
	top := private(t)
	f := base(t, top, me())
	testutil.Must(t, os.MkdirAll(filepath.Join(top, "full/x"), 0o700), os.Mkdir(filepath.Join(top, "empty"), 0o700), os.Symlink("empty", filepath.Join(top, "link")))
	testutil.Must(t, f.RemoveEmpty("empty"))
	for _, name := range []string{"full", "link", "missing", ".."} {
		if f.RemoveEmpty(name) == nil {
			t.Errorf("%s is gone", name)
		}
	}
	if got := list(t, top); got != "full link" {
		t.Errorf("left is %s", got)
	}
}

// TestFileWithALease: a file server's lease makes a non-blocking open fail until the
// server releases the lease.
func TestFileWithALease(t *testing.T) {
	top := private(t)
	f := base(t, top, me())
	testutil.Must(t, f.Write("a", []byte("text")))
	server, err := os.OpenFile(filepath.Join(top, "a"), os.O_RDWR, 0)
	testutil.Must(t, err)
	defer server.Close()
	if _, err := unix.FcntlInt(server.Fd(), unix.F_SETLEASE, unix.F_WRLCK); err != nil {
		t.Skipf("this file system has no leases: %v", err)
	}
	if _, err := eintr.Openat(f.fd, "a", unix.O_RDONLY|unix.O_NONBLOCK); err != unix.EWOULDBLOCK {
		t.Fatalf("the lease makes an open fail with %v", err)
	}
	time.AfterFunc(100*time.Millisecond, func() { _, _ = unix.FcntlInt(server.Fd(), unix.F_SETLEASE, unix.F_UNLCK) })
	if text, err := f.Read("a", 10); string(text) != "text" || err != nil {
		t.Errorf("%q, %v", text, err)
	}
}

// TestStat: a directory is used when its content changes, anything else also when it is read.
func TestStat(t *testing.T) {
	top := private(t)
	f := base(t, top, me())
	early, late := time.Unix(1e9, 0), time.Unix(2e9, 0)
	for name, tt := range map[string]struct {
		make          func(path string) error
		read, changed time.Time
		want          Entry
	}{
		"a file that was read":         {write, late, early, Entry{Used: late}},
		"a file that was changed":      {write, early, late, Entry{Used: late}},
		"a directory that was listed":  {func(p string) error { return os.Mkdir(p, 0o700) }, late, early, Entry{Dir: true, Used: early}},
		"a directory that was changed": {func(p string) error { return os.Mkdir(p, 0o700) }, early, late, Entry{Dir: true, Used: late}},
	} {
		testutil.Must(t, tt.make(filepath.Join(top, name)), os.Chtimes(filepath.Join(top, name), tt.read, tt.changed))
		if got, err := f.Stat(name); got != tt.want || err != nil {
			t.Errorf("%s: %+v (%v), want %+v", name, got, err, tt.want)
		}
	}
	if _, err := f.Stat("gone"); err != unix.ENOENT {
		t.Errorf("a missing entry: %v", err)
	}
	if _, err := f.Stat("../" + filepath.Base(top)); err == nil {
		t.Error("it left the directory")
	}
}

func TestTouch(t *testing.T) {
	top := private(t)
	f := base(t, top, me())
	path, old := filepath.Join(top, "a"), time.Unix(1e9, 0)
	testutil.Must(t, write(path), os.Chtimes(path, old, old))
	testutil.Must(t, f.Touch("a"))
	if e, err := f.Stat("a"); err != nil || time.Since(e.Used).Abs() > time.Hour {
		t.Errorf("%+v, %v", e, err)
	}
	testutil.Must(t, os.Chtimes(top, old, old))
	if err := f.Touch("../" + filepath.Base(top)); err == nil || f.Touch("gone") != unix.ENOENT {
		t.Errorf("it touched an entry elsewhere (%v), or one that is missing", err)
	}
}

// TestOpenForLock: only a file that exists is opened, not through a link, and without blocking.
func TestOpenForLock(t *testing.T) {
	top := private(t)
	in := func(name string) string { return filepath.Join(top, name) }
	testutil.Must(t, write(in("file")), os.Symlink("file", in("link")), unix.Mkfifo(in("FIFO"), 0o600))
	for name, want := range map[string]bool{"file": true, "FIFO": true, "link": false, "gone": false} {
		file, err := OpenForLock(in(name))
		if (err == nil) != want || (file != nil) != want {
			t.Errorf("%s: %v, %v", name, file, err)
		}
		if err == nil {
			testutil.Must(t, file.Close())
		}
	}
}
