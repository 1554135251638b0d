package executor

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"jacamar-ci/internal/jobrun/internal/process"
)

// askLimit is short, for the profile that hangs; on a busy machine a shell may
// need some time all the same.
const askLimit = 3 * time.Second

// askOnce is a scenario: it asks the login shell in HOME and prints the answers.
func askOnce() {
	reaper, err := process.NewReaper(nil)
	if err != nil {
		panic(err)
	}
	home := os.Getenv("HOME")
	login := Login{
		Reaper: reaper, Limit: askLimit,
		Shell: Shell{Path: "/bin/bash", Env: []string{"PATH=" + searchPath, "HOME=" + home}, Home: home},
	}
	start := time.Now()
	values, err := login.Eval(`"${SCRATCH-}"`, `"$(type -P sh)"`)
	out := answers{Values: values, Took: time.Since(start), Alone: reaper.Empty()}
	if err != nil {
		out.Err = err.Error()
	}
	text, err := json.Marshal(out)
	if err != nil {
		panic(err)
	}
	fmt.Println(string(text))
}

// answers is what askOnce saw. Values are bytes, as JSON has no others.
type answers struct {
	Values []string
	Err    string
	Took   time.Duration
	Alone  bool
}

func ask(t *testing.T, profiles map[string]string, env ...string) answers {
	t.Helper()
	home := t.TempDir()
	for name, text := range profiles {
		if err := os.WriteFile(filepath.Join(home, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command(os.Args[0])
	cmd.Env = append([]string{"EXECUTOR_SCENARIO=ask", "HOME=" + home}, env...)
	cmd.Stderr = os.Stderr
	text, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	var a answers
	if err := json.Unmarshal(text, &a); err != nil {
		t.Fatalf("%v in %q", err, text)
	}
	return a
}

func TestEval(t *testing.T) {
	const set, hangs, ends = "export SCRATCH=/s\n", "take longer than", "end the shell before it can be asked"
	for name, tc := range map[string]struct {
		profile string
		want    string
		why     string
	}{
		"no profile":                    {"", "", ""},
		"plain":                         {set, "/s", ""},
		"a banner":                      {"echo Welcome; echo 'Mind the quota' >&2\n" + set + "printf '/evil\\0/evil\\0'\n", "/s", ""},
		"exit 1 behind":                 {set + "exit 1\n", "/s", ""},
		"exit 1 before":                 {"exit 1\n" + set, "", ""},
		"errexit":                       {set + "set -e; false\n", "/s", ""},
		"nounset":                       {"set -u\n", "", ""},
		"an early return":               {set + "return 1\nSCRATCH=x\n", "/s", ""},
		"a syntax error":                {set + "if then\n", "/s", ""},
		"strange options":               {set + "set -fx; set -o noclobber; shopt -s nullglob extglob; IFS=/\n", "/s", ""},
		"a trap of its own":             {set + "trap 'SCRATCH=/trap' EXIT\n", "/s", ""},
		"no output left":                {set + "exec >&- 2>&- <&-\n", "/s", ""},
		"output to a file":              {set + "exec >log 2>&1; echo x\n", "/s", ""},
		"descriptors in use":            {set + "exec 3>&1 4>&1 9>lock\n", "/s", ""},
		"a value with everything":       {"SCRATCH=$'/a b\\n\"$(id)\\'é'\n", "/a b\n\"$(id)'é", ""},
		"a long value":                  {"SCRATCH=/$(printf '%060000d' 0)\n", "/" + strings.Repeat("0", 60000), ""},
		"a value that is far too long":  {"SCRATCH=/$(printf '%070000d' 0)\n", "", ends},
		"a daemon that holds the shell": {set + "sleep 1000 & disown\n(setsid sleep 1001 &)\n", "/s", ""},
		"killed":                        {set + "kill -KILL $$\n", "", ends},
		"another program":               {set + "exec true\n", "", ends},
		"hanging":                       {set + "sleep 1000\n", "", hangs},
		"reads its input":               {set + "read x; SCRATCH=/s$x\n", "/s", ""},
		"another shell, as a habit":     {set + "[ -z \"$PS1\" ] || exec zsh\n", "/s", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := ask(t, map[string]string{".bash_profile": tc.profile})
			if tc.why != "" {
				// The killed shell may end later than the other one answers.
				if raced := name == "killed" && a.Err == "" && len(a.Values) == 2 && a.Values[0] == "/s"; !raced && !strings.Contains(a.Err, tc.why) {
					t.Errorf("got %q, %.100q", a.Err, a.Values)
				}
			} else if a.Err != "" || len(a.Values) != 2 || a.Values[0] != tc.want || !strings.HasSuffix(a.Values[1], "/sh") {
				t.Errorf("got %.100q, %s", a.Values, a.Err)
			}
			if !a.Alone {
				t.Error("something of the profile still runs")
			}
			if a.Took > askLimit+2*time.Second {
				t.Errorf("it took %v", a.Took)
			}
		})
	}
}

// TestEvalReadsTheProfilesThatALoginShellReads: the first of three in the home.
func TestEvalReadsTheProfilesThatALoginShellReads(t *testing.T) {
	all := []string{".bash_profile", ".bash_login", ".profile"}
	for first := range all {
		profiles := map[string]string{".bashrc": "SCRATCH=/bashrc\n", ".bash_logout": "SCRATCH=/logout\n"}
		for _, name := range all[first:] {
			profiles[name] = "SCRATCH=/$(basename $BASH_SOURCE)$(shopt -q login_shell && echo -login)\n"
		}
		if a := ask(t, profiles); a.Err != "" || a.Values[0] != "/"+all[first]+"-login" {
			t.Errorf("%v: %v %s", all[first:], a.Values, a.Err)
		}
	}
}
