package statedir

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"jacamar-ci/internal/auth/internal/thread"
	"jacamar-ci/internal/failure"
	"jacamar-ci/internal/job"
	"jacamar-ci/internal/trustedfile"
	"jacamar-ci/test/harness/testutil"
)

// place returns a path for a state directory in a directory that trustedfile trusts,
// unlike those in /tmp.
func place(t testing.TB) string {
	t.Helper()
	above := "/var/lib" // root's home is closed to other accounts
	if os.Geteuid() != 0 {
		home, err := os.UserHomeDir()
		testutil.Must(t, err)
		above = home
	}
	parent, err := os.MkdirTemp(above, ".jacamar-test-")
	testutil.Must(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(parent) })
	testutil.Must(t, os.Chmod(parent, 0o755))
	return filepath.Join(parent, "state")
}

func open(t testing.TB, path string, as *thread.IDs) Dir {
	t.Helper()
	d, err := New(testutil.AbsPath(t, path), as)
	testutil.Must(t, err)
	return d
}

// stocked returns a directory with the file "file" that contains "x".
func stocked(t testing.TB) (Dir, string) {
	t.Helper()
	path := place(t)
	d := open(t, path, nil)
	if _, err := d.Load("file", 10); !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	testutil.Must(t, d.Replace("file", []byte("x")))
	return d, path
}

func asRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root: it gives a file to another account")
	}
}

func TestStoresFiles(t *testing.T) {
	path := place(t)
	d := open(t, path, nil)
	if _, err := d.Read("file", 10); failure.KindOf(err) == failure.System || err == nil {
		t.Errorf("reading from a directory that does not exist: %v, want a fault of the configuration", err)
	}
	if _, err := d.Load("file", 10); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Load: %v", err)
	}
	testutil.Must(t, d.Add("file", []byte("first")))
	if err := d.Add("file", []byte("second")); !errors.Is(err, fs.ErrExist) {
		t.Errorf("Add over a file: %v", err)
	}
	if b, err := d.Read("file", 10); err != nil || string(b) != "first" {
		t.Errorf("%q, %v", b, err)
	}
	testutil.Must(t, d.Replace("file", []byte("third")))
	if b, err := d.Load("file", 5); err != nil || string(b) != "third" {
		t.Errorf("%q, %v", b, err)
	}
	if _, err := d.Load("file", 4); err == nil {
		t.Error("a file that is too long was read")
	}
	for name, want := range map[string]fs.FileMode{path: 0o700 | fs.ModeDir, path + "/file": 0o600} {
		if info, err := os.Lstat(name); err != nil || info.Mode() != want {
			t.Errorf("%s has mode %v, %v; want %v", name, info.Mode(), err, want)
		}
	}
	if left, err := os.ReadDir(path); err != nil || len(left) != 1 {
		t.Errorf("%v is there: %v", left, err)
	}
}

const aboveIt = "parent writable by others"

