package executor

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"jacamar-ci/internal/ipc"
	"jacamar-ci/internal/job"
	"jacamar-ci/internal/joblog"
	"jacamar-ci/internal/jobrun/internal/loginshell"
	"jacamar-ci/internal/jobrun/internal/process"
	"jacamar-ci/internal/jobrun/internal/safedir"
	"jacamar-ci/internal/settings"
	"jacamar-ci/test/harness/testutil"
)

// inProfile runs a scenario in a home with a profile, without the BASH_ENV that the
// machine's own profiles may set.
func inProfile(t *testing.T, name, profile string) string {
	t.Helper()
	home := t.TempDir()
	if err := os.WriteFile(filepath.Join(home, ".bash_profile"), []byte("unset BASH_ENV\n"+profile+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "EXECUTOR_SCENARIO="+name, "HOME="+home)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("scenario %q: %v\n%s", name, err, out)
	}
	return string(out)
}

// fileIn is a file of a directory. Scenarios have no test to fail.
func fileIn(dir, name string) safedir.FileBelow {
	path, err := job.ParseAbsPath(dir)
	if err != nil {
		panic(err)
	}
	return safedir.NewFileBelow(path, path, name)
}

// stages runs three stages of a job as jobrun does.
func stages() {
	l := local("/bin/bash", os.Getenv("HOME"))
	warned := fileIn(os.Getenv("HOME"), loginshell.WarnedFile)
	l.Profiles.Warned = func() bool { return claimed(warned) }
	for i := range 3 {
		l.Profiles.Hide = i > 0
		report(l.Run([]byte("echo script; exit 7"), never()))
	}
}

func TestWhatProfilesPrintIsShownOnce(t *testing.T) {
	const end = "7 true the job's script ended with exit code 7\n"
	for profile, want := range map[string]string{
		"echo hello":       "jacamar: output of your login profiles\nhello\nscript\n" + end + "script\n" + end + "script\n" + end,
		"exec >&-; exit 3": "WARNING\nscript\n" + end + "script\n" + end + "script\n" + end,
	} {
		var lines []string
		for line := range strings.Lines(plain(inProfile(t, "stages", profile))) {
			if strings.Contains(line, "WARNING") && strings.Contains(line, "JACAMAR_CI_NO_PROFILE") && strings.Contains(line, "exit code 3") {
				line = "WARNING\n"
			}
			lines = append(lines, line)
		}
		if got := strings.Join(lines, ""); got != want {
			t.Errorf("%s: got\n%s\nwant\n%s", profile, got, want)
		}
	}
}

// What a hidden profile printed before it ended the shell is in the log.
func TestHiddenOutputOfAFailureIsShown(t *testing.T) {
	out := inProfile(t, "hidden", "echo the reason >&2; exit 3")
	if !strings.Contains(out, "the reason\n") || !strings.Contains(out, "script\n") {
		t.Errorf("got\n%s", out)
	}
}

func hidden() {
	l := local("/bin/bash", os.Getenv("HOME"))
	l.Profiles.Hide = true
	report(l.Run([]byte("echo script"), never()))
}

// slowProfile warns early of a profile that waits for a file which its
// own message makes.
func slowProfile() {
	l := local("/bin/bash", os.Getenv("HOME"))
	l.Profiles.WarnAfter = 100 * time.Millisecond
	l.Log = joblog.NewWriter(noticed{filepath.Join(os.Getenv("HOME"), "noticed")})
	report(l.Run([]byte("echo script"), never()))
}

// noticed makes a file when something is written.
type noticed struct{ file string }

func (n noticed) Write(p []byte) (int, error) {
	if err := os.WriteFile(n.file, nil, 0o600); err != nil {
		return 0, err
	}
	return os.Stdout.Write(p)
}

func TestASlowProfileIsNamed(t *testing.T) {
	out := inProfile(t, "slow profile", "while [ ! -e ~/noticed ]; do sleep 0.02; done")
	if !strings.HasPrefix(plain(out), "jacamar: your login profiles have not ended after 100ms") || !strings.HasSuffix(out, "script\n0 false <nil>\n") {
		t.Errorf("got\n%s", out)
	}
}

// stoppedProfile stops a job whose profile hangs.
func stoppedProfile() {
	l := local("/bin/bash", os.Getenv("HOME"))
	report(l.Run([]byte("echo script"), process.Stop{Terminate: when(filepath.Join(os.Getenv("HOME"), "hangs")), Abort: make(chan struct{})}))
	fmt.Println(l.Reaper.Empty())
}

func TestAProfileThatHangsIsNamedWhenTheJobIsStopped(t *testing.T) {
	out := inProfile(t, "stopped profile", "touch ~/hangs; sleep 1000")
	if out != "143 true the job was stopped before your login profiles had ended\ntrue\n" {
		t.Errorf("got\n%s", out)
	}
}

