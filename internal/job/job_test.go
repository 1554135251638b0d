package job

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

// verdicts runs a constructor over accepted and refused texts.
func verdicts[T any](t *testing.T, parse func(string) (T, error), good, bad []string) {
	t.Helper()
	for _, s := range good {
		if _, err := parse(s); err != nil {
			t.Errorf("%.80q was refused: %v", s, err)
		}
	}
	for _, s := range bad {
		if v, err := parse(s); err == nil {
			t.Errorf("%.80q was accepted as %v", s, v)
		}
	}
}

func TestParseID(t *testing.T) {
	verdicts(t, ParseID,
		[]string{"1", "42", "9223372036854775807"},
		[]string{"", "0", "-1", "+1", "01", " 1", "1 ", "0x1", "1.0", "9223372036854775808", "1e3", "١"})
}

func TestParseKernelIDs(t *testing.T) {
	good := []string{"0", "1000", "4294967294"}
	bad := []string{"", "-1", "4294967295", "4294967296", "0x0", "00", "+0", " 0", "alice"}
	verdicts(t, ParseUID, good, bad)
	verdicts(t, ParseGID, good, bad)
}

func TestParseUsername(t *testing.T) {
	verdicts(t, ParseUsername,
		[]string{"alice", "Alice", "a", "_apt", "a.b", "a-b", "a_b", "a@b.org", `DOM\a`, "1alice", "0y", strings.Repeat("a", 256)},
		[]string{
			"", "0", "0x0", "0X", "1000", "-u", "--login", "a b", "a;id", "a/../root", "..", ".", "a..b", ".a", "@a", `\a`, "alicé", "аlice",
			"a\x00b", "a\nb", "a\n", "%h", "~root", "$USER", "a:b", "a/b", "a*", strings.Repeat("a", 257), "0xdeadbeef",
		})
}

func TestParseAbsPath(t *testing.T) {
	verdicts(t, ParseAbsPath,
		[]string{"/", "/a", "/a/b c", "/a/..b", "/a/", "//a", "/" + strings.Repeat("x", 4094)},
		[]string{"", "a", "./a", "/a/../b", "/..", "/a\nb", "/a\x00", "/a\x1b[2J", "~", "$HOME", "/" + strings.Repeat("x", 4095)})
	base, _ := ParseAbsPath("/base/")
	if got, err := base.Join("a", "b"); err != nil || got.String() != "/base/a/b" {
		t.Errorf("Join gave %v, %v", got, err)
	}
	if got, err := base.Join("../up"); err == nil {
		t.Errorf("Join climbed to %v", got)
	}
}

func TestParseEnv(t *testing.T) {
	verdicts(t, ParseEnv,
		[]string{"A=b", "_a1=", "A=b=c", "A=line\nline"},
		[]string{"", "A", "=b", "1A=b", "A-B=c", "A B=c", "BASH_FUNC_x%%=() {", "A=\x00"})
}

func TestParseStage(t *testing.T) {
	verdicts(t, ParseStage, []string{"config", "prepare", "run", "cleanup"}, []string{"", "Config", "exec", "run "})
	verdicts(t, ParseSubStage,
		[]string{"build_script", "step_release", "get_sources", "step_a.b-c", strings.Repeat("a", 128)},
		[]string{"", "_a", "a b", "a/b", "../a", "a\n", "1a", "-a", strings.Repeat("a", 129)})
}

func TestUserScript(t *testing.T) {
	for s, want := range map[SubStage]bool{
		"build_script": true, "step_script": true, "step_release": true,
		"after_script": false, "get_sources": false, "steps": false, "prepare_script": false,
	} {
		if s.UserScript() != want {
			t.Errorf("%s: got %v", s, !want)
		}
	}
}

func TestDecodingChecks(t *testing.T) {
	var v struct {
		U Username
		P AbsPath
		E Env
		S Stage
		X SubStage
	}
	for text, ok := range map[string]bool{
		`{"U":"alice","P":"/a","E":"A=b","S":"run","X":"build_script"}`: true,
		`{"P":"","X":""}`:   true,
		`{"U":"0"}`:         false,
		`{"U":""}`:          false,
		`{"P":"a"}`:         false,
		`{"E":"a"}`:         false,
		`{"S":"x"}`:         false,
		`{"X":"../escape"}`: false,
	} {
		if err := json.Unmarshal([]byte(text), &v); (err == nil) != ok {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func TestRoundTrip(t *testing.T) {
	u, _ := ParseUsername("alice")
	p, _ := ParseAbsPath("/a")
	e, _ := ParseEnv("A=b=c")
	in := struct {
		U Username
		P AbsPath
		E []Env
	}{u, p, []Env{e}}
	text, err := json.Marshal(in)
	if err != nil || string(text) != `{"U":"alice","P":"/a","E":["A=b=c"]}` {
		t.Errorf("got %s, %v", text, err)
	}
}

func TestSecretIsNeverShown(t *testing.T) {
	s := NewSecret("hunter2")
	text, _ := json.Marshal(map[string]any{"s": s, "p": &s})
	type outer struct{ inner Secret }
	shown := fmt.Sprintf("%v %s %q %#v %+v %x %d %+v %#v %s", s, s, s, s, struct{ S Secret }{s}, s, s, outer{s}, &outer{s}, text)
	for _, leak := range []string{"hunter2", fmt.Sprintf("%x", "hunter2")} {
		if strings.Contains(shown, leak) {
			t.Errorf("the secret shows in %s", shown)
		}
	}
	if s.Reveal() != "hunter2" || NewSecret("").Reveal() != "" {
		t.Error("the value is lost")
	}
}

func TestPrintable(t *testing.T) {
	for in, want := range map[string]string{
		"plain é ƒ": "plain é ƒ", "a\nb": "a?b", "\x1b[2J": "?[2J", "a\x00\x7f": "a??", "\xff": "?", "a\u2028b": "a?b", "\u009b": "?",
		"a\u202eb": "a?b", "\u202a": "?", "\u2066\u2069": "??", "\u2065\u206a": "\u2065\u206a", "שלום\u200f": "שלום\u200f",
	} {
		if got := Printable(in); got != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
	if got := Clip(strings.Repeat("é", 100)); len(got) > 70 || !strings.HasSuffix(got, "…") {
		t.Errorf("Clip gave %q", got)
	}
}