// TestChecks: if others could change the directory or one of its parents, that is a
// fault of the configuration; a file that they could change is not trusted.
func TestChecks(t *testing.T) {
	const config, file = failure.Config, failure.System
	for _, c := range []struct {
		name  string
		spoil func(t *testing.T, dir string)
		kind  failure.Kind
		want  string
	}{
		{"writable by group", func(t *testing.T, dir string) { testutil.Must(t, os.Chmod(dir, 0o770)) }, config, "its mode is 0770, not 0700: run: chown -R "},
		{"writable by others", func(t *testing.T, dir string) { testutil.Must(t, os.Chmod(dir, 0o707)) }, config, "its mode is 0707, not 0700"},
		{"readable by group", func(t *testing.T, dir string) {
			if os.Geteuid() == 0 {
				t.Skip("needs an ordinary user: what is root's may be read by others")
			}
			testutil.Must(t, os.Chmod(dir, 0o750))
		}, config, "mode is 0750, not 0700"},
		{"a file in its place", func(t *testing.T, dir string) {
			testutil.Must(t, os.RemoveAll(dir))
			testutil.Must(t, os.WriteFile(dir, nil, 0o700))
		}, config, "it is not a directory: remove it"},
		{"a link in its place", func(t *testing.T, dir string) {
			testutil.Must(t, os.Rename(dir, dir+".real"))
			testutil.Must(t, os.Symlink(dir+".real", dir))
		}, config, "it is not a directory"},
		{aboveIt, func(t *testing.T, dir string) { testutil.Must(t, os.Chmod(filepath.Dir(dir), 0o777)) }, config, "is writable by group and others (mode 0777): run: chmod go-w "},
		{"another account's", func(t *testing.T, dir string) { asRoot(t); testutil.Must(t, os.Chown(dir, 65534, 65534)) }, config, "uid 65534"},
		{"file writable by group", func(t *testing.T, dir string) { testutil.Must(t, os.Chmod(dir+"/file", 0o660)) }, file, "writable by group"},
		{"file readable by group", func(t *testing.T, dir string) { testutil.Must(t, os.Chmod(dir+"/file", 0o640)) }, file, "other accounts have access (mode 0640)"},
		{"file readable by others", func(t *testing.T, dir string) { testutil.Must(t, os.Chmod(dir+"/file", 0o604)) }, file, "other accounts have access (mode 0604)"},
		{"file another account's", func(t *testing.T, dir string) { asRoot(t); testutil.Must(t, os.Chown(dir+"/file", 65534, 0)) }, file, "uid 65534"},
		{"file a link", func(t *testing.T, dir string) {
			testutil.Must(t, os.Rename(dir+"/file", dir+"/other"))
			testutil.Must(t, os.Symlink("other", dir+"/file"))
		}, file, "symbolic link"},
		{"file a FIFO", func(t *testing.T, dir string) {
			testutil.Must(t, os.Remove(dir+"/file"))
			testutil.Must(t, unix.Mkfifo(dir+"/file", 0o600))
		}, file, "FIFO"},
		{"file a directory", func(t *testing.T, dir string) {
			testutil.Must(t, os.Remove(dir+"/file"))
			testutil.Must(t, os.Mkdir(dir+"/file", 0o700))
		}, file, "directory"},
	} {
		t.Run(c.name, func(t *testing.T) {
			held, path := stocked(t)
			c.spoil(t, path)
			other := open(t, path, nil)
			reads := map[string]func(string, int64) ([]byte, error){"Read": other.Read, "Load": other.Load}
			if c.name != aboveIt { // the way to it is judged once
				reads["Read again"], reads["Load again"] = held.Read, held.Load
			}
			for name, read := range reads {
				b, err := read("file", 10)
				if err == nil || failure.KindOf(err) != c.kind || !strings.Contains(err.Error(), c.want) {
					t.Errorf("%s: %q, %v; want kind %s and %q", name, b, err, c.kind, c.want)
				}
			}
		})
	}
}

func TestUntrustedParentCreatesNothing(t *testing.T) {
	path := place(t)
	testutil.Must(t, os.Chmod(filepath.Dir(path), 0o777))
	if _, err := open(t, path, nil).Load("file", 10); failure.KindOf(err) != failure.Config {
		t.Errorf("%v", err)
	}
	if _, err := os.Lstat(path); err == nil {
		t.Error("the directory was made")
	}
	if _, err := open(t, filepath.Join(path, "a", "b"), nil).Load("file", 10); failure.KindOf(err) != failure.Config {
		t.Errorf("%v", err)
	}
}

func TestOwnerProblem(t *testing.T) {
	for _, c := range []struct {
		owner uint32
		mode  fs.FileMode
		euid  uint32
		want  string
	}{
		{0, 0o700, 0, ""},
		{0, 0o755, 0, ""},
		{0, 0o775, 0, "its mode is 0775, not 0700"},
		{0, 0o757, 0, "its mode is 0757, not 0700"},
		{0, 0o755, 990, "it belongs to uid 0, not to 990"},
		{0, 0o700, 990, "it belongs to uid 0, not to 990"},
		{990, 0o700, 990, ""},
		{990, 0o750, 990, "its mode is 0750, not 0700"},
		{990, 0o600, 990, "its mode is 0600, not 0700"},
		{990, 0o700, 0, "it belongs to uid 990, not to 0"},
		{990, 0o700, 991, "it belongs to uid 990, not to 991"},
	} {
		if got := ownerProblem(c.owner, c.mode, c.euid); got != c.want {
			t.Errorf("owner %d, mode %04o, as %d: %q, want %q", c.owner, c.mode, c.euid, got, c.want)
		}
	}
}

// TestAsAnotherAccount: the directory must belong to that account, not to root.
func TestAsAnotherAccount(t *testing.T) {
	asRoot(t)
	path := place(t)
	other := &thread.IDs{UID: 5001, GID: 5002}
	d := open(t, path, other)
	_, err := d.Load("file", 10)
	if want := "install -d -m 0700 -o 5001 -g 5002 " + path; failure.KindOf(err) != failure.Config || !strings.Contains(err.Error(), want) {
		t.Errorf("below root's directory: %v, want the command %q", err, want)
	}
	testutil.Must(t, os.Mkdir(path, 0o700))
	if _, err := d.Load("file", 10); failure.KindOf(err) != failure.Config {
		t.Errorf("root's directory: %v", err)
	}
	testutil.Must(t, os.Chown(path, 5001, 5002))
	testutil.Must(t, d.Add("file", []byte("x")))
	if b, err := d.Read("file", 10); err != nil || string(b) != "x" {
		t.Errorf("%q, %v", b, err)
	}
	var stat unix.Stat_t
	if err := unix.Lstat(path+"/file", &stat); err != nil || stat.Uid != 5001 || stat.Gid != 5002 {
		t.Errorf("the file belongs to %d:%d, %v", stat.Uid, stat.Gid, err)
	}
	if _, err := open(t, path, nil).Read("file", 10); failure.KindOf(err) != failure.Config {
		t.Errorf("with root's own ids: %v", err)
	}
}