// saved runs the stages of a job that share a login. The profile counts the logins, and
// a later script damages what the first one has left.
func saved() {
	home := os.Getenv("HOME")
	file := savedLogin{file: fileIn(home, loginshell.SavedFile), account: job.UID(os.Getuid()), host: hostID()}
	l := local("/bin/bash", home)
	l.Profiles.Hide = true
	for _, script := range []string{"echo $A", "echo $A", "echo exit 3 >~/" + loginshell.SavedFile, "echo $A", "echo $A"} {
		l.Profiles.Save = nil
		if l.Profiles.Saved = file.read(); l.Profiles.Saved == nil {
			l.Profiles.Save = file.write
		}
		report(l.Run([]byte(script), never()))
	}
}

func TestStagesShareALogin(t *testing.T) {
	out := inProfile(t, "saved", "echo login >>~/logins; export A=$(wc -l <~/logins); echo printed")
	const end = "0 false <nil>\n"
	if want := "1\n" + end + "1\n" + end + end + "2\n" + end + "2\n" + end; out != want {
		t.Errorf("got\n%s\nwant\n%s", out, want)
	}
}

// TestSavedLoginThatEnds: where what was left ends the shell, the script has a login.
func TestSavedLoginThatEnds(t *testing.T) {
	out := inProfile(t, "saved exit", "echo printed; export A=1")
	if out != "1\n0 false <nil>\n" {
		t.Errorf("got\n%s", out)
	}
}

func savedExit() {
	l := local("/bin/bash", os.Getenv("HOME"))
	l.Profiles.Hide, l.Profiles.Saved = true, []byte("echo printed; exit 3\n# saved\n")
	report(l.Run([]byte("echo $A"), never()))
}

// TestUnusableSavedLogin: only what write has made is used.
func TestUnusableSavedLogin(t *testing.T) {
	const text = "umask 0022\n# saved\n"
	for name, tt := range map[string]struct {
		spoil func(path string) error
		want  bool
	}{
		"as it was written": {func(string) error { return nil }, true},
		"missing":           {os.Remove, false},
		"empty":             {func(p string) error { return os.Truncate(p, 0) }, false},
		"cut off":           {func(p string) error { return os.Truncate(p, 60) }, false},
		"readable by all":   {func(p string) error { return os.Chmod(p, 0o644) }, false},
		"with another name": {func(p string) error { return os.Link(p, p+".2") }, false},
		"a link":            {func(p string) error { return errors.Join(os.Rename(p, p+".2"), os.Symlink(p+".2", p)) }, false},
		"a FIFO":            {func(p string) error { return errors.Join(os.Remove(p), unix.Mkfifo(p, 0o600)) }, false},
		"a directory":       {func(p string) error { return errors.Join(os.Remove(p), os.Mkdir(p, 0o700)) }, false},
		"too long":          {func(p string) error { return os.Truncate(p, 3*maxSaved) }, false},
	} {
		path := filepath.Join(t.TempDir(), loginshell.SavedFile)
		s := savedLogin{file: fileIn(filepath.Dir(path), filepath.Base(path)), account: job.UID(os.Getuid()), host: hostID()}
		s.write([]byte(text))
		if err := tt.spoil(path); err != nil {
			t.Fatal(err)
		}
		if got := s.read(); (got != nil) != tt.want || tt.want && string(got) != text {
			t.Errorf("%s: %q", name, got)
		}
		for _, other := range []savedLogin{{s.file, s.account, "other/" + s.host}, {s.file, s.account + 1, s.host}} {
			if got := other.read(); got != nil {
				t.Errorf("%s: used by %+v", name, other)
			}
		}
	}
}

func TestSavedLoginIsReplaced(t *testing.T) {
	path := filepath.Join(t.TempDir(), loginshell.SavedFile)
	s := savedLogin{file: fileIn(filepath.Dir(path), filepath.Base(path)), account: job.UID(os.Getuid()), host: hostID()}
	if err := os.WriteFile(path, []byte("damaged"), 0o644); err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]bool{"x\n# saved\n": true, "incomplete\n": false, strings.Repeat("x", maxSaved) + "\n# saved\n": false} {
		s.write([]byte(text))
		if got := s.read(); (string(got) == text) != want {
			t.Errorf("%.20q: %.20q", text, got)
		}
	}
}

