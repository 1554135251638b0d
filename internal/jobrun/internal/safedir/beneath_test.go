package safedir

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"unsafe"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"jacamar-ci/test/harness/setup/syscalls"
	"jacamar-ci/test/harness/testutil"
)

func TestMain(m *testing.M) {
	syscalls.Main()
	os.Exit(m.Run())
}

// TestFileBelow: a file some levels below a base is made, read and removed there, and nowhere
// else where a link has taken the place of a directory or of the file.
func TestFileBelow(t *testing.T) {
	for _, linked := range []string{"", "base", "base/scripts", "base/scripts/r", "base/scripts/r/7", "base/scripts/r/7/file"} {
		t.Run("link "+linked, func(t *testing.T) {
			dir := t.TempDir()
			in := func(name string) string { return filepath.Join(dir, name) }
			testutil.Must(t, os.MkdirAll(in("base/scripts/r/7"), 0o700))
			f := NewFileBelow(testutil.AbsPath(t, in("base")), testutil.AbsPath(t, in("base/scripts/r/7")), "file")
			outside := in("outside")
			if linked != "" {
				testutil.Must(t, os.WriteFile(in("base/scripts/r/7/file"), []byte("precious"), 0o600))
				testutil.Must(t, os.Rename(in(linked), outside))
				testutil.Must(t, os.Symlink(outside, in(linked)))
			}
			made, err := f.Create()
			if (err == nil) != (linked == "") {
				t.Errorf("create: %v", err)
			}
			if err == nil {
				testutil.Must(t, made.Close())
			}
			if _, err := f.Create(); linked == "" && !errors.Is(err, unix.EEXIST) {
				t.Errorf("made again: %v", err)
			}
			read, err := f.Open(unix.O_RDONLY)
			if (err == nil) != (linked == "") {
				t.Errorf("open: %v", err)
			}
			if err == nil {
				testutil.Must(t, read.Close())
			}
			f.Remove()
			if linked == "" {
				if _, err := os.Lstat(in("base/scripts/r/7/file")); err == nil {
					t.Error("it was not removed")
				}
				return
			}
			found := 0
			testutil.Must(t, filepath.Walk(outside, func(path string, info os.FileInfo, err error) error {
				if err == nil && info.Mode().IsRegular() {
					text, err := os.ReadFile(path)
					if found++; string(text) != "precious" {
						t.Errorf("%s is %q", path, text)
					}
					return err
				}
				return err
			}))
			if found != 1 {
				t.Errorf("%d files outside, want 1", found)
			}
		})
	}
}

// without runs do on a thread where openat2(2) is refused with that error: as by a kernel that
// does not have it, or by the filters of some containers.
func without(t *testing.T, errno unix.Errno, do func()) {
	t.Helper()
	program := []unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS}, // the number of the call, which is first in struct seccomp_data
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: unix.SYS_OPENAT2, Jf: 1},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ERRNO | uint32(errno)},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW},
	}
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked: the filter ends with the thread
		err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
		defer func() { done <- err }() // also where do ends the goroutine
		if err == nil {
			filter := unix.SockFprog{Len: uint16(len(program)), Filter: &program[0]}
			err = unix.Prctl(unix.PR_SET_SECCOMP, unix.SECCOMP_MODE_FILTER, uintptr(unsafe.Pointer(&filter)), 0, 0)
		}
		if _, refused := unix.Openat2(unix.AT_FDCWD, "/", &unix.OpenHow{}); err == nil && refused != errno {
			err = fmt.Errorf("openat2: %w", refused)
		}
		if err == nil {
			do()
		}
	}()
	testutil.Must(t, <-done)
}

// places are paths in the tree of TestEitherWay.
var places = [][]string{
	{"a"},
	{"a", "b"},
	{"a", "b", "file"},
	{"a", "file"},
	{"a", "file", "x"},
	{"a", "fifo"},
	{"a", "missing"},
	{"a", "missing", "x"},
	{"missing", "x"},
	{"a", "link"},
	{"a", "link", "file"},
	{"a", "linked"},
	{"out", "b"},
	{"out", "b", "file"},
	{"a", "loop", "x"},
	{"a", "closed", "x"},
	{"a", "open", "b"},
	{"a", ".."},
	{"..", "a"},
	{"a", ".", "b"},
	{"a", ""},
	{"a", "/"},
	{"/", "a"},
	{"a/b", "file"},
	{"a", "b/file"},
	{"a", "/etc"},
	{"a", "self", "root"},
	{"a", "x\x00", "b"},
	{},
	{"a", strings.Repeat("n", 300)},
}

