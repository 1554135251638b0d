package e2e

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"jacamar-ci/test/harness/fakerunner"
	"jacamar-ci/test/harness/site"
)

func TestExitCodes(t *testing.T) {
	everywhere(t, func(t *testing.T, s *site.Site) {
		for script, code := range map[string]int{
			"exit 0": 0, "exit 1": 1, "exit 2": 2, "exit 7": 7, "exit 126": 126, "exit 128": 128, "exit 254": 254, "exit 255": 255,
			"kill -TERM $$": 143, "kill -KILL $$": 137, "kill -SEGV $$": 139, "kill -HUP $$": 129, "nonexistent-command": 127,
		} {
			t.Run(script, func(t *testing.T) {
				t.Parallel()
				job := s.Job()
				job.Raw = map[string][]byte{"build_script": []byte(script + "\n")}
				outcome := fakerunner.ScriptFailure
				if code == 0 {
					outcome = fakerunner.Success
				}
				r := s.Runner().Run(job)
				site.Want(t, r, outcome, code)
				if call, _ := r.Call("build_script"); code != 0 && (call.Status != 1 || call.CodeFile.Code != code) {
					t.Errorf("exit status %d and %+v in the code file, want 1 and %d", call.Status, call.CodeFile, code)
				}
			})
		}
	})
}

func TestScriptBytes(t *testing.T) {
	privileged(t, func(t *testing.T, s *site.Site) {
		for name, tc := range map[string]struct {
			script string
			out    string
		}{
			"empty":                 {"", ""},
			"no final newline":      {"printf a", "a"},
			"reads its input":       {"read line; printf '%s' \"$?:$line\"\n", "1:"},
			"NUL in a comment":      {"# \x00\nprintf b\n", "b"},
			"carriage return":       {"printf 'c\r'\n", "c\r"},
			"invalid UTF-8":         {"printf '\xff\xfe'\n", "\xff\xfe"},
			"20 MiB":                {"printf start\n: '" + strings.Repeat("x", 20<<20) + "'\nprintf end\n", "startend"},
			"binary output":         {`printf '\000\001\377\033[2J'`, "\x00\x01\xff\x1b[2J"},
			"both streams":          {"printf out; printf err >&2", "outerr"},
			"its own section marks": {"printf 'section_start:1:x\\r\\033[0K'", "section_start:1:x\r\x1b[0K"},
		} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				job := s.Job()
				job.Raw = map[string][]byte{"build_script": []byte(tc.script)}
				r := s.Runner().Run(job)
				site.Want(t, r, fakerunner.Success, 0)
				call, _ := r.Call("build_script")
				if got := call.ScriptOutput() + string(call.Stderr); got != tc.out {
					t.Errorf("the output is %q, want %q", clip(got), clip(tc.out))
				}
			})
		}
	})
}

func clip(s string) string { return s[:min(len(s), 300)] }

func TestLargeOutputIsByteExact(t *testing.T) {
	privileged(t, func(t *testing.T, s *site.Site) {
		data := make([]byte, 3<<20) // has lines of any length, and none at all for long
		if _, err := rand.Read(data); err != nil {
			t.Fatal(err)
		}
		data = append(data, bytes.Repeat([]byte("x"), 3<<20)...)
		file := filepath.Join(s.Dir, "data")
		if err := os.WriteFile(file, data, 0o644); err != nil {
			t.Fatal(err)
		}
		job := s.Job()
		job.Raw = map[string][]byte{"build_script": fmt.Appendf(nil, "cat %s; cat %s >&2", file, file)}
		r := s.Runner().Run(job)
		site.Want(t, r, fakerunner.Success, 0)
		call, _ := r.Call("build_script")
		if call.ScriptOutput() != string(data) || !bytes.Equal(call.Stderr, data) {
			t.Errorf("of %d bytes, %d and %d arrived, or other ones", len(data), len(call.Stdout), len(call.Stderr))
		}
	})
}

func TestLeftoversEndWithTheirStage(t *testing.T) {
	privileged(t, func(t *testing.T, s *site.Site) {
		for name, script := range map[string]string{
			"setsid":                "setsid sleep 1000 &",
			"double fork":           "(setsid bash -c 'sleep 1001 & disown; sleep 1002 & disown' &)",
			"nohup":                 "nohup sleep 1003 &",
			"holds the output":      "sleep 1004 & disown",
			"ignores TERM":          "(trap '' TERM HUP; while :; do sleep 1; done) & disown",
			"closed its own output": "sleep 1005 >&- 2>&- <&- & disown",
		} {
			t.Run(name, func(t *testing.T) {
				job := s.Job()
				job.Raw = map[string][]byte{"build_script": []byte(script + "\necho done\nexit 3\n")}
				start := time.Now()
				r := s.Runner().Run(job)
				site.Want(t, r, fakerunner.ScriptFailure, 3)
				if took := time.Since(start); took > 30*time.Second {
					t.Errorf("the job took %v", took)
				}
				s.NoProcess(t, 0)
			})
		}
	})
}

func TestOutputOfAProcessSubstitutionIsComplete(t *testing.T) {
	privileged(t, func(t *testing.T, s *site.Site) {
		job := s.Job()
		job.Raw = map[string][]byte{"build_script": []byte("exec > >(sleep 0.2; cat) 2>&1\necho the last words\nexit 4\n")}
		r := s.Runner().Run(job)
		site.Want(t, r, fakerunner.ScriptFailure, 4)
		if !strings.Contains(r.Trace, "the last words") {
			t.Errorf("they are missing:\n%s", r.Trace)
		}
	})
}
