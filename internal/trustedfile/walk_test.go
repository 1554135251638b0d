package trustedfile

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"golang.org/x/sys/unix"

	"jacamar-ci/test/harness/testutil"
)

func itoa(fd uintptr) string { return strconv.FormatUint(uint64(fd), 10) }

func TestSameAccess(t *testing.T) {
	was := fileStat{Mode: 0o40755, UID: 7, Size: 1, Dev: 2, Ino: 3}
	for name, tt := range map[string]struct {
		now  fileStat
		same bool
	}{
		"nothing":  {was, true},
		"the size": {fileStat{0o40755, 7, 9, 2, 3}, true},
		"mode":     {fileStat{0o40777, 7, 1, 2, 3}, false},
		"owner":    {fileStat{0o40755, 8, 1, 2, 3}, false},
		"device":   {fileStat{0o40755, 7, 1, 9, 3}, false},
	} {
		if got := tt.now.sameAccess(was); got != tt.same {
			t.Errorf("%s changed: %v", name, got)
		}
	}
}

func TestFollowsLinksInPath(t *testing.T) {
	dir := trustedDir(t)
	in := func(name string) string { return filepath.Join(dir, name) }
	mkdir(t, in("real/deep"), 0o755)
	mkdir(t, in("elsewhere"), 0o755)
	write(t, in("real/deep/file"), "text", 0o600)
	links := map[string]string{
		"absolute": in("real/deep"), "relative": "real/deep", "dots": "./real//deep/.", "up": "../" + filepath.Base(dir) + "/real/deep",
		"chain": "absolute", "elsewhere/back": "../real/deep", "self": ".", "real/over": "../../../../../../../../../../" + in("real/deep"),
	}
	for name, target := range links {
		testutil.Must(t, os.Symlink(target, in(name)))
	}
	for _, name := range []string{"absolute/file", "relative/file", "dots/file", "up/file", "chain/file", "elsewhere/back/file", "self/self/real/deep/file", "real/over/file"} {
		if got, err := Self().Read(testutil.AbsPath(t, in(name)), 100); err != nil || string(got) != "text" {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
}

func TestChecksLinkTarget(t *testing.T) {
	dir := trustedDir(t)
	in := func(name string) string { return filepath.Join(dir, name) }
	mkdir(t, in("open/inner"), 0o755)
	write(t, in("open/inner/file"), "", 0o600)
	testutil.Must(t, os.Chmod(in("open"), 0o777))
	testutil.Must(t, os.Symlink("open/inner", in("link")))
	refused(t, in("link/file"), plain, "cannot trust "+in("link/file")+": "+in("open")+" is writable by group and others (mode 0777): run: chmod go-w "+in("open"))

	mkdir(t, in("loops"), 0o755)
	testutil.Must(t, os.Symlink("b", in("loops/a")))
	testutil.Must(t, os.Symlink("a", in("loops/b")))
	for _, faults := range [][]Fault{Self().Check(testutil.AbsPath(t, in("loops/a/file")))} {
		if len(faults) != 1 || faults[0].Problem != "is one of too many symbolic links" {
			t.Errorf("loop: %+v", faults)
		}
	}
	testutil.Must(t, os.Symlink(in("nowhere"), in("dangling")))
	refused(t, in("dangling/file"), plain, "cannot open "+in("dangling/file")+": "+in("nowhere")+" does not exist: create it or correct the path")
	testutil.Must(t, os.Symlink("open/inner/file", in("tofile")))
	testutil.Must(t, os.Chmod(in("open"), 0o755))
	refused(t, in("tofile/file"), plain, "cannot trust "+in("tofile/file")+": "+in("open/inner/file")+" is not a directory: name the file by its real path")
}

func TestRefusesOtherOwners(t *testing.T) {
	rootOnly(t)
	dir := trustedDir(t)
	in := func(name string) string { return filepath.Join(dir, name) }
	mkdir(t, in("sub"), 0o755)
	write(t, in("sub/file"), "", 0o600)
	testutil.Must(t, os.Symlink("sub", in("link")))
	const other = 12345

	testutil.Must(t, os.Chown(in("sub/file"), other, 0))
	refused(t, in("sub/file"), plain, "cannot trust "+in("sub/file")+": it is owned by uid 12345, not by root: run: chown root "+in("sub/file"))
	testutil.Must(t, os.Chown(in("sub/file"), 0, other))
	testutil.Must(t, os.Chown(in("sub"), other, 0))
	refused(t, in("sub/file"), plain, "cannot trust "+in("sub/file")+": its directory "+in("sub")+" is owned by uid 12345, not by root: "+
		"keep it below directories that belong to root, or run: chown root "+in("sub"))
	testutil.Must(t, os.Chown(in("sub"), 0, 0))
	testutil.Must(t, os.Lchown(in("link"), other, 0))
	refused(t, in("link/file"), plain, "cannot trust "+in("link/file")+": its directory "+in("link")+" is owned by uid 12345, not by root: run: chown -h root "+in("link"))
	if _, err := Self().Open(testutil.AbsPath(t, in("sub/file")), 1); err != nil {
		t.Errorf("a foreign group alone: %v", err)
	}
}

// TestAccessControlList: an ACL that lets another account write the file shows in
// the mode.
func TestAccessControlList(t *testing.T) {
	path := filepath.Join(trustedDir(t), "file")
	write(t, path, "", 0o644)
	// acl(5) as linux/posix_acl_xattr.h lays it out: user::rw-, user:12345:rw-,
	// group::r--, mask::rw-, other::r--.
	const any = 0xffffffff
	list := []byte{2, 0, 0, 0}
	for _, e := range []struct{ tag, perm, id uint32 }{{1, 6, any}, {2, 6, 12345}, {4, 4, any}, {16, 6, any}, {32, 4, any}} {
		list = append(list, byte(e.tag), 0, byte(e.perm), 0, byte(e.id), byte(e.id>>8), byte(e.id>>16), byte(e.id>>24))
	}
	if err := unix.Setxattr(path, "system.posix_acl_access", list, 0); err != nil {
		t.Skipf("this file system has no access control lists: %v", err)
	}
	refused(t, path, plain, "cannot trust "+path+": it is writable by group (mode 0664): run: chmod g-w "+path)
}

func TestCheckListsEveryFault(t *testing.T) {
	dir := trustedDir(t)
	in := func(name string) string { return filepath.Join(dir, name) }
	mkdir(t, in("a/b"), 0o755)
	write(t, in("a/b/file"), "", 0o622)
	testutil.Must(t, os.Symlink("../a", in("a/again")))
	testutil.Must(t, os.Chmod(in("a"), 0o777|os.ModeSticky))
	testutil.Must(t, os.Chmod(in("a/b"), 0o770))

	want := []string{
		in("a") + " is writable by group and others (mode 1777)",
		in("a/b") + " is writable by group (mode 0770)",
		in("a/b/file") + " is writable by group and others (mode 0622)",
	}
	for _, path := range []string{"a/b/file", "a/again/again/b/file"} {
		var got []string
		for _, f := range Self().Check(testutil.AbsPath(t, in(path))) {
			got = append(got, f.Path+" "+f.Problem)
			if f.File != in(path) || f.Fix == "" {
				t.Errorf("%+v", f)
			}
		}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%s: got %q, want %q", path, got, want)
		}
	}
}

func TestCheckGoodAndMissing(t *testing.T) {
	dir := trustedDir(t)
	write(t, filepath.Join(dir, "file"), "", 0o600)
	if faults := Self().Check(testutil.AbsPath(t, filepath.Join(dir, "file"))); faults != nil {
		t.Errorf("%+v", faults)
	}
	faults := Self().Check(testutil.AbsPath(t, filepath.Join(dir, "missing")))
	if len(faults) != 1 || faults[0].Problem != "does not exist" {
		t.Errorf("%+v", faults)
	}
	if faults := Self().Check(testutil.AbsPath(t, "/")); len(faults) != 1 {
		t.Errorf("%+v", faults)
	}
}

// TestCheckRoot: a file of this account does not count as one of root.
func TestCheckRoot(t *testing.T) {
	path := filepath.Join(trustedDir(t), "file")
	write(t, path, "", 0o600)
	if os.Geteuid() != 0 {
		if Self().Check(testutil.AbsPath(t, path)) != nil || Root().Check(testutil.AbsPath(t, path)) == nil {
			t.Error("a file of this account counts as one of root")
		}
		return
	}
	if faults := Root().Check(testutil.AbsPath(t, path)); faults != nil {
		t.Errorf("%+v", faults)
	}
	testutil.Must(t, os.Chown(path, 4242, 0))
	if faults := Root().Check(testutil.AbsPath(t, path)); len(faults) != 1 {
		t.Errorf("%+v", faults)
	}
}

func TestLeavesNoDescriptor(t *testing.T) {
	dir := trustedDir(t)
	in := func(name string) string { return filepath.Join(dir, name) }
	mkdir(t, in("a"), 0o755)
	write(t, in("a/file"), "", 0o600)
	write(t, in("a/bad"), "", 0o666)
	testutil.Must(t, os.Symlink("a", in("link")))
	before := descriptors(t)
	for range 50 {
		for _, name := range []string{"a/file", "link/file", "a/bad", "a/missing", "missing/file", "link/bad/x"} {
			Self().Check(testutil.AbsPath(t, in(name)))
			if f, err := Self().Open(testutil.AbsPath(t, in(name)), 10); err == nil {
				f.Close()
			}
		}
	}
	// Fewer belong to another test, which the garbage collector has closed meanwhile.
	if after := descriptors(t); after > before {
		t.Errorf("%d descriptors before, %d after", before, after)
	}
}

func descriptors(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	testutil.Must(t, err)
	return len(entries)
}
