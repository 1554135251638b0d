package trustedfile

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"jacamar-ci/internal/job"
	"jacamar-ci/test/harness/testutil"
)

// account is a uid that no process has; only root can give it a file.
const account = 54321

// layout makes entries below a trusted directory: "d MODE UID NAME", "l UID NAME
// TARGET", "f NAME". UID "me" is this process's.
func layout(t *testing.T, lines ...string) (dir string) {
	t.Helper()
	dir = trustedDir(t)
	for _, line := range lines {
		kind, rest, _ := strings.Cut(line, " ")
		fields := strings.Fields(rest)
		at := func(i int) string { return filepath.Join(dir, fields[i]) }
		switch kind {
		case "d":
			testutil.Must(t, os.MkdirAll(at(2), 0o755))
			testutil.Must(t, os.Chown(at(2), number(t, fields[1]), -1))
			testutil.Must(t, unix.Chmod(at(2), uint32(octal(t, fields[0]))))
		case "l":
			testutil.Must(t, os.Symlink(strings.ReplaceAll(fields[2], "DIR", dir), at(1)))
			testutil.Must(t, os.Lchown(at(1), number(t, fields[0]), -1))
		case "f":
			write(t, at(0), "", 0o700)
		}
	}
	return dir
}

func number(t *testing.T, text string) int {
	t.Helper()
	if text == "me" {
		return os.Geteuid()
	}
	return account
}

func octal(t *testing.T, text string) (mode uint32) {
	t.Helper()
	for _, r := range text {
		mode = mode<<3 | uint32(r-'0')
	}
	return mode
}

func TestFindEntry(t *testing.T) {
	for name, tc := range map[string]struct {
		lines []string
		path  string
		entry string // below the directory; "" is refused
		link  bool
		why   string
	}{
		"there":                        {[]string{"d 755 me a", "f a/x"}, "a/x", "a/x", false, ""},
		"missing":                      {[]string{"d 755 me a"}, "a/x", "a/x", false, ""},
		"missing directory":            {nil, "a/x", "", false, "does not exist"},
		"link":                         {[]string{"d 755 me a", "f a/x", "l me l a/x"}, "l", "a/x", true, ""},
		"absolute link":                {[]string{"d 755 me a", "f a/x", "l me l DIR/a/x"}, "l", "a/x", true, ""},
		"two links":                    {[]string{"d 755 me a", "f a/x", "l me l k", "l me k a/x"}, "l", "a/x", true, ""},
		"dangling link":                {[]string{"d 755 me a", "l me l a/x"}, "l", "a/x", true, ""},
		"link that leads nowhere":      {[]string{"l me l a/x"}, "l", "", false, "does not exist"},
		"link to here":                 {[]string{"d 755 me a", "l me a/l ."}, "a/l", "a", false, ""},
		"link to above":                {[]string{"d 755 me a", "l me a/l .."}, "a/l", ".", true, ""},
		"loop":                         {[]string{"l me l l"}, "l", "", false, "too many symbolic links"},
		"link on the way":              {[]string{"d 755 me a", "d 755 me a/b", "l me l a"}, "l/b/x", "a/b/x", false, ""},
		"file on the way":              {[]string{"f a"}, "a/x", "", false, "is not a directory"},
		"group may write":              {[]string{"d 775 me a"}, "a/x", "", false, "is writable by group (mode 0775)"},
		"target in a writable place":   {[]string{"d 777 me a", "d 755 me a/x", "l me l a/x"}, "l", "", false, "is writable by group and others (mode 0777)"},
		"way to a target is writable":  {[]string{"d 777 me a", "d 755 me a/b", "d 755 me a/b/x", "l me l a/b/x"}, "l", "", false, "is writable by group and others (mode 0777)"},
		"writable behind it":           {[]string{"d 755 me a", "d 777 me a/x"}, "a/x", "a/x", false, ""},
		"a directory of the account's": {[]string{"d 755 account a", "d 755 me a/b"}, "a/b/x", "", false, "is owned by uid 54321"},
	} {
		t.Run(name, func(t *testing.T) {
			if strings.Contains(strings.Join(tc.lines, " "), "account") {
				rootOnly(t)
			}
			dir := layout(t, tc.lines...)
			e, err := Self().FindEntry(testutil.AbsPath(t, filepath.Join(dir, tc.path)), nil)
			if err != nil {
				if tc.entry != "" || !strings.Contains(err.Error(), tc.why) {
					t.Errorf("got %v, want %q", err, tc.why)
				}
				return
			}
			defer e.Close()
			if e.Path != filepath.Join(dir, tc.entry) || e.Linked != tc.link || tc.entry == "" {
				t.Errorf("found %+v, want %s and linked %v", e, tc.entry, tc.link)
			}
			var byName, byPath unix.Stat_t
			nerr, perr := unix.Fstatat(e.Dir, e.Name, &byName, unix.AT_SYMLINK_NOFOLLOW), unix.Lstat(e.Path, &byPath)
			if nerr != perr || byName.Ino != byPath.Ino {
				t.Errorf("%s in the directory is %d (%v), the path %d (%v)", e.Name, byName.Ino, nerr, byPath.Ino, perr)
			}
		})
	}
}

