package safedir

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"jacamar-ci/internal/failure"
	"jacamar-ci/internal/trustedfile"
	"jacamar-ci/test/harness/testutil"
)

func TestOpenBase(t *testing.T) {
	for name, tt := range map[string]struct {
		plant func(t *testing.T, path string)
		rules Rules
		why   string // "" is accepted
	}{
		"missing":           {func(*testing.T, string) {}, me(), ""},
		"private":           {dir(0o700), me(), ""},
		"even more so":      {dir(0o500), me(), ""},
		"group reads":       {dir(0o750), me(), "others may enter it (mode 0750)"},
		"others enter":      {dir(0o701), me(), "others may enter it (mode 0701)"},
		"group wanted":      {dir(0o750), group(), ""},
		"group writes":      {dir(0o770), group(), "others may enter it (mode 0770)"},
		"private, group":    {dir(0o700), group(), ""},
		"a file":            {file, me(), "it is not a directory"},
		"a FIFO":            {fifo, me(), "it is not a directory"},
		"link":              {linkTo("target", 0o700), me(), ""},
		"link to open":      {linkTo("target", 0o755), me(), "others may enter it (mode 0755)"},
		"link to nothing":   {linkTo("", 0), me(), "/parent/nowhere, which does not exist"},
		"link to a file":    {linkToFile, me(), "not a directory"},
		"link to itself":    {linkToItself, me(), "too many levels of symbolic links"},
		"swappable":         {parent(0o777), me(), "parent, on the way to it, is writable by group and others (mode 0777): others could replace its content"},
		"sticky":            {parent(0o1777), me(), ""},
		"sticky group":      {parent(0o1775), me(), ""},
		"group of a parent": {parent(0o775), me(), "is writable by group (mode 0775)"},
		"missing parent":    {noParent, me(), "no such file or directory"},
	} {
		t.Run(name, func(t *testing.T) {
			if os.Geteuid() != 0 && strings.HasPrefix(name, "sticky") {
				t.Skip("only root makes a sticky directory of root")
			}
			path := filepath.Join(private(t), "parent", "base")
			testutil.Must(t, os.Mkdir(filepath.Dir(path), 0o700))
			tt.plant(t, path)
			f, err := OpenBase(testutil.AbsPath(t, path), tt.rules)
			if err == nil {
				f.Close()
			}
			if (err == nil) != (tt.why == "") || (err != nil && !strings.Contains(err.Error(), tt.why)) {
				t.Errorf("got %v, want %q", err, tt.why)
			}
		})
	}
}

func group() Rules { r := me(); r.Group = true; return r }

func dir(mode os.FileMode) func(*testing.T, string) {
	return func(t *testing.T, path string) { testutil.Must(t, os.Mkdir(path, 0o700), os.Chmod(path, mode)) }
}

func file(t *testing.T, path string)     { testutil.Must(t, write(path)) }
func fifo(t *testing.T, path string)     { testutil.Must(t, unix.Mkfifo(path, 0o600)) }
func noParent(t *testing.T, path string) { testutil.Must(t, os.Remove(filepath.Dir(path))) }

func linkTo(target string, mode os.FileMode) func(*testing.T, string) {
	return func(t *testing.T, path string) {
		if target == "" {
			testutil.Must(t, os.Symlink("nowhere", path))
			return
		}
		dir(mode)(t, filepath.Join(filepath.Dir(path), target))
		testutil.Must(t, os.Symlink(target, path))
	}
}

func linkToFile(t *testing.T, path string) {
	testutil.Must(t, write(path+"-file"), os.Symlink("base-file", path))
}

func linkToItself(t *testing.T, path string) { testutil.Must(t, os.Symlink("base", path)) }

func parent(mode os.FileMode) func(*testing.T, string) {
	return func(t *testing.T, path string) {
		testutil.Must(t, unix.Chmod(filepath.Dir(path), uint32(mode)))
	}
}

// TestLinkThroughASwappableDirectory: the link is safe, but others can replace its target.
func TestLinkThroughASwappableDirectory(t *testing.T) {
	top := private(t)
	shared := filepath.Join(top, "shared")
	testutil.Must(t, os.Mkdir(shared, 0o700), os.Mkdir(filepath.Join(shared, "mine"), 0o700), unix.Chmod(shared, 0o777))
	testutil.Must(t, os.Symlink(filepath.Join(shared, "mine"), filepath.Join(top, "base")))
	_, err := OpenBase(testutil.AbsPath(t, filepath.Join(top, "base")), me())
	if err == nil || !strings.Contains(err.Error(), shared+", on the way to it, is writable by group and others") {
		t.Errorf("got %v", err)
	}
}

