package safedir

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"jacamar-ci/test/harness/testutil"
)

// noted are rules that write down what is restored.
func noted(r Rules, list *[]string) Rules {
	r.Restored = func(path string, was uint32) { *list = append(*list, fmt.Sprintf("%s %04o", filepath.Base(path), was)) }
	return r
}

// TestModeIsRestored: a directory has the mode of the rules after it was opened, which is
// noted, or others may write and it is refused as it is.
func TestModeIsRestored(t *testing.T) {
	for _, tt := range []struct {
		mode, private, group os.FileMode // 0 for refused
	}{
		{0o700, 0o700, 0o700},
		{0o755, 0o700, 0o750},
		{0o750, 0o700, 0o750},
		{0o701, 0o700, 0o700},
		{0o711, 0o700, 0o710},
		{0o555, 0o700, 0o750},
		{0o500, 0o700, 0o700},
		{0o050, 0o700, 0o750},
		{0o004, 0o700, 0o700},
		{0o770, 0, 0},
		{0o720, 0, 0},
		{0o702, 0, 0},
		{0o777, 0, 0},
		{0o022, 0, 0},
	} {
		for rules, want := range map[bool]os.FileMode{false: tt.private, true: tt.group} {
			t.Run(fmt.Sprintf("%04o, group %v", tt.mode, rules), func(t *testing.T) {
				t.Parallel() // each waits for a moment: the directory is new
				top := private(t)
				dir(tt.mode)(t, filepath.Join(top, "sub"))
				var got []string
				r := me()
				r.Group = rules
				below, err := base(t, top, noted(r, &got)).Make("sub")
				if err == nil {
					below.Close()
				}
				note := slices.Contains(got, fmt.Sprintf("sub %04o", tt.mode))
				now := mode(t, filepath.Join(top, "sub"))
				refused := want == 0
				if (err != nil) != refused || IsUnfit(err) != refused || !refused && (now != want || note != (now != tt.mode)) || refused && now&0o022 == 0 {
					t.Errorf("%v, now %04o, noted %q", err, now, got)
				}
			})
		}
	}
}

// TestClosedToItsOwner: what the account itself may not open, it may again.
func TestClosedToItsOwner(t *testing.T) {
	asRoot(t, "act as another account")
	for _, m := range []os.FileMode{0, 0o100, 0o200, 0o300, 0o400, 0o500, 0o600} {
		top := ofStranger(t)
		sub, file := filepath.Join(top, "sub"), filepath.Join(top, "file")
		testutil.Must(t, os.Mkdir(sub, 0o700), write(file), os.Lchown(sub, stranger, stranger), os.Lchown(file, stranger, stranger), os.Chmod(sub, m), os.Chmod(file, m&0o600), os.Chmod(top, m))
		var got []string
		var err error
		asAccount(stranger, func() {
			f, oerr := OpenOwnBase(testutil.AbsPath(t, top), noted(Rules{Owner: stranger}, &got))
			if err = oerr; err != nil {
				return
			}
			defer f.Close()
			below, oerr := f.Make("sub", "new")
			if err = oerr; err == nil {
				below.Close()
				if opened, oerr := f.File("file", unix.O_RDWR|unix.O_CREAT); oerr == nil {
					opened.Close()
				} else {
					err = oerr
				}
			}
		})
		if err != nil || mode(t, top) != 0o700 || mode(t, sub) != 0o700 || mode(t, file) != 0o600 || !strings.Contains(strings.Join(got, ","), fmt.Sprintf("sub %04o", m)) {
			t.Errorf("mode %03o: %v, now %03o, %03o, %03o; noted %q", m, err, mode(t, top), mode(t, sub), mode(t, file), got)
		}
	}
}

// TestNothingElseIsRestored: a link, another kind of file or what belongs to another account
// keeps its mode.
func TestNothingElseIsRestored(t *testing.T) {
	asRoot(t, "act as another account")
	top := ofStranger(t)
	for _, name := range []string{"file", "sub"} {
		testutil.Must(t, os.Mkdir(filepath.Join(top, name), 0), os.Chmod(filepath.Join(top, name), 0)) // root's
	}
	testutil.Must(t, unix.Mkfifo(filepath.Join(top, "fifo"), 0), os.Lchown(filepath.Join(top, "fifo"), stranger, stranger))
	asAccount(stranger, func() {
		f, err := OpenBase(testutil.AbsPath(t, top), Rules{Owner: stranger})
		testutil.Must(t, err)
		defer f.Close()
		for _, name := range []string{"file", "fifo"} {
			if file, err := f.File(name, unix.O_RDONLY); err == nil {
				file.Close()
				t.Errorf("%s was opened", name)
			}
		}
		if below, err := f.Open("sub"); err == nil {
			below.Close()
			t.Error("root's directory was opened")
		}
	})
	for _, name := range []string{"file", "sub", "fifo"} {
		if m := mode(t, filepath.Join(top, name)); m != 0 {
			t.Errorf("%s has mode %03o", name, m)
		}
	}
}

// TestBaseOfAnotherUse: the mode of a base that the user may share on purpose is not changed.
func TestBaseOfAnotherUse(t *testing.T) {
	path := filepath.Join(private(t), "alice")
	dir(0o755)(t, path)
	if _, err := OpenBase(testutil.AbsPath(t, path), me()); err == nil || mode(t, path) != 0o755 {
		t.Errorf("%v, now %03o", err, mode(t, path))
	}
	f, err := OpenOwnBase(testutil.AbsPath(t, path), me())
	testutil.Must(t, err)
	f.Close()
	if m := mode(t, path); m != 0o700 {
		t.Errorf("now %03o", m)
	}
}
