package trustedfile

import (
	"errors"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"jacamar-ci/test/harness/testutil"
)

var plain = fileRules{limit: 1 << 20}

func TestReadTrusted(t *testing.T) {
	dir := trustedDir(t)
	for _, mode := range []fs.FileMode{0o400, 0o440, 0o444, 0o600, 0o640, 0o644, 0o700, 0o755} {
		for name, text := range map[string]string{"empty": "", "text": "key = 1\n"} {
			path := filepath.Join(dir, name)
			os.Remove(path)
			write(t, path, text, mode)
			got, err := Self().Read(testutil.AbsPath(t, path), 100)
			if err != nil || string(got) != text {
				t.Errorf("%s with mode %v: %q, %v", name, mode, got, err)
			}
		}
	}
}

func TestOpenCloseOnExec(t *testing.T) {
	path := filepath.Join(trustedDir(t), "file")
	write(t, path, "text", 0o600)
	f, err := Self().Open(testutil.AbsPath(t, path), 100)
	testutil.Must(t, err)
	defer f.Close()
	flags, err := unix.FcntlInt(f.Fd(), unix.F_GETFD, 0)
	if err != nil || flags&unix.FD_CLOEXEC == 0 {
		t.Errorf("flags %#x, %v: a child would inherit the descriptor", flags, err)
	}
	if f.Name() != path {
		t.Errorf("name %q", f.Name())
	}
}

func TestRefusesFileModes(t *testing.T) {
	path := filepath.Join(trustedDir(t), "file")
	for _, tc := range []struct {
		mode     fs.FileMode
		who, fix string
	}{
		{0o620, "group (mode 0620)", "g-w"},
		{0o660, "group (mode 0660)", "g-w"},
		{0o602, "others (mode 0602)", "o-w"},
		{0o606, "others (mode 0606)", "o-w"},
		{0o622, "group and others (mode 0622)", "go-w"},
		{0o666, "group and others (mode 0666)", "go-w"},
		{0o777, "group and others (mode 0777)", "go-w"},
		{0o020, "group (mode 0020)", "g-w"},
		{0o620 | fs.ModeSetuid, "group (mode 4620)", "g-w"},
		{0o602 | fs.ModeSticky, "others (mode 1602)", "o-w"},
	} {
		write(t, path, "", tc.mode)
		refused(t, path, plain, "cannot trust "+path+": it is writable by "+tc.who+": run: chmod "+tc.fix+" "+path)
		testutil.Must(t, os.Remove(path))
	}
}

func TestRefusesEveryParent(t *testing.T) {
	dir := trustedDir(t)
	file := filepath.Join(dir, "a/b/c/file")
	mkdir(t, filepath.Dir(file), 0o755)
	write(t, file, "", 0o600)
	for _, parent := range []string{"", "a", "a/b", "a/b/c"} {
		parent = filepath.Join(dir, parent)
		for _, tc := range []struct {
			mode     fs.FileMode
			who, fix string
		}{
			{0o775, "group (mode 0775)", "g-w"},
			{0o757, "others (mode 0757)", "o-w"},
			{0o777, "group and others (mode 0777)", "go-w"},
		} {
			testutil.Must(t, os.Chmod(parent, tc.mode))
			refused(t, file, plain, "cannot trust "+file+": its directory "+parent+" is writable by "+tc.who+": run: chmod "+tc.fix+" "+parent)
		}
		testutil.Must(t, os.Chmod(parent, 0o777|fs.ModeSticky))
		refused(t, file, plain, "cannot trust "+file+": its directory "+parent+" is writable by group and others (mode 1777): "+
			"keep the file elsewhere, below directories that only root can write")
		testutil.Must(t, os.Chmod(parent, 0o755))
	}
	if _, err := Self().Read(testutil.AbsPath(t, file), 1); err != nil {
		t.Errorf("fixed: %v", err)
	}
}