func TestAddOnce(t *testing.T) {
	d, _ := stocked(t)
	const writers = 16
	results := make([]error, writers)
	var all sync.WaitGroup
	for i := range results {
		all.Go(func() { results[i] = d.Add("key", []byte{byte(i)}) })
	}
	all.Wait()
	winner := -1
	for i, err := range results {
		switch {
		case err == nil && winner >= 0:
			t.Errorf("%d and %d both added the file", winner, i)
		case err == nil:
			winner = i
		case !errors.Is(err, fs.ErrExist):
			t.Error(err)
		}
	}
	if b, err := d.Read("key", 1); err != nil || winner < 0 || b[0] != byte(winner) {
		t.Errorf("%v, %v; %d added it", b, err, winner)
	}
}

// TestMakingAgain: another process may make the directory between the first try and
// the making of it.
func TestMakingAgain(t *testing.T) {
	d := open(t, place(t), nil)
	testutil.Must(t, os.Mkdir(d.path.String(), 0o700))
	tries := 0
	err := d.withDirectory(func() error {
		if tries++; tries == 1 {
			return fs.ErrNotExist
		}
		return nil
	})
	if err != nil || tries != 2 {
		t.Errorf("%v after %d tries", err, tries)
	}
}

// TestFaultOfTheDirectory: a directory that was missing and has been made since is tried
// again; any other fault of the directory is one of the configuration.
func TestFaultOfTheDirectory(t *testing.T) {
	d, path := stocked(t)
	if _, err := d.own(nil, &trustedfile.Fault{Path: path, Err: fs.ErrNotExist}); !errors.Is(err, fs.ErrNotExist) || failure.KindOf(err) == failure.Config {
		t.Errorf("made since: %v", err)
	}
	if _, err := d.own(nil, &trustedfile.Fault{Path: path, Problem: "is odd", Fix: "look at it"}); failure.KindOf(err) != failure.Config || !strings.Contains(err.Error(), "is odd: look at it") {
		t.Errorf("another fault: %v", err)
	}
}

// TestReasonOfTheSystem: callers can recognize the system's error, but a missing parent is
// not a missing directory: it is reported and nothing is made.
func TestReasonOfTheSystem(t *testing.T) {
	d, path := stocked(t)
	for _, at := range []string{path, filepath.Dir(path)} {
		if _, err := d.own(nil, &trustedfile.Fault{Path: at, Err: unix.EMFILE}); !errors.Is(err, unix.EMFILE) {
			t.Errorf("no descriptor for %s: %v", at, err)
		}
	}
	parent := filepath.Join(path, "missing")
	_, err := open(t, filepath.Join(parent, "state"), nil).Load("file", 10)
	if errors.Is(err, fs.ErrNotExist) || failure.KindOf(err) != failure.Config || !strings.Contains(err.Error(), parent+" does not exist") {
		t.Errorf("without the parent: %v", err)
	}
}

func TestSweep(t *testing.T) {
	d, path := stocked(t)
	old, young, foreign := filepath.Join(path, tempPrefix+"OLD"), filepath.Join(path, tempPrefix+"YOUNG"), filepath.Join(path, "other-OLD")
	for _, f := range []string{old, young, foreign} {
		testutil.Must(t, os.WriteFile(f, nil, 0o600))
	}
	past := time.Now().Add(-2 * time.Hour)
	for _, f := range []string{old, foreign} {
		testutil.Must(t, os.Chtimes(f, past, past))
	}
	testutil.Must(t, d.Replace("file", nil))
	for f, want := range map[string]bool{old: false, young: true, foreign: true} {
		if _, err := os.Lstat(f); (err == nil) != want {
			t.Errorf("%s is there: %v, want %v", f, err == nil, want)
		}
	}
}

func TestFailedWritesLeaveNothing(t *testing.T) {
	d, path := stocked(t)
	// A name that no file system accepts has the same effect as a full one.
	long := strings.Repeat("n", 300)
	for name, put := range map[string]func(string, []byte) error{"Replace": d.Replace, "Add": d.Add} {
		if err := put(long, nil); err == nil || strings.Contains(err.Error(), tempPrefix) {
			t.Errorf("%s: %v, want why in plain words", name, err)
		}
	}
	if left, err := os.ReadDir(path); err != nil || len(left) != 1 {
		t.Errorf("%v is left: %v", left, err)
	}
	testutil.Must(t, os.RemoveAll(path))
	if err := d.Replace("file", nil); err == nil {
		t.Error("a file was kept without a directory")
	}
}

