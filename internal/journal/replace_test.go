package journal

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"jacamar-ci/test/harness/testutil"
)

func content(s string) func(io.Writer) error {
	return func(w io.Writer) error { _, err := io.WriteString(w, s); return err }
}

func directory(t *testing.T) (path string, fd int) {
	t.Helper()
	path = t.TempDir()
	dir, err := os.Open(path)
	testutil.Must(t, err)
	t.Cleanup(func() { dir.Close() })
	return path, int(dir.Fd())
}

// wantFile fails the test unless the directory has that file alone.
func wantFile(t *testing.T, dir, expected string) {
	t.Helper()
	got, err := os.ReadFile(filepath.Join(dir, "page"))
	names, _ := filepath.Glob(filepath.Join(dir, ".*"))
	if err != nil || string(got) != expected || len(names) != 0 {
		t.Errorf("%q, %v; next to it %q", got, err, names)
	}
}

// TestReplace: also over what a killed process left; a failed one changes nothing.
func TestReplace(t *testing.T) {
	dir, fd := directory(t)
	for _, to := range []string{"a long first text", "short"} {
		testutil.Must(t, os.WriteFile(filepath.Join(dir, ".page.new"), []byte("half of what a killed process wanted to write"), 0o600))
		testutil.Must(t, Replace(fd, "page", 0o644, content(to)))
		wantFile(t, dir, to)
	}
	if err := Replace(fd, "page", 0o644, func(w io.Writer) error { fmt.Fprint(w, "x"); return errors.New("y") }); err == nil {
		t.Error("a failure is not reported")
	}
	wantFile(t, dir, "short")
	if info, err := os.Stat(filepath.Join(dir, "page")); err != nil || info.Mode().Perm() != 0o644 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
}

// TestManyWriters (MON/STATIC): each of many at once writes a whole file.
func TestManyWriters(t *testing.T) {
	dir, fd := directory(t)
	failed := make(chan error)
	const writers = 30
	for n := range writers {
		go func() { failed <- Replace(fd, "page", 0o644, content(strings.Repeat(fmt.Sprint(n%10), 1+n*10000))) }()
	}
	for range writers {
		if err := <-failed; err != nil {
			t.Error(err)
		}
		got, err := os.ReadFile(filepath.Join(dir, "page"))
		if err != nil || len(got) == 0 || len(got)%10000 != 1 || strings.Trim(string(got), string(got[:1])) != "" {
			t.Errorf("%v: %d bytes, %.20q", err, len(got), got)
		}
	}
	wantFile(t, dir, func() string { got, _ := os.ReadFile(filepath.Join(dir, "page")); return string(got) }())
}

// TestPlantedTemporary (SEC/API): what another account put where the temporary file belongs is not used.
func TestPlantedTemporary(t *testing.T) {
	outside := filepath.Join(t.TempDir(), "outside")
	testutil.Must(t, os.WriteFile(outside, []byte("x"), 0o600))
	for name, plant := range map[string]func(path string) error{
		"a symbolic link": func(path string) error { return os.Symlink(outside, path) },
		"a hard link":     func(path string) error { return os.Link(outside, path) },
		"a FIFO":          func(path string) error { return syscall.Mkfifo(path, 0o600) },
		"a directory":     func(path string) error { return os.Mkdir(path, 0o700) },
		"of another owner": func(path string) error {
			return errors.Join(os.WriteFile(path, nil, 0o666), os.Chown(path, 65534, 65534))
		},
	} {
		t.Run(name, func(t *testing.T) {
			if name == "of another owner" && os.Geteuid() != 0 {
				t.Skip("only root can give files away")
			}
			dir, fd := directory(t)
			testutil.Must(t, plant(filepath.Join(dir, ".page.new")))
			if err := Replace(fd, "page", 0o644, content("y")); err == nil {
				t.Error("it is used")
			}
			if got, err := os.ReadFile(outside); err != nil || string(got) != "x" {
				t.Errorf("%q, %v", got, err)
			}
		})
	}
}

// TestKilledWriter (MON/STATIC): a process that is killed while it writes leaves one file, which the
// next one uses.
func TestKilledWriter(t *testing.T) {
	dir, fd := directory(t)
	if os.Getenv("REPLACE_DIR") != "" {
		d, err := os.Open(os.Getenv("REPLACE_DIR"))
		testutil.Must(t, err)
		_ = Replace(int(d.Fd()), "page", 0o644, func(w io.Writer) error {
			for {
				if _, err := io.WriteString(w, strings.Repeat("x", 1000)); err != nil {
					return err
				}
			}
		})
		return
	}
	for range 3 {
		cmd := exec.Command(os.Args[0], "-test.run", "^TestKilledWriter$")
		cmd.Env = append(os.Environ(), "REPLACE_DIR="+dir)
		testutil.Must(t, cmd.Start())
		for {
			if info, err := os.Stat(filepath.Join(dir, ".page.new")); err == nil && info.Size() > 0 {
				break
			}
		}
		testutil.Must(t, cmd.Process.Kill())
		_ = cmd.Wait()
	}
	if names, err := filepath.Glob(filepath.Join(dir, ".*")); err != nil || len(names) != 1 {
		t.Errorf("%q, %v", names, err)
	}
	testutil.Must(t, Replace(fd, "page", 0o644, content("whole")))
	wantFile(t, dir, "whole")
}
