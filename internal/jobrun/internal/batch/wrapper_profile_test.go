package batch

import (
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"jacamar-ci/internal/jobrun/internal/loginshell"
	"jacamar-ci/test/harness/profiles"
)

func TestMain(m *testing.M) {
	if dir, ok := os.LookupEnv("BATCH_PROGRAMS"); ok {
		runPrograms(dir)
		os.Exit(0)
	}
	profiles.DefaultSignals()
	os.Exit(m.Run())
}

// nodeRun is the result of a script on a node.
type nodeRun struct {
	end  endStatus
	log  string
	runs int
	hung bool
}

// runOnNode runs a wrapper whose job has a home with a profile.
func runOnNode(t *testing.T, d directory, home string, limit time.Duration) (r nodeRun) {
	t.Helper()
	cmd := node(t, d, home)
	// Not by its own path: while tests run in parallel, a child of another one may have
	// the file open for writing (ETXTBSY).
	cmd.Path, cmd.Args = "/bin/bash", []string{"bash", d.path(wrapperFile)}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	late := time.AfterFunc(limit, func() { _ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) })
	_ = cmd.Wait()
	r.hung = !late.Stop()
	profiles.End(home, cmd.Process.Pid)
	r.end, _ = d.readEnd()
	r.log = read(t, d, logFile)
	r.runs = profiles.Marks(t, home)
	return r
}

// TestWrapperAfterEveryProfile runs one script after each profile of the table.
func TestWrapperAfterEveryProfile(t *testing.T) {
	for _, p := range profiles.All() {
		t.Run(p.Name, func(t *testing.T) {
			t.Parallel()
			d := submitted(t, p.ScriptText())
			r := runOnNode(t, d, p.Home(t), time.Minute)
			if r.runs > 1 || (r.end.code == 0 && r.runs != 1) {
				t.Fatalf("the script ran %d times, %+v", r.runs, r.end)
			}
			if p.Races && r.end.code == 128+int(syscall.SIGKILL) {
				return
			}
			if r.hung || r.end.code != profiles.Code || r.end.scriptNotRun || r.runs != 1 || !strings.HasSuffix(r.log, p.Want()) {
				t.Errorf("the script ran %d times, %+v, hung %v; the log:\n%s\nwant\n%s", r.runs, r.end, r.hung, r.log, p.Want())
			}
			if warned := strings.Count(r.log, "JACAMAR_CI_NO_PROFILE"); (warned == 1) != p.Ends {
				t.Errorf("the log contains JACAMAR_CI_NO_PROFILE %d times:\n%s", warned, r.log)
			}
			if strings.Contains(r.log, "Killed") || strings.Contains(r.log, "JACAMAR_SCRIPT") {
				t.Errorf("the log contains internal messages:\n%s", r.log)
			}
		})
	}
}

// TestWrapperAfterRandomProfiles: whatever a profile is put together from, no
// script runs twice on a node, and none succeeds that did not run.
func TestWrapperAfterRandomProfiles(t *testing.T) {
	count := 500
	if testing.Short() {
		count = 60
	}
	r, seed := profiles.Seeded(t)
	for range count {
		p, want := profiles.Random(r), r.IntN(2)*profiles.Code
		t.Run(strconv.FormatUint(seed, 10), func(t *testing.T) {
			t.Parallel()
			home := p.Home(t)
			d := submitted(t, profiles.MarkThenExit(home, want))
			r := runOnNode(t, d, home, 3*time.Second)
			switch {
			case r.runs > 1:
				t.Errorf("%s: the script ran %d times", p.Name, r.runs)
			case r.hung:
			case r.end.at.IsZero():
				t.Errorf("%s: the wrapper recorded no end; the log:\n%s", p.Name, r.log)
			case r.end.code == 0 && (r.runs != 1 || want != 0):
				t.Errorf("%s: success, though the script ran %d times and ends with %d; the log:\n%s", p.Name, r.runs, want, r.log)
			}
		})
	}
}

