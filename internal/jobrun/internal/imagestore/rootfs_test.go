package imagestore

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"jacamar-ci/internal/failure"
)

// layers are two directories with these files and links ("-> target"), the topmost first.
func layers(t *testing.T, all ...map[string]string) *Root {
	t.Helper()
	r := &Root{}
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
		r.layers = append(r.layers, dir)
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
	if err := unix.Mknod(r.layers[0]+"/gone", unix.S_IFCHR, 0); err != nil {
		t.Skipf("cannot make a device: %v", err)
	}
	if err := os.Mkdir(r.layers[0]+"/opaque", 0o700); err != nil {
		t.Fatal(err)
	}
	if err := unix.Setxattr(r.layers[0]+"/opaque", "user.overlay.opaque", []byte("y"), 0); err != nil {
		t.Skipf("no extended attributes here: %v", err)
	}
	if r.Has("/gone") || r.Has("/opaque/a") || !r.Has("/etc/passwd") {
		t.Errorf("gone %v, opaque %v, passwd %v", r.Has("/gone"), r.Has("/opaque/a"), r.Has("/etc/passwd"))
	}
}

func TestRootOnBadStorage(t *testing.T) {
	r := layers(t, map[string]string{"etc/passwd": "text"})
	if r.note(unix.ENOENT); r.Err() != nil {
		t.Errorf("a missing file: %v", r.Err())
	}
	r.note(&os.PathError{Op: "read", Path: "x", Err: unix.EIO})
	if err := r.Err(); err == nil || failure.KindOf(err) != failure.System || !strings.Contains(err.Error(), "cannot read the image: input/output error") {
		t.Errorf("%v", err)
	}
	e := Entry{Layers: []string{"missing"}}
	if _, err := e.Shell(); failure.KindOf(err) != failure.Build {
		t.Errorf("%v", err)
	}
}

// An image that is a file has no layers to look into.
func TestSettleFile(t *testing.T) {
	e := Entry{Passwd: "app:x:7:8::/:/bin/sh\n"}
	if shell, err := e.Shell(); shell != "sh" || err != nil || e.Dash() {
		t.Errorf("%q, %v, dash %v", shell, err, e.Dash())
	}
	if ids, err := e.IDs("app"); err != nil || ids.UID != 7 || ids.GID != 8 {
		t.Errorf("%+v, %v", ids, err)
	}
}
