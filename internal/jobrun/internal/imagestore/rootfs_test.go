package imagestore

import (
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// layers are two directories with these files and links ("-> target"), the topmost first.
func layers(t *testing.T, all ...map[string]string) (r Root) {
	t.Helper()
	for _, files := range all {
		dir := t.TempDir()
		for name, text := range files {
			p := filepath.Join(dir, name)
			if err := os.MkdirAll(filepath.Dir(p), 0o700); err != nil {
				t.Fatal(err)
			}
			var err error
			if len(text) > 3 && text[:3] == "-> " {
				err = os.Symlink(text[3:], p)
			} else {
				err = os.WriteFile(p, []byte(text), 0o600)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		r = append(r, dir)
	}
	return r
}

func TestRoot(t *testing.T) {
	r := layers(t,
		map[string]string{"etc/passwd": "new", "bin": "-> usr/bin", "loop": "-> loop", "up": "-> ../../etc/passwd", "host": "-> /etc/hostname-of-the-image", "file": "x"},
		map[string]string{"etc/passwd": "old", "etc/group": "group", "usr/bin/sh": "shell", "abs/link": "-> /usr/bin/sh", "file/below": "y", "dir/a": "a"},
	)
	for name, want := range map[string]string{
		"/etc/passwd": "new", "/etc/group": "group", "/bin/sh": "shell", "/abs/link": "shell", "/up": "new", "/loop": "", "/host": "", "/etc": "",
		"/file/below": "", "/file": "x", "/no/such": "", "/../etc/group": "group", "/dir/a": "a",
	} {
		if got := r.Read(name); got != want || r.Has(name) != (want != "") {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}

func TestRootHides(t *testing.T) {
	r := layers(t, map[string]string{"etc/x": "x"}, map[string]string{"etc/passwd": "old", "gone": "old", "opaque/a": "a"})
	if err := unix.Mknod(r[0]+"/gone", unix.S_IFCHR, 0); err != nil {
		t.Skipf("cannot make a device: %v", err)
	}
	if err := os.Mkdir(r[0]+"/opaque", 0o700); err != nil {
		t.Fatal(err)
	}
	if err := unix.Setxattr(r[0]+"/opaque", "user.overlay.opaque", []byte("y"), 0); err != nil {
		t.Skipf("no extended attributes here: %v", err)
	}
	if r.Has("/gone") || r.Has("/opaque/a") || !r.Has("/etc/passwd") {
		t.Errorf("gone %v, opaque %v, passwd %v", r.Has("/gone"), r.Has("/opaque/a"), r.Has("/etc/passwd"))
	}
}
