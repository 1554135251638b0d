package basedir

import (
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"jacamar-ci/internal/failure"
	"jacamar-ci/internal/job"
	"jacamar-ci/test/harness/testutil"
)

// The account need not exist: this package does not look it up.
const uid, gid, stranger = 64123, 64124, 64125

func alice(t *testing.T) job.Account {
	t.Helper()
	name, err := job.ParseUsername("alice")
	testutil.Must(t, err)
	return job.Account{Name: name, UID: uid, GID: gid}
}

// trusted returns a new directory whose parents only root can write, unlike those in
// /tmp.
func trusted(t *testing.T) string {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("only root makes directories for others")
	}
	testutil.Must(t, os.MkdirAll("/srv", 0o755))
	dir, err := os.MkdirTemp("/srv", "jacamar-rootdir-")
	testutil.Must(t, err, os.Chmod(dir, 0o755))
	t.Cleanup(func() { testutil.Must(t, os.RemoveAll(dir)) })
	return dir
}

func mkdir(path string, mode uint32, owner int) error {
	if err := os.Mkdir(path, 0o700); err != nil {
		return err
	}
	if err := unix.Chmod(path, mode); err != nil {
		return err
	}
	return os.Chown(path, owner, -1)
}

func TestMake(t *testing.T) {
	for name, tc := range map[string]struct {
		plant func(dataDir string) error // dataDir exists; Make creates dataDir/alice
		why   string
	}{
		"missing":                 {func(string) error { return nil }, ""},
		"there already":           {func(d string) error { return mkdir(d+"/alice", 0o700, uid) }, ""},
		"there, and open":         {func(d string) error { return mkdir(d+"/alice", 0o755, uid) }, ""},
		"left half made":          {func(d string) error { return mkdir(d+"/alice", 0o700, 0) }, ""},
		"root's, with files":      {func(d string) error { return os.MkdirAll(d+"/alice/x", 0o700) }, "owned by root and not empty"},
		"root's, hidden files":    {func(d string) error { return os.MkdirAll(d+"/alice/.x", 0o700) }, "owned by root and not empty"},
		"root's, open":            {func(d string) error { return mkdir(d+"/alice", 0o755, 0) }, "owned by root and not new (mode 0755)"},
		"another user's":          {func(d string) error { return mkdir(d+"/alice", 0o700, stranger) }, "owned by uid 64125"},
		"link":                    {func(d string) error { return os.Symlink("/root", d+"/alice") }, "not a directory"},
		"dangling link":           {func(d string) error { return os.Symlink("nowhere", d+"/alice") }, "not a directory"},
		"file":                    {func(d string) error { return os.WriteFile(d+"/alice", nil, 0o700) }, "not a directory"},
		"FIFO":                    {func(d string) error { return unix.Mkfifo(d+"/alice", 0o700) }, "not a directory"},
		"parent of a group":       {func(d string) error { return unix.Chmod(d, 0o775) }, "so that accounts other than root can write it"},
		"parent of all":           {func(d string) error { return unix.Chmod(d, 0o1777) }, "so that accounts other than root can write it"},
		"parent of a user":        {func(d string) error { return os.Chown(d, stranger, -1) }, "so that accounts other than root can write it"},
		"grandparent of a group":  {func(d string) error { return unix.Chmod(filepath.Dir(d), 0o775) }, "so that accounts other than root can write it"},
		"parent that is a link":   {func(d string) error { return linked(d) }, "name the real path"},
		"parent that is missing":  {os.Remove, "no such file or directory"},
		"parent with setgid":      {func(d string) error { return unix.Chmod(d, 0o2755) }, ""},
		"parent closed to others": {func(d string) error { return unix.Chmod(d, 0o700) }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			dataDir := filepath.Join(trusted(t), "data")
			testutil.Must(t, os.Mkdir(dataDir, 0o755), tc.plant(dataDir))
			for range 2 { // a second job finds the directory of the first
				err := Make(testutil.AbsPath(t, dataDir), alice(t))
				if tc.why == "" {
					testutil.Must(t, err)
					belongs(t, dataDir+"/alice")
					continue
				}
				if err == nil || !strings.Contains(err.Error(), tc.why) || failure.KindOf(err) != failure.Config {
					t.Errorf("got %v, want %q", err, tc.why)
				}
			}
		})
	}
}

func linked(d string) error {
	if err := os.Rename(d, d+"-real"); err != nil {
		return err
	}
	return os.Symlink(d+"-real", d)
}

func belongs(t *testing.T, path string) {
	t.Helper()
	info, err := os.Lstat(path)
	testutil.Must(t, err)
	if st := info.Sys().(*syscall.Stat_t); st.Uid != uid || !info.IsDir() {
		t.Errorf("%v, owner %d", info.Mode(), st.Uid)
	}
}

