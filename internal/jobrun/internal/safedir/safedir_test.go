package safedir

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"jacamar-ci/test/harness/testutil"
)

func TestModesUnderAnyUmask(t *testing.T) {
	for _, mask := range []int{0, 0o022, 0o077, 0o777} {
		for _, rules := range []Rules{me(), group()} {
			want := os.FileMode(rules.mode())
			withUmask(t, mask, func() {
				if mask == 0o777 && !rules.Group {
					return // a umask that takes the owner's rights leaves nothing to test
				}
				top := private(t)
				testutil.Must(t, os.Chmod(top, 0o700))
				f, err := OpenBase(testutil.AbsPath(t, filepath.Join(top, "base")), rules)
				if err != nil && mask == 0o777 {
					return
				}
				testutil.Must(t, err)
				defer f.Close()
				below, err := f.Make("a", "b")
				testutil.Must(t, err)
				below.Close()
				for _, path := range []string{"base", "base/a", "base/a/b"} {
					if got := mode(t, filepath.Join(top, path)); got != want {
						t.Errorf("umask %04o: %s has mode %04o, want %04o", mask, path, got, want)
					}
				}
			})
		}
	}
}

func TestMakeIsRepeatable(t *testing.T) {
	top := private(t)
	f := base(t, top, me())
	for range 2 {
		below, err := f.Make("a", "b", "c")
		testutil.Must(t, err)
		if got, want := below.Path().String(), top+"/a/b/c"; got != want {
			t.Errorf("the path is %s, want %s", got, want)
		}
		below.Close()
	}
}

func TestNoLinkBelowTheBase(t *testing.T) {
	for name, plant := range map[string]func(t *testing.T, path string){
		"link out":    func(t *testing.T, path string) { testutil.Must(t, os.Symlink("/tmp", path)) },
		"link within": linkTo("target", 0o700),
		"dangling":    linkTo("", 0),
		"file":        file,
		"FIFO":        fifo,
	} {
		t.Run(name, func(t *testing.T) {
			top := private(t)
			f := base(t, top, me())
			plant(t, filepath.Join(top, "a"))
			for what, open := range map[string]func(...string) (*Dir, error){"Make": f.Make, "Open": f.Open, "Find": f.OpenUnchecked} {
				got, err := open("a", "b")
				if err == nil || !strings.Contains(err.Error(), "/a: it is not a directory") || got != nil {
					t.Errorf("%s: %v", what, err)
				}
			}
		})
	}
}

func TestDirectoriesBelowTheBaseAreChecked(t *testing.T) {
	top := private(t)
	f := base(t, top, me())
	dir(0o775)(t, filepath.Join(top, "open"))
	for what, open := range map[string]func(...string) (*Dir, error){"Make": f.Make, "Open": f.Open} {
		if _, err := open("open"); err == nil || !strings.Contains(err.Error(), "others may enter it (mode 0775)") {
			t.Errorf("%s: %v", what, err)
		}
	}
	found, err := f.OpenUnchecked("open")
	testutil.Must(t, err)
	found.Close()
}