var section = regexp.MustCompile(`(?s)^\x1b\[0Ksection_start:[0-9]+:jacamar_profiles\[collapsed=true\]\r\x1b\[0K\x1b\[0;36mjacamar: (output of your login profiles on [^\n]*)\x1b\[0m\n(.*)\x1b\[0Ksection_end:[0-9]+:jacamar_profiles\r\x1b\[0K\n(.*)$`)

// homeWith returns a home with a profile.
func homeWith(t *testing.T, profile string) string {
	t.Helper()
	home := t.TempDir()
	for name, text := range map[string]string{".bash_profile": profile + "\n", profiles.Mark: ""} {
		if err := os.WriteFile(filepath.Join(home, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return home
}

// TestWrapperFoldsWhatProfilesPrint: all of it is in a section before the output of the
// script, or nowhere; where a profile ends the shell, it follows the warning.
func TestWrapperFoldsWhatProfilesPrint(t *testing.T) {
	long := strings.Repeat("0123456789abcdef", 8<<10)
	host, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name, profile string
		hide          bool
		// title is what follows the name of the node, and want the text of the section.
		title, want string
	}{
		{"lines", "echo out; echo err >&2", false, "", "out\nerr\n"},
		{"no line end", "printf %s text", false, "", "text\n"},
		{"a colour that stays", `printf '\e[31mred\n'`, false, "", "\x1b[31mred\n\x1b[0m"},
		{"more than is kept", "printf %s " + long, false, " (its end)", long[len(long)-loginshell.MaxOutput:] + "\n"},
		{"a daemon that prints", "echo first; (setsid sh -c 'echo $$ >~/daemon; while :; do echo; sleep 0.01; done' &)", false, "", "first"},
		{"nothing", ":", false, "", ""},
		{"hidden", "echo out; echo err >&2", true, "", ""},
		{"a profile that writes to the pipes", "echo >/proc/$$/fd/8; echo ended >/proc/$$/fd/4; echo out", false, "", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			home, d := homeWith(t, tt.profile), directory(filepath.Join(t.TempDir(), "job"))
			w := bashWrapper(d)
			w.hide = tt.hide
			if err := d.create([]byte("echo script"), w); err != nil {
				t.Fatal(err)
			}
			r := runOnNode(t, d, home, time.Minute)
			if r.hung || r.end.code != 0 {
				t.Fatalf("%+v, hung %v", r.end, r.hung)
			}
			if tt.want == "" {
				if !strings.HasSuffix(r.log, "script\n") || tt.hide && r.log != "script\n" {
					t.Errorf("the log is %q", r.log)
				}
				return
			}
			m := section.FindStringSubmatch(r.log)
			if m == nil || m[1] != "output of your login profiles on "+host+tt.title || !strings.HasPrefix(m[2], tt.want) || m[3] != "script\n" {
				t.Errorf("the log is %.300q", r.log)
			}
		})
	}
	d := submitted(t, "echo script")
	if r := runOnNode(t, d, homeWith(t, "echo last words; exit 3"), time.Minute); !strings.Contains(r.log, "replaced the shell (exit code 3)") || !strings.HasSuffix(r.log, "true\x1b[0m\nlast words\nscript\n") {
		t.Errorf("the log is %q", r.log)
	}
}

// TestWrapperWithoutItsReader: the script runs where the process that folds the output of
// the profiles was killed.
func TestWrapperWithoutItsReader(t *testing.T) {
	d := submitted(t, "echo script")
	home := homeWith(t, "until [ -e ~/killed ]; do for f in /proc/[0-9]*/fd/6; do if [ $f -ef ~/printed ]; then p=${f#/proc/}; kill -KILL ${p%%/*}; : >~/killed; fi; done; done")
	if err := os.Symlink(d.path(printedFile), filepath.Join(home, "printed")); err != nil {
		t.Fatal(err)
	}
	if r := runOnNode(t, d, home, time.Minute); r.hung || r.end.code != 0 || r.end.scriptNotRun || !strings.HasSuffix(r.log, "script\n") {
		t.Errorf("%+v, hung %v, the log is %q", r.end, r.hung, r.log)
	}
}
