package imagestore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"jacamar-ci/internal/failure"
	"jacamar-ci/internal/image"
	"jacamar-ci/internal/job"
	"jacamar-ci/internal/jobrun/internal/container"
	"jacamar-ci/internal/jobrun/internal/container/charliecloud"
	"jacamar-ci/test/harness/testutil"
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

// TestChangeable: only root, the account itself, and no one else may write an image.
func TestChangeable(t *testing.T) {
	const own, other = 1000, 1001
	for _, tt := range []struct {
		owner, mode uint32
		want        bool
	}{
		{0, 0o755, false},
		{own, 0o755, false},
		{own, 0o700, false},
		{other, 0o755, true},
		{other, 0o500, true},
		{0, 0o775, true},
		{0, 0o757, true},
		{own, 0o720, true},
		{own, 0o702, true},
	} {
		if got := changeable(&unix.Stat_t{Uid: tt.owner, Mode: tt.mode}, own); got != tt.want {
			t.Errorf("owner %d, mode %04o: %v", tt.owner, tt.mode, got)
		}
	}
}

// TestUnusable: a path that the user can correct has the advice to do so.
func TestUnusable(t *testing.T) {
	name := testutil.AbsPath(t, "/images/x.sif")
	for err, want := range map[error]bool{unix.ENOENT: true, unix.EACCES: true, unix.EIO: false} {
		var f *failure.Error
		if got := unusable(name, err); !errors.As(got, &f) || f.Kind != failure.Build || strings.Contains(f.Hint, "correct image:") != want {
			t.Errorf("%v: %v, hint %q", err, got, f.Hint)
		}
	}
}

// TestLocalFile: what the engine prints about a file is what the job gets, and an engine that
// fails is a failure.
func TestLocalFile(t *testing.T) {
	l := newLocals(t)
	name := testutil.AbsPath(t, l.file(t, "x.sqfs", "hsqs", 0o644))
	part := func(file, text string) string { return container.Separator + file + "\n" + text + "\n" }
	good := container.Reply{Stdout: part(container.ConfigFile, `{"architecture":"amd64","config":{"User":"app"}}`) + part(container.DigestFile, "") + part("etc/passwd", "app:x:7:8::/:") + part("etc/group", "")}
	for text, tt := range map[string]struct {
		reply container.Reply
		temp  string
		user  string // "" for a failure
	}{
		"described":         {good, "", "app"},
		"the engine fails":  {container.Reply{Code: 1, Stderr: "no"}, "", ""},
		"no place for that": {good, "/no/such", ""},
	} {
		s := store(t, &registry{}, &bytes.Buffer{})
		s.Engine = charliecloud.Charliecloud{}
		s.Run = func(context.Context, container.Command, []*os.File) container.Reply { return tt.reply }
		if tt.temp != "" {
			s.Temp = testutil.AbsPath(t, tt.temp)
		}
		e, err := s.Local(t.Context(), name, l.allowed)
		if e.Config.User != tt.user || (err == nil) != (tt.user != "") || strings.Contains(e.Passwd, "app:") != (tt.user != "") {
			t.Errorf("%s: %+v, %v", text, e, err)
		}
	}
}