func TestInvalidPath(t *testing.T) {
	if _, err := New(job.AbsPath{}, nil); failure.KindOf(err) != failure.Config {
		t.Errorf("no path: %v", err)
	}
	d := open(t, "/"+strings.Repeat("d/", 2040)+"d", nil)
	if _, err := d.Read(strings.Repeat("n", 100), 1); failure.KindOf(err) != failure.Config {
		t.Errorf("a path that is too long: %v", err)
	}
	if d.Path() != testutil.AbsPath(t, "/"+strings.Repeat("d/", 2040)+"d") {
		t.Error(d.Path())
	}
}

// TestInside: the directory in it is made once, as the account that has the state, and
// not in a directory of another account.
func TestInside(t *testing.T) {
	asRoot(t)
	path := place(t)
	d := open(t, path, &thread.IDs{UID: 5001, GID: 5002})
	ran := 0
	inside := func() error {
		return d.Inside("journal", func(dir job.AbsPath) error {
			ran++
			if dir.String() != path+"/journal" || unix.Geteuid() != 5001 {
				t.Errorf("%s as %d", dir, unix.Geteuid())
			}
			return nil
		})
	}
	if err := inside(); failure.KindOf(err) != failure.Config {
		t.Errorf("without a state directory: %v", err)
	}
	testutil.Must(t, os.Mkdir(path, 0o700))
	if err := inside(); failure.KindOf(err) != failure.Config || ran != 0 {
		t.Errorf("in root's directory: %v", err)
	}
	testutil.Must(t, os.Chown(path, 5001, 5002))
	testutil.Must(t, inside())
	testutil.Must(t, inside())
	var stat unix.Stat_t
	if err := unix.Lstat(path+"/journal", &stat); err != nil || stat.Uid != 5001 || stat.Mode&0o777 != 0o700 || ran != 2 {
		t.Errorf("%+v, %v, ran %d times", stat, err, ran)
	}
}

// TestReplacedDirectory: a directory that takes the place of the judged one is judged,
// and files are opened in it; one that is removed is made again.
func TestReplacedDirectory(t *testing.T) {
	d, path := stocked(t)
	testutil.Must(t, os.Rename(path, path+".old"))
	testutil.Must(t, os.Mkdir(path, 0o777))
	testutil.Must(t, os.Chmod(path, 0o777))
	if _, err := d.OpenAppend("log"); err == nil {
		t.Error("a directory that others can write was used")
	}
	testutil.Must(t, os.Remove(path))
	f, err := d.OpenAppend("log")
	testutil.Must(t, err)
	testutil.Must(t, f.Close())
	if _, err := os.Lstat(path + "/log"); err != nil {
		t.Error(err)
	}
	if _, err := d.Read("file", 10); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%v, want no file of the former directory", err)
	}
}

// TestOneWalk: the files of a stage cost one walk from the root directory.
func TestOneWalk(t *testing.T) {
	d, path := stocked(t)
	for _, open := range []func(string) (*os.File, error){d.OpenAppend, d.OpenUpdate} {
		f, err := open("other")
		testutil.Must(t, err)
		testutil.Must(t, f.Close())
	}
	testutil.Must(t, os.Chmod(filepath.Dir(path), 0o777))
	if _, err := d.Read("file", 10); err != nil {
		t.Errorf("the way was judged again: %v", err)
	}
}

// TestLock: one process has the lock of a directory until it releases it; a missing directory
// has none.
func TestLock(t *testing.T) {
	d, path := stocked(t)
	release, err := d.Lock(t.Context(), time.Now())
	testutil.Must(t, err)
	if _, err := open(t, path, nil).Lock(t.Context(), time.Now()); !errors.Is(err, ErrLocked) {
		t.Errorf("locked twice: %v", err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := d.Lock(ended, time.Now().Add(time.Hour)); !errors.Is(err, context.Canceled) {
		t.Errorf("a stage that ends: %v", err)
	}
	go release()
	again, err := d.Lock(t.Context(), time.Now().Add(time.Hour))
	testutil.Must(t, err)
	again()
	testutil.Must(t, os.Chmod(path, 0o755))
	if _, err := d.Lock(t.Context(), time.Now()); !errors.Is(err, errOpenToOthers) {
		t.Errorf("a directory that others can lock: %v", err)
	}
	if _, err := open(t, place(t), nil).Lock(t.Context(), time.Now()); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a missing directory: %v", err)
	}
}