func TestNewDirectoryIsPrivate(t *testing.T) {
	dataDir := trusted(t)
	old := unix.Umask(0)
	defer unix.Umask(old)
	testutil.Must(t, Make(testutil.AbsPath(t, dataDir), alice(t)))
	info, err := os.Lstat(dataDir + "/alice")
	testutil.Must(t, err)
	if st := info.Sys().(*syscall.Stat_t); info.Mode().Perm() != 0o700 || st.Gid != gid {
		t.Errorf("%v, group %d", info.Mode(), st.Gid)
	}
}

func TestOrdinaryUserCannot(t *testing.T) {
	if os.Geteuid() == 0 {
		t.Skip("root can")
	}
	if err := Make(testutil.AbsPath(t, "/usr"), alice(t)); err == nil || !strings.Contains(err.Error(), "permission denied") {
		t.Errorf("got %v", err)
	}
}

// TestDescriptorsAreClosed checks every kind of refusal.
func TestDescriptorsAreClosed(t *testing.T) {
	dataDir := trusted(t)
	testutil.Must(t, os.Symlink("x", dataDir+"/alice"))
	before, err := os.ReadDir("/proc/self/fd")
	testutil.Must(t, err)
	for range 10 {
		_ = Make(testutil.AbsPath(t, dataDir), alice(t))
		_ = Make(testutil.AbsPath(t, dataDir+"/missing/x"), alice(t))
		_ = Make(testutil.AbsPath(t, "/tmp"), alice(t))
	}
	after, err := os.ReadDir("/proc/self/fd")
	testutil.Must(t, err)
	if len(after) != len(before) {
		t.Errorf("%d descriptors are open, before it were %d", len(after), len(before))
	}
}

// TestClearOtherBits: a descriptor of O_PATH stands for a file system that does not store
// modes, as fchmod(2) refuses it.
func TestClearOtherBits(t *testing.T) {
	for name, tt := range map[string]struct {
		mode, after uint32
		flags       int
		want        string
	}{
		"private":          {0o700, 0o700, unix.O_RDONLY, ""},
		"open":             {0o755, 0o700, unix.O_RDONLY, ""},
		"open, setgid":     {0o2775, 0o2700, unix.O_RDONLY, ""},
		"private, unknown": {0o700, 0o700, unix.O_PATH, ""},
		"open, unknown":    {0o755, 0o755, unix.O_PATH, "does not store modes: a new directory has mode 0755"},
	} {
		path := t.TempDir()
		testutil.Must(t, unix.Chmod(path, tt.mode))
		fd, err := unix.Open(path, tt.flags|unix.O_CLOEXEC, 0)
		testutil.Must(t, err)
		err = clearOtherBits(fd)
		var st unix.Stat_t
		testutil.Must(t, unix.Fstat(fd, &st), unix.Close(fd))
		if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) || st.Mode&0o7777 != tt.after {
			t.Errorf("%s: mode %04o, %v", name, st.Mode&0o7777, err)
		}
	}
	if err := clearOtherBits(-1); err == nil {
		t.Error("no descriptor has a mode")
	}
}

// TestFirstJobsAtOnce: the first jobs of an account may begin at once, and the one that made the
// directory uses it at once.
func TestFirstJobsAtOnce(t *testing.T) {
	above := trusted(t)
	for n := range 100 {
		dataDir := testutil.AbsPath(t, filepath.Join(above, strconv.Itoa(n)))
		testutil.Must(t, os.Mkdir(dataDir.String(), 0o755))
		var jobs sync.WaitGroup
		for i := range 4 {
			jobs.Go(func() {
				err := Make(dataDir, alice(t))
				if err == nil {
					err = os.Mkdir(filepath.Join(dataDir.String(), "alice", strconv.Itoa(i)), 0o700)
				}
				if err != nil {
					t.Error(err)
				}
			})
		}
		jobs.Wait()
	}
}

// TestIsEmptyWithSignals: a signal ends a read of a directory after its first entries, which
// are "." and "..".
func TestIsEmptyWithSignals(t *testing.T) {
	path := t.TempDir()
	testutil.Must(t, os.Mkdir(filepath.Join(path, "x"), 0o700))
	dir, err := unix.Open(path, unix.O_RDONLY|unix.O_DIRECTORY, 0)
	testutil.Must(t, err)
	defer unix.Close(dir)
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	thread, done := unix.Gettid(), make(chan struct{})
	var signals sync.WaitGroup
	signals.Go(func() {
		for {
			select {
			case <-done:
				return
			default:
				_ = unix.Tgkill(os.Getpid(), thread, unix.SIGURG) // as Go's scheduler does
			}
		}
	})
	for range 20_000 {
		if empty, err := isEmpty(dir); empty || err != nil {
			t.Errorf("empty: %v, %v", empty, err)
			break
		}
	}
	close(done)
	signals.Wait()
}