// either opens and makes all places in all ways, and returns what came of each.
func either(t *testing.T, d *Dir) map[string]string {
	top := d.Path().String()
	all := map[string]string{}
	note := func(way string, elem []string, path string, err error) {
		all[fmt.Sprintf("%s %q", way, elem)] = fmt.Sprintf("%s: %v %v %v", path, err, errors.Is(err, unix.ENOENT), errors.Is(err, unix.EEXIST))
	}
	named := func(d *Dir, err error) (string, error) {
		if err != nil {
			return "", err
		}
		defer d.Close()
		return d.Path().String(), nil
	}
	for _, elem := range places {
		path, err := named(d.Open(elem...))
		note("open", elem, path, err)
		path, err = named(d.OpenUnchecked(elem...))
		note("open unchecked", elem, path, err)
		if len(elem) == 0 {
			continue
		}
		last := len(elem) - 1
		f := FileBelow{top, elem[:last], elem[last]}
		for way, flags := range map[string]int{"read": unix.O_RDONLY, "make": unix.O_CREAT | unix.O_EXCL | unix.O_WRONLY} {
			file, err := f.Open(flags)
			if err == nil {
				if way == "make" {
					path := filepath.Join(append([]string{top}, elem...)...)
					note("mode", elem, mode(t, path).String(), os.Remove(path))
				}
				testutil.Must(t, file.Close())
			}
			note(way, elem, "", err)
		}
	}
	return all
}

// TestEitherWay: what is opened and made below a directory, and each error, is the same where the
// kernel has openat2(2), where it has not, and where a filter refuses the call.
func TestEitherWay(t *testing.T) {
	top := private(t)
	in := func(name string) string { return filepath.Join(top, name) }
	testutil.Must(t, os.MkdirAll(in("a/b"), 0o700), os.MkdirAll(in("a/open/b"), 0o700), os.MkdirAll(in("a/closed/x"), 0o700), unix.Chmod(in("a/open"), 0o777), unix.Chmod(in("a/closed"), 0),
		write(in("a/file")), write(in("a/b/file")), unix.Mkfifo(in("a/fifo"), 0o600), os.Symlink("b", in("a/link")), os.Symlink("file", in("a/linked")),
		os.Symlink("loop", in("a/loop")), os.Symlink(in("a"), in("out")), os.Symlink("/proc/self", in("a/self")))
	t.Cleanup(func() { testutil.Must(t, unix.Chmod(in("a/closed"), 0o700)) })
	dir := base(t, top, me())
	want := either(t, dir)
	opened := 0
	through := regexp.MustCompile(`"(link|linked|out|loop|self|\.\.?|.*/.*)"`)
	for way, result := range want {
		if strings.Contains(result, "<nil>") {
			opened++
			if through.MatchString(way) {
				t.Errorf("%s: %s", way, result)
			}
		}
	}
	if opened < 15 || len(want) < 4*len(places)-2 {
		t.Fatalf("%d of %d are opened", opened, len(want))
	}
	for _, errno := range []unix.Errno{unix.ENOSYS, unix.EPERM} {
		without(t, errno, func() {
			if diff := cmp.Diff(want, either(t, dir)); diff != "" {
				t.Errorf("%v: (-with openat2 +without)\n%s", errno, diff)
			}
		})
	}
}

// TestFileBelowWithoutOpenat2: no link leads out where the kernel does not have the call.
func TestFileBelowWithoutOpenat2(t *testing.T) {
	syscalls.Again(t, syscalls.Linux418(), "^(TestFileBelow|TestOpenBelow|TestOpenBeneath)$", "TestFileBelow", "TestOpenBelow", "TestOpenBeneath")
}

// TestOpenBeneath: a call makes a file that only its owner may use, or opens one that exists.
func TestOpenBeneath(t *testing.T) {
	top := private(t)
	f := base(t, top, me())
	testutil.Must(t, os.Mkdir(filepath.Join(top, "a"), 0o700))
	for _, flags := range []int{unix.O_WRONLY | unix.O_CREAT | unix.O_EXCL, unix.O_RDONLY} {
		fd, err := openBeneath(f.fd, []string{"a", "file"}, flags)
		testutil.Must(t, err)
		unix.Close(fd)
	}
	if got := mode(t, filepath.Join(top, "a/file")); got != 0o600 {
		t.Errorf("the mode is %04o", got)
	}
}

// TestOpenBelow: several levels below a directory that only its owner may enter are opened by
// one call. All others are opened one by one, which explains what is wrong.
func TestOpenBelow(t *testing.T) {
	top := private(t)
	testutil.Must(t, os.MkdirAll(filepath.Join(top, "a/b"), 0o700), os.Mkdir(filepath.Join(top, "a/open"), 0o700),
		unix.Chmod(filepath.Join(top, "a/open"), 0o777))
	f := base(t, top, me())
	inGroup := base(t, top, group())
	for name, tt := range map[string]struct {
		from *Dir
		elem []string
		want bool
	}{
		"two levels":          {f, []string{"a", "b"}, true},
		"one level":           {f, []string{"a"}, false},
		"none":                {f, nil, false},
		"members of a group":  {inGroup, []string{"a", "b"}, false},
		"missing":             {f, []string{"a", "c"}, false},
		"not a name":          {f, []string{"a", "../a"}, false},
		"others may write it": {f, []string{"a", "open"}, false},
	} {
		below, ok := tt.from.openBelow(tt.elem)
		if ok != tt.want {
			t.Errorf("%s: %v", name, ok)
		}
		if ok {
			if want := filepath.Join(append([]string{top}, tt.elem...)...); below.Path().String() != want {
				t.Errorf("%s: the path is %s, want %s", name, below.Path(), want)
			}
			below.Close()
		}
	}
}