func TestOpenBaseOfOthers(t *testing.T) {
	asRoot(t, "give files away")
	for name, tt := range map[string]struct {
		plant func(t *testing.T, path string)
		why   string
	}{
		"other's directory": {func(t *testing.T, p string) { dir(0o700)(t, p); testutil.Must(t, os.Chown(p, stranger, -1)) }, "owned by account 65533, not by you"},
		"other's link": {func(t *testing.T, p string) {
			linkTo("target", 0o700)(t, p)
			testutil.Must(t, os.Lchown(p, stranger, -1))
		}, "it is owned by account 65533, not by root or you"},
		"link to other's": {func(t *testing.T, p string) {
			linkTo("target", 0o700)(t, p)
			testutil.Must(t, os.Chown(filepath.Join(filepath.Dir(p), "target"), stranger, -1))
		}, "owned by account 65533"},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(private(t), "base")
			tt.plant(t, path)
			if _, err := OpenBase(testutil.AbsPath(t, path), me()); err == nil || !strings.Contains(err.Error(), tt.why) {
				t.Errorf("got %v, want %q", err, tt.why)
			}
		})
	}
}

func TestOpenCreate(t *testing.T) {
	for name, tt := range map[string]struct {
		plant func(t *testing.T, path string)
		why   string
	}{
		"missing":             {func(*testing.T, string) {}, ""},
		"missing with parent": {noParent, ""},
		"others read":         {dir(0o755), ""},
		"group writes":        {dir(0o775), "others may write it (mode 0775)"},
		"all write":           {dir(0o1777), "others may write it"},
		"link":                {linkTo("target", 0o755), ""},
		"a file":              {file, "it is not a directory"},
		"file for a parent": {func(t *testing.T, p string) {
			noParent(t, p)
			file(t, filepath.Dir(p))
		}, "not a directory"},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(private(t), "parent", "given")
			testutil.Must(t, os.Mkdir(filepath.Dir(path), 0o700))
			tt.plant(t, path)
			f, err := OpenCreate(testutil.AbsPath(t, path), me())
			if (err == nil) != (tt.why == "") || (err != nil && !strings.Contains(err.Error(), tt.why)) {
				t.Fatalf("got %v, want %q", err, tt.why)
			}
			if err != nil {
				return
			}
			defer f.Close()
			below, err := f.Make("sub")
			testutil.Must(t, err)
			below.Close()
			if got := mode(t, filepath.Join(path, "sub")); got != 0o700 {
				t.Errorf("below it the mode is %04o", got)
			}
		})
	}
}

// TestOpenCreateSetsTheModes of the directories that it makes, whatever the umask is.
func TestOpenCreateSetsTheModes(t *testing.T) {
	top := private(t)
	withUmask(t, 0o277, func() {
		f, err := OpenCreate(testutil.AbsPath(t, filepath.Join(top, "a/b/c")), me())
		testutil.Must(t, err)
		f.Close()
	})
	for _, name := range []string{"a", "a/b", "a/b/c"} {
		if got := mode(t, filepath.Join(top, name)); got != 0o700 {
			t.Errorf("the mode of %s is %04o", name, got)
		}
	}
}

// TestMakeEntry: a directory that another process makes at the same time is no error, and is
// not taken for a new one.
func TestMakeEntry(t *testing.T) {
	top := private(t)
	f := base(t, top, me())
	testutil.Must(t, os.Mkdir(filepath.Join(top, "existing"), 0o700))
	for name, tt := range map[string]struct {
		entry       trustedfile.Entry
		made, fails bool
	}{
		"missing":              {trustedfile.Entry{Dir: f.fd, Name: "new"}, true, false},
		"made meanwhile":       {trustedfile.Entry{Dir: f.fd, Name: "existing"}, false, false},
		"its parent is gone":   {trustedfile.Entry{Dir: f.fd, Name: "gone/new"}, false, true},
		"the target of a link": {trustedfile.Entry{Dir: f.fd, Name: "target", Linked: true}, false, false},
	} {
		made, err := makeEntry(tt.entry, f.path, me())
		if made != tt.made || (err != nil) != tt.fails {
			t.Errorf("%s: made %v, %v", name, made, err)
		}
	}
	if _, err := os.Lstat(filepath.Join(top, "target")); err == nil {
		t.Error("the missing target of a link was made")
	}
}

