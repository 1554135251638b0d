package imagestore

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"jacamar-ci/internal/failure"
	"jacamar-ci/internal/image"
	"jacamar-ci/internal/job"
	"jacamar-ci/internal/jobrun/internal/container"
	"jacamar-ci/internal/jobrun/internal/container/charliecloud"
)

func (l locals) file(t *testing.T, name, text string, mode os.FileMode) string {
	t.Helper()
	path := filepath.Join(l.dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
	return path
}

func (l locals) directory(t *testing.T, name string, mode os.FileMode) string {
	t.Helper()
	path := filepath.Join(l.dir, name)
	if err := os.MkdirAll(path, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
	return path
}

// locals is a directory of images that a site allows.
type locals struct {
	dir     string
	allowed []image.Paths
}

func newLocals(t *testing.T) locals {
	t.Helper()
	l := locals{dir: t.TempDir(), allowed: make([]image.Paths, 1)}
	if err := l.allowed[0].UnmarshalText([]byte(l.dir + "/**")); err != nil {
		t.Fatal(err)
	}
	return l
}

func (l locals) get(t *testing.T, path string) (Entry, error) {
	t.Helper()
	name, err := job.ParseAbsPath(path)
	if err != nil {
		t.Fatal(err)
	}
	s := store(t, &registry{}, &bytes.Buffer{})
	s.Engine = charliecloud.Charliecloud{}
	return s.Local(context.Background(), name, l.allowed)
}

func TestLocalDirectory(t *testing.T) {
	l := newLocals(t)
	root := l.directory(t, "root", 0o755)
	l.directory(t, "root/etc", 0o755)
	l.directory(t, "root/ch", 0o755)
	l.file(t, "root/etc/passwd", "app:x:7:8::/:\n", 0o644)
	l.file(t, "root/ch/config.json", `{"architecture":"amd64","config":{"User":"app","Env":["A=b"]}}`, 0o644)
	e, err := l.get(t, root)
	if err != nil || e.Place.Form != container.Directory || e.Pinned() != root || len(e.Config.Env) != 1 {
		t.Fatalf("%+v, %v", e, err)
	}
	if ids, err := e.IDs(""); err != nil || ids != (image.IDs{UID: 7, GID: 8}) {
		t.Errorf("%v, %v", ids, err)
	}
	if _, err := e.Shell(); err == nil {
		t.Error("an image without a shell is accepted")
	}
	l.file(t, "root/ch/config.json", "{", 0o644)
	if _, err := l.get(t, root); failure.KindOf(err) != failure.Build {
		t.Errorf("a configuration that is none: %v", err)
	}
}

func TestLocalRefused(t *testing.T) {
	l := newLocals(t)
	outside := filepath.Join(t.TempDir(), "image")
	if err := os.Mkdir(outside, 0o755); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(l.dir, "link")
	if err := os.Symlink(outside, link); err != nil {
		t.Fatal(err)
	}
	l.directory(t, "open", 0o777)
	for name, tt := range map[string]struct{ path, text string }{
		"outside":                {outside, "not allowed"},
		"leads out":              {link, "its symbolic links lead to " + outside},
		"missing":                {l.dir + "/missing", "cannot use the image"},
		"below a file":           {l.file(t, "file", "hsqs", 0o644) + "/x", "cannot use the image"},
		"others can write":       {l.directory(t, "written", 0o757), "others can change it"},
		"the group can write":    {l.file(t, "group", "hsqs", 0o664), "others can change it"},
		"in an open directory":   {l.directory(t, "open/image", 0o755), "open"},
		"archive":                {l.file(t, "a.tar", fmt.Sprintf("%-257sustar", "x"), 0o644), "archive"},
		"compressed archive":     {l.file(t, "a.tar.gz", "\x1f\x8b", 0o644), "archive"},
		"text":                   {l.file(t, "text", strings.Repeat("x", 4096), 0o644), "neither"},
		"empty":                  {l.file(t, "empty", "", 0o644), "neither"},
		"form of another engine": {l.file(t, "sif", strings.Repeat(" ", 32)+"SIF_MAGIC\x00", 0o644), "charliecloud does not run the form sif"},
		"colon":                  {l.file(t, "a:b", "hsqs", 0o644), "colon"},
		"device":                 {"/dev/null", ""},
	} {
		e, err := l.get(t, tt.path)
		if failure.KindOf(err) != failure.Build || !strings.Contains(fmt.Sprint(err), tt.text) {
			t.Errorf("%s: %+v, %v", name, e, err)
		}
	}
}
