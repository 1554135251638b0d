package runas

import (
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"jacamar-ci/internal/failure"
	"jacamar-ci/internal/job"

	"golang.org/x/sys/unix"

	"jacamar-ci/test/harness/testutil"
)

func TestRunRefusesUntrusted(t *testing.T) {
	const marker = "touch \"${0%/*}/ran\" 2>/dev/null; echo ran >&2; exit 3"
	for _, c := range []struct {
		name   string
		change func(t *testing.T, s *Script)
		want   string
	}{
		{"missing", func(t *testing.T, s *Script) { testutil.Must(t, os.Remove(s.Path.String())) }, "does not exist"},
		{"writable by others", func(t *testing.T, s *Script) { testutil.Must(t, os.Chmod(s.Path.String(), 0o702)) }, "is writable by others (mode 0702)"},
		{"writable by its group", func(t *testing.T, s *Script) { testutil.Must(t, os.Chmod(s.Path.String(), 0o720)) }, "is writable by group (mode 0720)"},
		{
			"in a directory that others can write", func(t *testing.T, s *Script) { testutil.Must(t, os.Chmod(filepath.Dir(s.Path.String()), 0o777)) },
			"is writable by group and others (mode 0777)",
		},
		{"not executable", func(t *testing.T, s *Script) { testutil.Must(t, os.Chmod(s.Path.String(), 0o600)) }, "is not executable (mode 0600)"},
		{"owned by another", func(t *testing.T, s *Script) {
			if os.Geteuid() != 0 {
				t.Skip("only root can give files away")
			}
			testutil.Must(t, os.Chown(s.Path.String(), 1234, 0))
		}, "is owned by uid 1234, not by root"},
		{"a symbolic link", func(t *testing.T, s *Script) {
			testutil.Must(t, os.Rename(s.Path.String(), s.Path.String()+".real"))
			testutil.Must(t, os.Symlink(s.Path.String()+".real", s.Path.String()))
		}, "is a symbolic link, not a regular file"},
		{"a FIFO", func(t *testing.T, s *Script) {
			testutil.Must(t, os.Remove(s.Path.String()))
			testutil.Must(t, unix.Mkfifo(s.Path.String(), 0o700))
		}, "is a FIFO, not a regular file"},
		{"wrong sum", func(t *testing.T, s *Script) { s.SHA256 = strings.Repeat("0", 64) }, "want sha256 = " + strings.Repeat("0", 64)},
		{"sum of the old text", func(t *testing.T, s *Script) {
			s.SHA256 = sha256sum(t, s.Path.String())
			f, err := os.OpenFile(s.Path.String(), os.O_APPEND|os.O_WRONLY, 0)
			testutil.Must(t, err)
			_, err = f.WriteString("\n")
			testutil.Must(t, errors.Join(err, f.Close()))
		}, "want sha256 = "},
		{"no interpreter", func(t *testing.T, s *Script) { write(t, s, "#!/nonexistent/bash\n") }, "no such file or directory"},
		{"no first line", func(t *testing.T, s *Script) { write(t, s, "echo\n") }, "exec format error"},
		{"empty", func(t *testing.T, s *Script) { write(t, s, "") }, "exec format error"},
		{"too long", func(t *testing.T, s *Script) { testutil.Must(t, os.Truncate(s.Path.String(), maxScriptSize+1)) }, "is longer than 67108864 bytes"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := bash(t, marker)
			c.change(t, &s)
			a, err := run(t, s, "alice", "")
			refused(t, a, err, failure.Config, s.Path.String(), c.want)
			if strings.Contains(err.Error(), "standard error") {
				t.Errorf("the script ran: %v", err)
			}
			if line, _ := failure.ForUser(err, false, ""); line != "this CI resource is not set up correctly" {
				t.Errorf("the user reads %q", line)
			}
		})
	}
}

func TestRunAcceptsChecksum(t *testing.T) {
	s := bash(t, "true")
	s.SHA256 = sha256sum(t, s.Path.String())
	if a, err := run(t, s, "alice", ""); err != nil || a.Username.String() != "alice" {
		t.Errorf("answer %+v, error %v", a, err)
	}
}