func TestOpenMissing(t *testing.T) {
	f := base(t, private(t), me())
	for what, open := range map[string]func(...string) (*Dir, error){"Open": f.Open, "Find": f.OpenUnchecked} {
		if _, err := open("a", "b"); err != unix.ENOENT {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func TestInvalidNames(t *testing.T) {
	f := base(t, private(t), me())
	for _, name := range []string{"", ".", "..", "a/b", "/", "../x", "a\x00b"} {
		_, errMake := f.Make(name)
		_, errFile := f.File(name, unix.O_RDONLY)
		for what, err := range map[string]error{
			"Make": errMake, "File": errFile, "Remove": f.Remove(name, later()), "Move": f.Move(name, f, "x"), "Move to": f.Move("x", f, name),
		} {
			if err == nil || !strings.Contains(err.Error(), "is not the name of a directory") {
				t.Errorf("%s %q: %v", what, name, err)
			}
		}
	}
}

// TestDescriptorsAreClosed counts them after failures on every level.
func TestDescriptorsAreClosed(t *testing.T) {
	top := private(t)
	f := base(t, top, me())
	testutil.Must(t, os.MkdirAll(filepath.Join(top, "a/b"), 0o700), os.Symlink("x", filepath.Join(top, "a/b/c")))
	before := descriptors(t)
	for range 10 {
		_, _ = f.Open("a", "b", "c", "d")
		_, _ = f.Open("a", "missing")
		_, _ = f.Make("a", "b", "..")
		_, _ = OpenBase(testutil.AbsPath(t, filepath.Join(top, "a/b/c")), me())
		_, _ = f.Read("a", 10)
	}
	if after := descriptors(t); after != before {
		t.Errorf("%d descriptors are open, before %d", after, before)
	}
}

func descriptors(t *testing.T) int {
	t.Helper()
	open, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(open)
}

func TestPrivate(t *testing.T) {
	for name, tt := range map[string]struct {
		plant func(t *testing.T, top string)
		rules Rules
		above os.FileMode // of the directory above it
		why   string
	}{
		"missing":            {func(*testing.T, string) {}, me(), 0o700, ""},
		"missing, for group": {func(*testing.T, string) {}, group(), 0o750, ""},
		"there":              {func(t *testing.T, top string) { testutil.Must(t, os.MkdirAll(top+"/a/b.tmp", 0o700)) }, group(), 0o700, ""},
		"there and wide": {func(t *testing.T, top string) {
			testutil.Must(t, os.MkdirAll(top+"/a/b.tmp", 0o755), os.Chmod(top+"/a", 0o755), os.Chmod(top+"/a/b.tmp", 0o777))
		}, group(), 0o755, ""},
		"a file in its place": {func(t *testing.T, top string) {
			testutil.Must(t, os.Mkdir(top+"/a", 0o700), write(top+"/a/b.tmp"))
		}, me(), 0o700, ""},
		"a link in its place": {func(t *testing.T, top string) {
			testutil.Must(t, os.Mkdir(top+"/a", 0o700), os.Mkdir(top+"/c", 0o755), os.Symlink("../c", top+"/a/b.tmp"))
		}, me(), 0o700, ""},
		"a link on the way": {func(t *testing.T, top string) {
			testutil.Must(t, os.Mkdir(top+"/c", 0o755), os.Symlink("c", top+"/a"))
		}, me(), 0, "a: it is not a directory"},
		"a file on the way": {func(t *testing.T, top string) { testutil.Must(t, write(top+"/a")) }, me(), 0, "a: it is not a directory"},
		"another's": {func(t *testing.T, top string) {
			asRoot(t, "give files away")
			testutil.Must(t, os.MkdirAll(top+"/a/b.tmp", 0o700), os.Chown(top+"/a/b.tmp", stranger, -1))
		}, me(), 0o700, "owned by account 65533"},
	} {
		t.Run(name, func(t *testing.T) {
			top := filepath.Join(private(t), "base")
			f := base(t, top, tt.rules)
			tt.plant(t, top)
			err := f.Private("a", "b.tmp")
			if (err == nil) != (tt.why == "") || (err != nil && !strings.Contains(err.Error(), tt.why)) {
				t.Fatalf("got %v, want %q", err, tt.why)
			}
			if err != nil {
				return
			}
			if above, got := mode(t, top+"/a"), mode(t, top+"/a/b.tmp"); above != tt.above || got != 0o700 {
				t.Errorf("modes %04o and %04o, want %04o and 0700", above, got, tt.above)
			}
			if _, err := os.Stat(top + "/c"); err == nil && mode(t, top+"/c") != 0o755 {
				t.Error("what the link leads to has another mode")
			}
		})
	}
	f := base(t, private(t), me())
	for _, elem := range [][]string{{"a", ".."}, {"..", "a"}, {"a", ""}, {"a/b"}} {
		if f.Private(elem...) == nil {
			t.Errorf("%q was made", elem)
		}
	}
	withUmask(t, 0o077, func() { testutil.Must(t, f.Private("x", "y")) })
	withUmask(t, 0, func() { testutil.Must(t, f.Private("x0", "y")) })
	if mode(t, f.Path().String()+"/x0/y") != 0o700 {
		t.Error("the umask decides")
	}
}

// TestIsNew: only a directory that changed about now can be one whose mode is not set yet,
// by the clock of its file server.
func TestIsNew(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	for age, want := range map[time.Duration]bool{
		0: true, time.Second: true, -time.Second: true, clockError: true, -clockError: true,
		clockError + time.Second: false, -clockError - time.Second: false, 24 * time.Hour: false,
	} {
		st := unix.Stat_t{Ctim: unix.NsecToTimespec(now.Add(-age).UnixNano())}
		if got := isNew(&st, now); got != want {
			t.Errorf("%v old: %v", age, got)
		}
	}
}

// TestSetMode: a new directory gets the mode of the rules. One that others could enter for a
// moment must be empty.
func TestSetMode(t *testing.T) {
	asRoot(t, "give files away")
	content := func(t *testing.T, path string) { testutil.Must(t, write(filepath.Join(path, "x"))) }
	for name, tt := range map[string]struct {
		mode   os.FileMode
		change func(t *testing.T, path string)
		why    string // "" for none
	}{
		"as it should be":     {0o700, func(*testing.T, string) {}, ""},
		"restricted":          {0o500, func(*testing.T, string) {}, ""},
		"already in use":      {0o700, content, ""},
		"restricted, in use":  {0o500, content, ""},
		"open":                {0o777, func(*testing.T, string) {}, ""},
		"open, not empty":     {0o777, content, "it is not empty"},
		"open, and gone":      {0o777, func(t *testing.T, p string) { testutil.Must(t, os.Remove(p)) }, "it is not empty"},
		"another's":           {0o700, func(t *testing.T, p string) { testutil.Must(t, os.Chown(p, stranger, -1)) }, "owned by account"},
		"another's, and open": {0o777, func(t *testing.T, p string) { testutil.Must(t, os.Chown(p, stranger, -1)) }, "owned by account"},
	} {
		top := private(t)
		path := filepath.Join(top, "new")
		dir(tt.mode)(t, path)
		f, err := base(t, top, me()).openChild("new")
		testutil.Must(t, err)
		tt.change(t, path)
		err = f.setMode()
		st, serr := f.stat()
		f.Close()
		if (err == nil) != (tt.why == "") || (err != nil && !strings.Contains(err.Error(), tt.why)) || serr != nil || (err == nil && st.Mode&0o777 != 0o700) {
			t.Errorf("%s: %v, want %q; the mode is %04o", name, err, tt.why, st.Mode&0o777)
		}
	}
}

// TestClosed: a directory that is closed already can be neither opened again nor examined.
func TestClosed(t *testing.T) {
	f := &Dir{fd: -1, path: testutil.AbsPath(t, "/closed"), rules: me()}
	for name, do := range map[string]func() error{
		"open again": func() error { _, err := f.Open(); return err },
		"examine":    func() error { _, err := f.stat(); return err },
		"set mode":   f.setMode,
		"check":      f.checkExisting,
		"list":       func() error { _, err := f.Names(); return err },
	} {
		if do() == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// TestOpenUncheckedMissing: what is missing at any level is an error, and nothing is opened.
func TestOpenUncheckedMissing(t *testing.T) {
	top := private(t)
	f := base(t, top, me())
	testutil.Must(t, os.MkdirAll(filepath.Join(top, "a/b"), 0o777))
	for _, elem := range [][]string{{"x"}, {"a", "x"}, {"a", "b", "x"}, {"a", ".."}} {
		if below, err := f.OpenUnchecked(elem...); err == nil || below != nil {
			t.Errorf("%q: %v, %v", elem, below, err)
		}
	}
	below, err := f.OpenUnchecked("a", "b")
	testutil.Must(t, err)
	below.Close()
}

// TestCheckExistingAwaitsTheMode: a directory that another process has just made may not have
// its mode yet.
func TestCheckExistingAwaitsTheMode(t *testing.T) {
	top := private(t)
	path := filepath.Join(top, "new")
	dir(0o777)(t, path)
	f, err := base(t, top, me()).openChild("new")
	testutil.Must(t, err)
	defer f.Close()
	changed := make(chan error)
	time.AfterFunc(50*time.Millisecond, func() { changed <- os.Chmod(path, 0o700) })
	err = f.checkExisting()
	testutil.Must(t, <-changed)
	if err != nil {
		t.Error(err)
	}
}