// TestOpenEntryExplains why a directory cannot be opened: its kind, its owner, or the system's
// error where these are as they should be.
func TestOpenEntryExplains(t *testing.T) {
	asRoot(t, "act as another account")
	top := t.TempDir()
	in := func(name string) string { return filepath.Join(top, name) }
	long := strings.Repeat("x", 300)
	testutil.Must(t, write(in("file")), os.Symlink("own", in("link")), os.Mkdir(in("own"), 0), os.Mkdir(in("root's"), 0o700), os.Chown(in("own"), stranger, stranger))
	fd, err := unix.Open(top, unix.O_PATH|unix.O_DIRECTORY, 0)
	testutil.Must(t, err)
	defer unix.Close(fd)
	for name, want := range map[string]string{
		"file":   "it is not a directory (remove " + in("file") + ", or choose another directory)",
		"link":   "it is not a directory (remove " + in("link") + ", or choose another directory)",
		long:     "cannot open " + in(long) + ": file name too long",
		"root's": "owned by root, not by you",
	} {
		entry := trustedfile.Entry{Dir: fd, Name: name, Path: in(name)}
		asAccount(stranger, func() { _, err = openEntry(entry, testutil.AbsPath(t, in(name)), Rules{Owner: stranger}) })
		var f *failure.Error
		if !errors.As(err, &f) || !strings.Contains(f.Public+" ("+f.Hint+")", want) {
			t.Errorf("%s: %v, want %q", name, f, want)
		}
	}
}

func TestOpenCreateInOthersDirectory(t *testing.T) {
	asRoot(t, "give files away")
	path := filepath.Join(private(t), "given")
	testutil.Must(t, os.Mkdir(path, 0o755), os.Chown(path, stranger, -1))
	if _, err := OpenCreate(testutil.AbsPath(t, path), me()); err == nil || !strings.Contains(err.Error(), "owned by account 65533") {
		t.Errorf("got %v", err)
	}
}

func TestOpenExisting(t *testing.T) {
	top := private(t)
	for _, missing := range []string{"a", "a/b/c"} {
		if _, err := OpenExisting(testutil.AbsPath(t, filepath.Join(top, missing)), me()); err != unix.ENOENT {
			t.Errorf("%s: %v", missing, err)
		}
	}
	dir(0o755)(t, filepath.Join(top, "a"))
	f, err := OpenExisting(testutil.AbsPath(t, filepath.Join(top, "a")), me())
	testutil.Must(t, err)
	f.Close()
	dir(0o777)(t, filepath.Join(top, "b"))
	if _, err := OpenExisting(testutil.AbsPath(t, filepath.Join(top, "b")), me()); err == nil || !strings.Contains(err.Error(), "others may write it") {
		t.Errorf("got %v", err)
	}
}

// TestWhoCorrects: the user corrects what belongs to the user, and reports everything else to
// the administrators.
func TestWhoCorrects(t *testing.T) {
	path := testutil.AbsPath(t, "/home/alice/ci")
	for name, tt := range map[string]struct {
		fault      trustedfile.Fault
		text, hint string
		foreign    bool
	}{
		"the user's": {
			trustedfile.Fault{Path: "/home/alice", Problem: "is writable by group (mode 0775)", Fix: "chmod g-w /home/alice", UID: 1000},
			"cannot use /home/alice/ci: /home/alice, on the way to it, is writable by group (mode 0775): others could replace its content", "chmod g-w /home/alice", false,
		},
		"itself": {
			trustedfile.Fault{Path: "/home/alice/ci", Problem: "is writable by group (mode 0775)", Fix: "chmod g-w /home/alice/ci", UID: 1000},
			"cannot use /home/alice/ci: it is writable by group (mode 0775): others could replace its content", "chmod g-w /home/alice/ci", false,
		},
		"root's": {
			trustedfile.Fault{Path: "/home", Problem: "is writable by group (mode 0775)", Fix: "chmod g-w /home", UID: 0},
			"cannot use /home/alice/ci: /home, on the way to it, is writable by group (mode 0775): others could replace its content", "tell the administrators of this resource: chmod g-w /home", true,
		},
		"another account's": {
			trustedfile.Fault{Path: "/home", Problem: "x", Fix: "chown root /home", UID: 4294967000, Relation: "is owned by"},
			"cannot use /home/alice/ci: /home, on the way to it, is owned by account 4294967000, not by root or you: others could replace its content", "tell the administrators of this resource: chown root /home", true,
		},
	} {
		err := Rules{Owner: 1000}.explainPath(path, &tt.fault)
		var f *failure.Error
		if !errors.As(err, &f) || f.Public != tt.text || f.Hint != tt.hint || IsForeign(err) != tt.foreign {
			t.Errorf("%s: %v, hint %q, foreign: %v", name, err, f.Hint, IsForeign(err))
		}
	}
	if err := (Rules{}).explainPath(path, nil); err != nil {
		t.Errorf("without a fault: %v", err)
	}
}
