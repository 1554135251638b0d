package safedir

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestModesAreWholeUnderAnyUmask(t *testing.T) {
	for _, mask := range []int{0, 0o022, 0o077, 0o777} {
		for rules, want := range map[Rules]os.FileMode{me(): 0o700, group(): 0o750} {
			withUmask(t, mask, func() {
				if mask == 0o777 && !rules.Group {
					return // a umask that takes the owner's rights leaves nothing to test
				}
				top := private(t)
				must(t, os.Chmod(top, 0o700))
				f, err := Base(abs(t, filepath.Join(top, "base")), rules)
				if err != nil && mask == 0o777 {
					return
				}
				must(t, err)
				defer f.Close()
				below, err := f.Make("a", "b")
				must(t, err)
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
		must(t, err)
		if got, want := below.Path().String(), top+"/a/b/c"; got != want {
			t.Errorf("the path is %s, want %s", got, want)
		}
		below.Close()
	}
}

func TestWhatIsBelowTheBaseIsNeverALink(t *testing.T) {
	for name, plant := range map[string]func(t *testing.T, path string){
		"link out":    func(t *testing.T, path string) { must(t, os.Symlink("/tmp", path)) },
		"link within": linkTo("target", 0o700),
		"dangling":    linkTo("", 0),
		"file":        file,
		"FIFO":        fifo,
	} {
		t.Run(name, func(t *testing.T) {
			top := private(t)
			f := base(t, top, me())
			plant(t, filepath.Join(top, "a"))
			for what, open := range map[string]func(...string) (*Folder, error){"Make": f.Make, "Open": f.Open, "Find": f.Find} {
				got, err := open("a", "b")
				if err == nil || !strings.Contains(err.Error(), "/a: it is not a directory") || got != nil {
					t.Errorf("%s: %v", what, err)
				}
			}
		})
	}
}

func TestWhatIsBelowTheBaseIsJudged(t *testing.T) {
	top := private(t)
	f := base(t, top, me())
	dir(0o755)(t, filepath.Join(top, "open"))
	for what, open := range map[string]func(...string) (*Folder, error){"Make": f.Make, "Open": f.Open} {
		if _, err := open("open"); err == nil || !strings.Contains(err.Error(), "others may enter it (mode 0755)") {
			t.Errorf("%s: %v", what, err)
		}
	}
	found, err := f.Find("open")
	must(t, err)
	found.Close()
}

func TestOpenOfNothing(t *testing.T) {
	f := base(t, private(t), me())
	for what, open := range map[string]func(...string) (*Folder, error){"Open": f.Open, "Find": f.Find} {
		if _, err := open("a", "b"); err != unix.ENOENT {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func TestNamesThatAreNone(t *testing.T) {
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

// TestDescriptorsAreGivenBack counts them after failures on every level.
func TestDescriptorsAreGivenBack(t *testing.T) {
	top := private(t)
	f := base(t, top, me())
	must(t, os.MkdirAll(filepath.Join(top, "a/b"), 0o700), os.Symlink("x", filepath.Join(top, "a/b/c")))
	before := descriptors(t)
	for range 10 {
		_, _ = f.Open("a", "b", "c", "d")
		_, _ = f.Open("a", "missing")
		_, _ = f.Make("a", "b", "..")
		_, _ = Base(abs(t, filepath.Join(top, "a/b/c")), me())
		_, _ = f.Read("a", 10)
	}
	if after := descriptors(t); after != before {
		t.Errorf("%d descriptors are open, before it were %d", after, before)
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