// TestRefusesTmp: the sticky bit keeps others from removing a file, but not from
// creating it first.
func TestRefusesTmp(t *testing.T) {
	dir, err := os.MkdirTemp("/tmp", "trustedfile-test-")
	testutil.Must(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	file := filepath.Join(dir, "file")
	write(t, file, "", 0o600)
	if f, err := Self().Open(testutil.AbsPath(t, file), 1); err == nil {
		f.Close()
		t.Error("a file below /tmp was opened")
	}
}

func TestRefusesIrregularFile(t *testing.T) {
	dir := trustedDir(t)
	in := func(name string) string { return filepath.Join(dir, name) }
	mkdir(t, in("directory"), 0o755)
	testutil.Must(t, unix.Mkfifo(in("fifo"), 0o600))
	write(t, in("file"), "", 0o600)
	testutil.Must(t, os.Symlink(in("file"), in("link")))
	testutil.Must(t, os.Symlink(in("nothing"), in("dangling")))
	testutil.Must(t, os.Symlink("loop", in("loop")))
	listener, err := net.Listen("unix", in("socket"))
	testutil.Must(t, err)
	defer listener.Close()
	testutil.Must(t, os.Chmod(in("socket"), 0o600))

	const fix = ", not a regular file: name a regular file by its real path"
	for name, what := range map[string]string{
		"directory": "a directory", "fifo": "a FIFO", "socket": "a socket",
		"link": "a symbolic link", "dangling": "a symbolic link", "loop": "a symbolic link",
	} {
		refused(t, in(name), plain, "cannot trust "+in(name)+": it is "+what+fix)
	}
	refused(t, "/dev/null", plain, "cannot trust /dev/null: it is a device"+fix)
	refused(t, "/", plain, "cannot trust /: it is a directory, not a file: name a file")
	refused(t, in("missing"), plain, "cannot open "+in("missing")+": it does not exist: create it or correct the path")
	refused(t, in("no/file"), plain, "cannot open "+in("no/file")+": its directory "+in("no")+" does not exist: create it or correct the path")
	refused(t, in("file/file"), plain, "cannot trust "+in("file/file")+": its directory "+in("file")+" is not a directory: name the file by its real path")
	refused(t, in(strings.Repeat("n", 300)), plain, "cannot open "+in(strings.Repeat("n", 300))+": it cannot be read: file name too long: look at the file system")
}

// TestRefusesProcLinks: the caller that starts the program chooses what these names
// mean.
func TestRefusesProcLinks(t *testing.T) {
	path := filepath.Join(trustedDir(t), "file")
	write(t, path, "text", 0o600)
	f, err := os.Open(path)
	testutil.Must(t, err)
	defer f.Close()
	for _, name := range []string{"/dev/stdin", "/dev/fd/0", "/proc/self/fd/0", "/proc/thread-self/fd/0", "/proc/self/fd/" + itoa(f.Fd()), "/proc/self/exe"} {
		if f, err := Self().Open(testutil.AbsPath(t, name), 1<<40); err == nil {
			f.Close()
			t.Errorf("%s was opened", name)
		}
	}
}

func TestMissingIsErrNotExist(t *testing.T) {
	_, err := Self().Read(testutil.AbsPath(t, filepath.Join(trustedDir(t), "missing")), 1)
	if !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%v", err)
	}
}

func TestLimit(t *testing.T) {
	path := filepath.Join(trustedDir(t), "file")
	write(t, path, "12345", 0o600)
	if got, err := Self().Read(testutil.AbsPath(t, path), 5); err != nil || string(got) != "12345" {
		t.Errorf("at the limit: %q, %v", got, err)
	}
	refused(t, path, fileRules{limit: 4}, "cannot trust "+path+": it is longer than 4 bytes: name the right file or shorten it")
	testutil.Must(t, os.Truncate(path, 1<<40))
	refused(t, path, plain, "cannot trust "+path+": it is longer than 1048576 bytes: name the right file or shorten it")
}

// TestLimitIgnoresSize: a file can have more bytes than st_size, as those of /proc
// do, or grow while it is read.
func TestLimitIgnoresSize(t *testing.T) {
	if _, err := Self().Read(testutil.AbsPath(t, "/proc/self/status"), 16); err == nil || !strings.Contains(err.Error(), "longer than 16 bytes") {
		t.Errorf("%v", err)
	}
	if got, err := Self().Read(testutil.AbsPath(t, "/proc/self/status"), 1<<20); err != nil || len(got) == 0 {
		t.Errorf("%d bytes, %v", len(got), err)
	}
}

func TestExecutable(t *testing.T) {
	path := filepath.Join(trustedDir(t), "script")
	write(t, path, "#!/bin/sh\n", 0o644)
	refused(t, path, fileRules{limit: 100, executable: true}, "cannot trust "+path+": it is not executable (mode 0644): run: chmod a+x "+path)
	for _, mode := range []fs.FileMode{0o500, 0o555, 0o755} {
		testutil.Must(t, os.Chmod(path, mode))
		f, err := Self().OpenExecutable(testutil.AbsPath(t, path), 100)
		if err != nil {
			t.Fatalf("mode %v: %v", mode, err)
		}
		text, err := io.ReadAll(f)
		if err != nil || string(text) != "#!/bin/sh\n" {
			t.Errorf("mode %v: %q, %v", mode, text, err)
		}
		f.Close()
	}
	testutil.Must(t, os.Chmod(path, 0o775))
	refused(t, path, fileRules{limit: 100, executable: true}, "cannot trust "+path+": it is writable by group (mode 0775): run: chmod g-w "+path)
}