// TestSharedLogins: the first script has no login, the second one saves its own, and the
// runner's own scripts use it.
func TestSharedLogins(t *testing.T) {
	dir := t.TempDir()
	dirs := ipc.Dirs{Base: testutil.AbsPath(t, filepath.Dir(dir)), Scripts: testutil.AbsPath(t, dir)}
	s := savedLogin{file: ownFile(dirs, loginshell.SavedFile), account: job.UID(os.Getuid()), host: hostID()}
	for _, there := range []bool{false, true} {
		if there {
			s.write([]byte("umask 0022\n# saved\n"))
		}
		for stage, own := range map[job.SubStage]bool{
			"prepare_script": false, "get_sources": false, "restore_cache": true, "download_artifacts": true, "step_script": false, "build_script": false,
			"after_script": false, "archive_cache": true, "archive_cache_on_failure": true, "upload_artifacts_on_success": true,
			"upload_artifacts_on_failure": true, "cleanup_file_variables": true,
		} {
			for _, mode := range []settings.LoginShells{settings.LoginPerJob, settings.LoginPerStage} {
				b := ipc.Request{SubStage: stage, Dirs: dirs}
				b.Account.UID, b.Settings.LoginShells = s.account, mode
				p := newProfiles(b)
				shares := mode == settings.LoginPerJob
				if uses := p.Saved != nil; uses != (shares && own && there) {
					t.Errorf("%s, %s, saved %v: uses it: %v", stage, mode, there, uses)
				}
				if saves := p.Save != nil; saves != (shares && (own && !there || stage == "get_sources")) {
					t.Errorf("%s, %s, saved %v: saves it: %v", stage, mode, there, saves)
				}
				if none := p.Read == loginshell.None; none != (shares && stage == "prepare_script") {
					t.Errorf("%s, %s: no login: %v", stage, mode, none)
				}
				if shown := !p.Hide; shown != (shares && stage == "get_sources" || !shares && stage == "prepare_script") {
					t.Errorf("%s, %s: what profiles print is shown: %v", stage, mode, shown)
				}
				b.Job.NoProfile = true
				if p := newProfiles(b); p.Saved != nil || p.Save != nil {
					t.Errorf("%s, %s: shares a login without profiles", stage, mode)
				}
			}
		}
	}
}

func daemons() {
	l := local("/bin/bash", os.Getenv("HOME"))
	for _, script := range []string{"kill -0 $AGENT && echo served", "kill -0 $AGENT && echo served; sleep 1001 &"} {
		report(l.Run([]byte(script), never()))
		fmt.Println(l.Reaper.Empty())
	}
}

// TestDaemonsOfProfiles: they serve the script and end with it, and only the
// script's own are named.
func TestDaemonsOfProfiles(t *testing.T) {
	out := inProfile(t, "daemons", "setsid sleep 1000 & AGENT=$!; (setsid sleep 1000 &)")
	want := "served\n0 false <nil>\ntrue\nserved\njacamar: ended 1 process(es) that the script left running\n0 false <nil>\ntrue\n"
	if out = plain(out); out != want {
		t.Errorf("got\n%s\nwant\n%s", out, want)
	}
}

// plain removes what GitLab's log view interprets.
func plain(log string) string {
	return regexp.MustCompile("\x1b\\[0Ksection_(?:start|end):[0-9]+:[a-z_]+(?:\\[collapsed=true\\])?\r\x1b\\[0K\n?|\x1b\\[[0-9;]*m").ReplaceAllString(log, "")
}

// folds runs a script once, as in a job's first stage.
func folds() {
	l := local("/bin/bash", os.Getenv("HOME"))
	l.Profiles.Hide = false
	report(l.Run([]byte("echo script"), never()))
}

// TestWhatProfilesPrintIsFolded: all of it is in the section, however much and whatever
// a profile leaves running, or its end.
func TestWhatProfilesPrintIsFolded(t *testing.T) {
	const section = "\x1b[0Ksection_start:"
	for profile, want := range map[string]string{
		":":                                "script\n",
		"echo out; echo err >&2":           "jacamar: output of your login profiles\nout\nerr\nscript\n",
		"printf 'no line end'":             "jacamar: output of your login profiles\nno line end\nscript\n",
		"seq 5000; echo last":              "jacamar: output of your login profiles\n1\n",
		"seq 50000; echo last":             "jacamar: output of your login profiles (its end)\n",
		"echo first; (setsid yes flood &)": "jacamar: output of your login profiles",
	} {
		out := inProfile(t, "folds", profile)
		if got := plain(out); !strings.HasPrefix(got, want) || !strings.HasSuffix(got, "script\n0 false <nil>\n") || strings.HasPrefix(profile, "seq") && !strings.Contains(got, "\nlast\nscript\n") {
			t.Errorf("%s: got\n%.300s", profile, got)
		}
		if strings.Count(out, section) != min(1, len(profile)-1) || strings.Contains(out, section) && strings.Index(out, "section_end:") > strings.Index(out, "\nscript\n") {
			t.Errorf("%s: the section is not before the script: %.300q", profile, out)
		}
	}
}