// TestFindEntryCreatesMissing directories, but not behind a link.
func TestFindEntryCreatesMissing(t *testing.T) {
	for name, tc := range map[string]struct {
		lines []string
		path  string
		made  string // the names that are made, in order
		found bool
	}{
		"nothing is missing":      {[]string{"d 755 me a"}, "a/x", "", true},
		"two":                     {nil, "a/b/x", "a b", true},
		"behind a link":           {[]string{"d 755 me a", "l me l a"}, "l/b/c/x", "b c", true},
		"where a link leads":      {[]string{"l me l a/b"}, "l/c/x", "", false},
		"in the middle of a link": {[]string{"d 755 me a", "l me l a/b/c"}, "l/x", "", false},
		"the target of a link":    {[]string{"d 755 me a", "l me l a/b"}, "l", "", true},
		"behind two links":        {[]string{"d 755 me a", "l me l k", "l me k a"}, "l/b/x", "b", true},
		"at the end of two links": {[]string{"d 755 me a", "l me l k/b", "l me k a"}, "l/x", "", false},
	} {
		t.Run(name, func(t *testing.T) {
			var made []string
			e, err := Self().FindEntry(testutil.AbsPath(t, filepath.Join(layout(t, tc.lines...), tc.path)), func(dir int, name string) error {
				made = append(made, name)
				return unix.Mkdirat(dir, name, 0o700)
			})
			if (err == nil) != tc.found || strings.Join(made, " ") != tc.made {
				t.Errorf("%v, made %q", err, made)
			}
			if err == nil {
				e.Close()
			}
		})
	}
}

// TestFindEntryChecksCreated: the created directory may not be the intended one.
func TestFindEntryChecksCreated(t *testing.T) {
	odd := errors.New("the disk is full")
	if _, err := Self().FindEntry(testutil.AbsPath(t, layout(t)+"/a/x"), func(int, string) error { return odd }); !errors.Is(err, odd) {
		t.Errorf("got %v", err)
	}
	_, err := Self().FindEntry(testutil.AbsPath(t, layout(t)+"/a/x"), func(dir int, name string) error {
		return errors.Join(unix.Mkdirat(dir, name, 0o700), unix.Fchmodat(dir, name, 0o777, 0))
	})
	if err == nil || !strings.Contains(err.Error(), "is writable by group and others (mode 0777)") {
		t.Errorf("got %v", err)
	}
}

func TestOpenDirectory(t *testing.T) {
	dir := layout(t, "d 755 me a", "d 755 me a/b", "d 777 me a/open", "d 755 me a/open/c", "l me l a/b", "f file")
	for path, why := range map[string]string{
		"a/b": "", "l": "", "": "", "a/open": "is writable by group and others", "a/open/c": "is writable by group and others", "x": "does not exist", "file": "is not a directory",
	} {
		fd, err := Self().OpenDirectory(testutil.AbsPath(t, filepath.Join(dir, path)))
		if (err == nil) != (why == "") || (err != nil && !strings.Contains(err.Error(), why)) {
			t.Errorf("%s: got %v, want %q", path, err, why)
		}
		if err == nil {
			unix.Close(fd)
		}
		faults := Self().CheckDirectory(testutil.AbsPath(t, filepath.Join(dir, path)))
		if (len(faults) == 0) != (why == "") || (len(faults) > 0 && !strings.Contains(faults[0].Problem, why)) {
			t.Errorf("%s: got faults %+v, want %q", path, faults, why)
		}
	}
	if faults := Self().CheckDirectory(testutil.AbsPath(t, "/")); len(faults) > 0 {
		t.Errorf("/: %+v", faults)
	}
	if _, err := (Trust{NoLinks: true, Account: Self().Account}).OpenDirectory(testutil.AbsPath(t, dir+"/l")); err == nil || !strings.Contains(err.Error(), "is a symbolic link") {
		t.Errorf("got %v", err)
	}
	for _, f := range Self().CheckDirectory(testutil.AbsPath(t, dir+"/a/open/c/missing")) {
		if f.File != dir+"/a/open/c/missing" || f.Fix == "" {
			t.Errorf("%+v", f)
		}
	}
}