func TestUnreadable(t *testing.T) {
	if os.Geteuid() == 0 {
		t.Skip("root can read every file")
	}
	dir := trustedDir(t)
	file := filepath.Join(dir, "closed/file")
	mkdir(t, filepath.Dir(file), 0o700)
	write(t, file, "", 0o000)
	const fix = "is not accessible to this account: give the account that runs jacamar-auth the right to read it"
	refused(t, file, plain, "cannot open "+file+": it "+fix)
	testutil.Must(t, os.Chmod(filepath.Dir(file), 0o000))
	t.Cleanup(func() { os.Chmod(filepath.Dir(file), 0o700) })
	refused(t, file, plain, "cannot open "+file+": it "+fix)
}

// appends writes text at the end of the file at path.
func appends(t *testing.T, path, text string) {
	t.Helper()
	f, err := Self().OpenAppend(testutil.AbsPath(t, path))
	testutil.Must(t, err)
	_, err = f.WriteString(text)
	testutil.Must(t, err)
	testutil.Must(t, f.Close())
}

func TestAppendCreatesPrivateFile(t *testing.T) {
	path := filepath.Join(trustedDir(t), "log")
	appends(t, path, "one\n")
	appends(t, path, "two\n")
	b, err := os.ReadFile(path)
	if err != nil || string(b) != "one\ntwo\n" {
		t.Errorf("%q, %v", b, err)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
}

func TestAppendFollowsTheEnd(t *testing.T) {
	path := filepath.Join(trustedDir(t), "log")
	f, err := Self().OpenAppend(testutil.AbsPath(t, path))
	testutil.Must(t, err)
	defer f.Close()
	appends(t, path, "other\n")
	_, err = f.WriteString("mine\n")
	testutil.Must(t, err)
	if b, _ := os.ReadFile(path); string(b) != "other\nmine\n" {
		t.Errorf("%q: one writer wrote over the other", b)
	}
}

func TestAppendCloseOnExec(t *testing.T) {
	f, err := Self().OpenAppend(testutil.AbsPath(t, filepath.Join(trustedDir(t), "log")))
	testutil.Must(t, err)
	defer f.Close()
	if flags, err := unix.FcntlInt(f.Fd(), unix.F_GETFD, 0); err != nil || flags&unix.FD_CLOEXEC == 0 {
		t.Errorf("flags %#x, %v", flags, err)
	}
}

func TestAppendRefuses(t *testing.T) {
	for _, tc := range []struct {
		name string
		make func(t *testing.T, dir, path string)
		want string
	}{
		{"symbolic link", func(t *testing.T, dir, path string) {
			write(t, filepath.Join(dir, "victim"), "safe", 0o600)
			testutil.Must(t, os.Symlink("victim", path))
		}, "it is a symbolic link"},
		{"dangling link", func(t *testing.T, dir, path string) {
			testutil.Must(t, os.Symlink("victim", path))
		}, "it is a symbolic link"},
		{"directory", func(t *testing.T, _, path string) { mkdir(t, path, 0o700) }, "it is a directory"},
		{"FIFO", func(t *testing.T, _, path string) { testutil.Must(t, unix.Mkfifo(path, 0o600)) }, "it is a FIFO"},
		{"others may write", func(t *testing.T, _, path string) { write(t, path, "", 0o606) }, "it is writable by others"},
		{"directory for all", func(t *testing.T, dir, _ string) { testutil.Must(t, os.Chmod(dir, 0o777)) }, "is writable by group and others"},
		{"sticky directory", func(t *testing.T, dir, _ string) { testutil.Must(t, os.Chmod(dir, 0o777|os.ModeSticky)) }, "is writable by group and others"},
		{"no directory", func(t *testing.T, dir, _ string) { testutil.Must(t, os.Remove(dir)) }, "does not exist"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			dir := filepath.Join(trustedDir(t), "logs")
			mkdir(t, dir, 0o755)
			path := filepath.Join(dir, "log")
			tc.make(t, dir, path)
			done := make(chan error, 1)
			go func() {
				f, err := Self().OpenAppend(testutil.AbsPath(t, path))
				if err == nil {
					f.Close()
				}
				done <- err
			}()
			select {
			case err := <-done:
				if err == nil || !strings.Contains(err.Error(), tc.want) {
					t.Errorf("got %v, want %q", err, tc.want)
				}
			case <-time.After(time.Minute):
				t.Fatal("open hangs")
			}
			if b, err := os.ReadFile(filepath.Join(dir, "victim")); err == nil && string(b) != "safe" {
				t.Errorf("the victim has %q", b)
			}
			if _, err := os.Lstat(filepath.Join(dir, "victim")); tc.name == "dangling link" && err == nil {
				t.Error("the link's target was made")
			}
		})
	}
}

func TestAppendRefusesForeignFile(t *testing.T) {
	rootOnly(t)
	path := filepath.Join(trustedDir(t), "log")
	write(t, path, "", 0o600)
	testutil.Must(t, os.Chown(path, 4242, 4242))
	if f, err := Self().OpenAppend(testutil.AbsPath(t, path)); err == nil || !strings.Contains(err.Error(), "is owned by uid 4242") {
		f.Close()
		t.Errorf("got %v", err)
	}
}
