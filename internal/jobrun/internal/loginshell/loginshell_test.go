package loginshell

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"jacamar-ci/test/harness/profiles"
)

func TestMain(m *testing.M) {
	profiles.DefaultSignals()
	os.Exit(m.Run())
}

// shells are the bashes to test: /bin/bash, and what JACAMAR_TEST_BASH names, with
// colons between.
func shells() []string {
	return append([]string{"/bin/bash"}, filepath.SplitList(os.Getenv("JACAMAR_TEST_BASH"))...)
}

// result is what became of one script.
type result struct {
	out   string // stdout and stderr
	code  int    // 128 + the signal's number when a signal ended the guard
	began bool
	hung  bool // it was killed, as it did not end
	marks int
}

// login is one way to run a script.
type login struct {
	bash  string
	read  Profiles
	limit time.Duration
	// hide puts what the profiles print into hidden.
	hide   bool
	hidden string
	// save keeps what the login leaves in saved, which Saved reads.
	save  bool
	saved []byte
}

// environment is that of the guard.
func environment(home string) []string {
	return []string{"HOME=" + home, "PATH=/usr/bin:/bin", "LANG=C.UTF-8", "TMPDIR=/tmp"}
}

// run runs a script as an executor does.
func (l *login) run(t testing.TB, home, script string) (r result) {
	t.Helper()
	dir := t.TempDir()
	file := func(name string, content []byte) *os.File {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
		f, err := os.OpenFile(filepath.Join(dir, name), os.O_RDWR|os.O_APPEND, 0)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { f.Close() })
		return f
	}
	out := file("out", nil)
	cmd := exec.Command(l.bash)
	cmd.Args = Args(Program{Hide: l.hide, Save: l.save}.Run(), l.read)
	cmd.Env = Environ(environment(home))
	cmd.Dir, cmd.Stdout, cmd.Stderr = home, out, out
	cmd.ExtraFiles = []*os.File{
		ScriptFD - 3: file("script", Content([]byte(script))), PassedFD - 3: file("passed", nil),
		SavedFD - 3: file("saved", l.saved), HiddenFD - 3: file("hidden", nil),
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	late := time.AfterFunc(l.limit, func() { _ = cmd.Process.Kill() })
	_ = cmd.Wait()
	r.hung = !late.Stop()
	profiles.End(home, cmd.Process.Pid)
	r.out, r.began = content(t, dir, "out"), content(t, dir, "script") == ""
	r.marks = profiles.Marks(t, home)
	l.hidden = content(t, dir, "hidden")
	if l.save {
		l.saved = []byte(content(t, dir, "saved"))
	}
	if status := cmd.ProcessState.Sys().(syscall.WaitStatus); status.Signaled() {
		r.code = 128 + int(status.Signal())
	} else {
		r.code = status.ExitStatus()
	}
	return r
}

func content(t testing.TB, dir, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestHide: what the profiles print has its own place with Hide, and what the script prints
// never goes there.
func TestHide(t *testing.T) {
	for _, bash := range shells() {
		for hide, want := range map[bool][2]string{false: {"", "out\nerr\nscript\nwrong\n"}, true: {"out\nerr\n", "script\nwrong\n"}} {
			home := profiles.Profile{Text: "echo out; echo err >&2"}.Home(t)
			l := &login{bash: bash, read: Login, limit: time.Minute, hide: hide}
			if r := l.run(t, home, "echo script; echo wrong >&2"); l.hidden != want[0] || r.out != want[1] || r.code != 0 {
				t.Errorf("hidden: %v: %q and %q with exit code %d, want %q", hide, l.hidden, r.out, r.code, want)
			}
		}
	}
}

// TestProfiles runs one script after every profile of the table.
func TestProfiles(t *testing.T) {
	for _, bash := range shells() {
		for _, p := range profiles.All() {
			t.Run(filepath.Dir(bash)+"/"+p.Name, func(t *testing.T) {
				t.Parallel()
				dir := p.Home(t)
				l := &login{bash: bash, read: Login, limit: time.Minute}
				r := l.run(t, dir, p.ScriptText())
				if r.began && p.Races && r.code == 128+int(syscall.SIGKILL) {
					return
				}
				if r.began == p.Ends {
					t.Fatalf("the script began: %v, with exit code %d and the output\n%s", r.began, r.code, r.out)
				}
				if p.Ends {
					if r.marks != 0 {
						t.Fatal("the script ran, and its file reports that it did not")
					}
					l.read = None
					r = l.run(t, dir, p.ScriptText())
				}
				if r.marks != 1 || r.code != profiles.Code || !r.began || r.hung {
					t.Errorf("the script ran %d times, with exit code %d", r.marks, r.code)
				}
				if !strings.HasSuffix(r.out, p.Want()) {
					t.Errorf("got\n%s\nwant\n%s", r.out, p.Want())
				}
			})
		}
	}
}

// TestRandomProfiles: whatever a profile is put together from, no script runs
// twice, and none succeeds that did not run.
func TestRandomProfiles(t *testing.T) {
	const count = 500
	r, seed := profiles.Seeded(t)
	for range count {
		p, want := profiles.Random(r), r.IntN(2)*profiles.Code
		t.Run(strconv.FormatUint(seed, 10), func(t *testing.T) {
			t.Parallel()
			holdsWith(t, p, want)
		})
	}
}

// holdsWith runs a script that ends with a code. A profile may hang.
func holdsWith(t *testing.T, p profiles.Profile, want int) {
	dir := p.Home(t)
	script := profiles.MarkThenExit(dir, want)
	l := &login{bash: "/bin/bash", read: Login, limit: 2 * time.Second}
	got := l.run(t, dir, script)
	if !got.began && !got.hung {
		if got.marks != 0 {
			t.Errorf("%s: the script ran, and its file reports that it did not", p.Name)
		}
		_ = os.Chmod(dir, 0o700)
		l.read = None
		got = l.run(t, dir, script)
	}
	switch {
	case got.marks > 1:
		t.Errorf("%s: the script ran %d times", p.Name, got.marks)
	case got.hung:
		t.Logf("%s: hangs", p.Name)
	case !got.began:
		t.Errorf("%s: the script never began: exit code %d\n%s", p.Name, got.code, got.out)
	case got.code == 0 && (got.marks != 1 || want != 0):
		t.Errorf("%s: success, though the script ran %d times and ends with %d\n%s", p.Name, got.marks, want, got.out)
	}
}