// TestJobs: the directories of one account's jobs.
func TestJobs(t *testing.T) {
	rootOnly(t)
	dir := layout(t, "d 1777 me shared", "d 700 account shared/home", "d 755 account own", "d 700 account own/x", "l account own/l DIR/shared/home", "d 1777 account theirs")
	for path, why := range map[string]string{
		"shared/home/x": "", "own/x/y": "", "theirs/x": "is writable by group and others",
	} {
		e, err := Jobs(account).FindEntry(testutil.AbsPath(t, filepath.Join(dir, path)), nil)
		if (err == nil) != (why == "") || (err != nil && !strings.Contains(err.Error(), why)) {
			t.Errorf("%s: got %v, want %q", path, err, why)
		}
		if err == nil {
			e.Close()
		}
	}
	// This process is root: it must not follow a link of the account.
	if _, err := Jobs(account).FindEntry(testutil.AbsPath(t, dir+"/own/l"), nil); err == nil || !strings.Contains(err.Error(), "is a symbolic link that uid 54321 can change") {
		t.Errorf("got %v", err)
	}
	if got := Jobs(account); got != (Trust{Account: job.UID(account), Sticky: true}) {
		t.Errorf("%+v", got)
	}
}

func TestCheckProgram(t *testing.T) {
	dir := layout(t, "d 755 me bin", "f bin/program", "l me bin/link program", "d 777 me open", "f open/program", "l me bin/far DIR/open/program")
	for path, why := range map[string]string{
		"bin/program": "", "bin/link": "", "bin/far": "is writable by group and others", "open/program": "is writable by group and others",
		"bin": "is a directory", "bin/missing": "does not exist",
	} {
		faults := Self().CheckProgram(testutil.AbsPath(t, filepath.Join(dir, path)))
		if (len(faults) == 0) != (why == "") || (len(faults) > 0 && !strings.Contains(faults[0].Problem, why)) {
			t.Errorf("%s: %+v, want %q", path, faults, why)
		}
	}
}

func TestFindEntryLeavesNoDescriptor(t *testing.T) {
	dir := layout(t, "d 755 me a", "l me l a/x", "d 777 me open", "l me loop loop")
	before := descriptors(t)
	for range 50 {
		for _, path := range []string{"a/x", "l", "open/x", "missing/x", "loop"} {
			if e, err := Self().FindEntry(testutil.AbsPath(t, filepath.Join(dir, path)), nil); err == nil {
				e.Close()
			}
			if fd, err := Self().OpenDirectory(testutil.AbsPath(t, filepath.Join(dir, path))); err == nil {
				unix.Close(fd)
			}
		}
	}
	if after := descriptors(t); after > before {
		t.Errorf("%d descriptors before, %d after", before, after)
	}
}

// TestCheckMount: a directory of the same file system, and one without stat data.
func TestCheckMount(t *testing.T) {
	dir := layout(t, "d 755 me a")
	e, err := Self().FindEntry(testutil.AbsPath(t, dir+"/a"), nil)
	testutil.Must(t, err)
	defer e.Close()
	fd, err := unix.Openat(e.Dir, e.Name, unix.O_PATH|unix.O_CLOEXEC, 0)
	testutil.Must(t, err)
	if err := e.CheckMount(fd, Self()); err != nil {
		t.Error(err)
	}
	unix.Close(fd)
	if err := e.CheckMount(-1, Self()); !errors.Is(err, unix.EBADF) {
		t.Errorf("got %v", err)
	}
}
