package executor

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"jacamar-ci/internal/joblog"
	"jacamar-ci/internal/jobrun/internal/loginshell"
	"jacamar-ci/internal/jobrun/internal/process"
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
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("scenario %q: %v\n%s", name, err, out)
	}
	return string(out)
}

// stages runs three stages of a job as jobrun does.
func stages() {
	l := local("/bin/bash", os.Getenv("HOME"))
	warned := filepath.Join(os.Getenv("HOME"), loginshell.WarnedFile)
	l.Profiles.Warned = func() bool { return !claim(warned) }
	for i := range 3 {
		l.Profiles.Hide = i > 0
		report(l.Run([]byte("echo script; exit 7"), never()))
	}
}

func TestWhatProfilesPrintIsShownOnce(t *testing.T) {
	const end = "7 true the job's script ended with exit code 7\n"
	for profile, want := range map[string]string{
		"echo hello":       "hello\nscript\n" + end + "script\n" + end + "script\n" + end,
		"exec >&-; exit 3": "WARNING\nscript\n" + end + "script\n" + end + "script\n" + end,
	} {
		var lines []string
		for line := range strings.Lines(inProfile(t, "stages", profile)) {
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
	l.Voice = joblog.NewWriter(noticed{filepath.Join(os.Getenv("HOME"), "noticed")})
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
	if !strings.HasPrefix(out, "your login profiles have not ended after 100ms") || !strings.HasSuffix(out, "script\n0 false <nil>\n") {
		t.Errorf("got\n%s", out)
	}
}

// stoppedProfile stops a job whose profile hangs.
func stoppedProfile() {
	l := local("/bin/bash", os.Getenv("HOME"))
	report(l.Run([]byte("echo script"), process.Stop{Terminate: when(filepath.Join(os.Getenv("HOME"), "hangs")), Abort: make(chan struct{})}))
	fmt.Println(l.Family.Empty())
}

func TestAProfileThatHangsIsNamedWhenTheJobIsStopped(t *testing.T) {
	out := inProfile(t, "stopped profile", "touch ~/hangs; sleep 1000")
	if out != "143 true the job was stopped before your login profiles had ended\ntrue\n" {
		t.Errorf("got\n%s", out)
	}
}

func daemons() {
	l := local("/bin/bash", os.Getenv("HOME"))
	for _, script := range []string{"kill -0 $AGENT && echo served", "kill -0 $AGENT && echo served; sleep 1001 &"} {
		report(l.Run([]byte(script), never()))
		fmt.Println(l.Family.Empty())
	}
}

// TestDaemonsOfProfiles: they serve the script and end with it, and only the
// script's own are named.
func TestDaemonsOfProfiles(t *testing.T) {
	out := inProfile(t, "daemons", "setsid sleep 1000 & AGENT=$!; (setsid sleep 1000 &)")
	want := "served\n0 false <nil>\ntrue\nserved\nended 1 process(es) that the script left running\n0 false <nil>\ntrue\n"
	if out != want {
		t.Errorf("got\n%s\nwant\n%s", out, want)
	}
}