// TestRunExecutesHashedBytes replaces the script in a loop, by rename and by writing
// into it.
func TestRunExecutesHashedBytes(t *testing.T) {
	for _, c := range []struct {
		name string
		swap func(path, evil, good string) error
	}{
		{"renamed over", func(path, evil, good string) error {
			for _, text := range []string{evil, good} {
				if err := errors.Join(os.WriteFile(path+".new", []byte(text), 0o700), os.Rename(path+".new", path)); err != nil {
					return err
				}
			}
			return nil
		}},
		{"written into", func(path, evil, good string) error {
			f, err := os.OpenFile(path, os.O_WRONLY, 0)
			if err != nil {
				return err
			}
			_, err1 := f.WriteAt([]byte(evil), 0)
			_, err2 := f.WriteAt([]byte(good), 0)
			return errors.Join(err1, err2, f.Close())
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			// The two differ in one byte.
			good, evil := "#!/bin/sh\necho '{\"username\":\"good\"}'\n", "#!/bin/sh\necho '{\"username\":\"evil\"}'\n"
			s := script(t, good)
			s.SHA256 = sha256sum(t, s.Path.String())
			stop, stopped := make(chan struct{}), make(chan error, 1)
			go func() {
				for {
					select {
					case <-stop:
						stopped <- nil
						return
					default:
						if err := c.swap(s.Path.String(), evil, good); err != nil {
							stopped <- err
							return
						}
					}
				}
			}()
			var ran, caught int
			for range 150 {
				a, err := run(t, s, "alice", "")
				switch {
				case err == nil && a.Username.String() == "good":
					ran++
				case err != nil && failure.KindOf(err) == failure.Config:
					caught++
				default:
					t.Errorf("answer %+v, error %v", a, err)
				}
			}
			close(stop)
			testutil.Must(t, <-stopped)
			if ran == 0 || caught == 0 {
				t.Errorf("ran %d times, refused %d times: the race was not run", ran, caught)
			}
		})
	}
}

func TestSeal(t *testing.T) {
	f, err := seal(strings.NewReader("text"), 4)
	testutil.Must(t, err)
	defer f.Close()
	if _, err := f.WriteAt([]byte("T"), 0); !errors.Is(err, unix.EPERM) {
		t.Errorf("writing: %v", err)
	}
	if err := f.Truncate(0); !errors.Is(err, unix.EPERM) {
		t.Errorf("shrinking: %v", err)
	}
	if err := f.Truncate(5); !errors.Is(err, unix.EPERM) {
		t.Errorf("growing: %v", err)
	}
	if _, err := unix.FcntlInt(f.Fd(), unix.F_ADD_SEALS, unix.F_SEAL_SEAL); !errors.Is(err, unix.EPERM) {
		t.Errorf("sealing again: %v", err)
	}
	r, err := reopenReadOnly(f)
	testutil.Must(t, err)
	defer r.Close()
	if b, err := io.ReadAll(r); err != nil || string(b) != "text" {
		t.Errorf("read %q, %v", b, err)
	}
	flags, err := unix.FcntlInt(r.Fd(), unix.F_GETFL, 0)
	if err != nil || flags&unix.O_ACCMODE != unix.O_RDONLY {
		t.Errorf("flags %#x, %v", flags, err)
	}
}

func TestSealRefuses(t *testing.T) {
	before := descriptors(t)
	if _, err := seal(strings.NewReader("12345"), 4); err == nil || err.Error() != "longer than 4 bytes" {
		t.Errorf("error %v", err)
	}
	broken := errors.New("the disk is broken")
	if _, err := seal(io.MultiReader(strings.NewReader("1"), failing{broken}), 4); !errors.Is(err, broken) {
		t.Errorf("error %v", err)
	}
	if after := descriptors(t); after > before {
		t.Errorf("%d descriptors before, %d after", before, after)
	}
}

func descriptors(t *testing.T) int {
	t.Helper()
	list, err := os.ReadDir("/proc/self/fd")
	testutil.Must(t, err)
	return len(list)
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

func TestRunLeavesNoDescriptors(t *testing.T) {
	good, bad := bash(t, "true"), bash(t, "true")
	bad.SHA256 = "no"
	_, _ = run(t, good, "alice", "")
	before := descriptors(t)
	for range 5 {
		_, _ = run(t, good, "alice", "")
		_, _ = run(t, bad, "alice", "")
	}
	if after := descriptors(t); after > before {
		t.Errorf("%d descriptors before, %d after", before, after)
	}
}

// sha256sum runs the program of that name.
func sha256sum(t testing.TB, path string) string {
	t.Helper()
	out, err := exec.Command("sha256sum", path).Output()
	if err != nil {
		t.Fatal(err)
	}
	sum, _, _ := bytes.Cut(out, []byte(" "))
	return string(sum)
}

func write(t *testing.T, s *Script, text string) {
	t.Helper()
	testutil.Must(t, os.WriteFile(s.Path.String(), []byte(text), 0o700))
}

// TestCheck: what would prevent a run is found without one.
func TestCheck(t *testing.T) {
	s := bash(t, "exit 1")
	if err := s.Check(); err != nil {
		t.Errorf("a script that can start: %v", err)
	}
	changed := s
	changed.SHA256 = strings.Repeat("0", 64)
	if err := changed.Check(); err == nil || !strings.Contains(err.Error(), "has the checksum") {
		t.Errorf("another checksum: %v", err)
	}
	reserved := s
	reserved.Env = []job.Env{env(t, "JWT_USER_LOGIN=root")}
	if err := reserved.Check(); err == nil || !strings.Contains(err.Error(), "are reserved") {
		t.Errorf("a reserved variable: %v", err)
	}
}
