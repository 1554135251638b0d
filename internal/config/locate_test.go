package config

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"jacamar-ci/internal/jwks"
	"jacamar-ci/internal/settings"

	"github.com/BurntSushi/toml"
)

func TestLocate(t *testing.T) {
	text := `# a = 1
top = 1 # [no.header]
"quoted key" = "#"
'a.b' . "c\u0064" = 1

[general] # comment
text = """
not = "a key"
[nor.a.header] \""" """
raw = '''
x = 1'''''
list = [ # first
  "a]", 'b', # , "no entry"
  [1, [2,
    3]],
  { x = 1, y.z = [
  "q"] },
]
date = 1979-05-27 07:32:00
after = 1
[[rule]]
args = []
[[rule.sub]]
[[rule.sub]]
x = 1
[rule.sub.table]
y = 2
[[rule]]
args = []
[[rule.sub]]
x = 1` + "\r\nlast = 1"
	want := map[string]int{
		"top": 2, `"quoted key"`: 3, `"a.b".cd`: 4, "general": 6, "general.text": 7, "general.raw": 10,
		"general.list": 12, "general.list[1]": 13, "general.list[2]": 13, "general.list[3]": 14, "general.list[3][1]": 14, "general.list[3][2]": 14,
		"general.list[3][2][1]": 14, "general.list[3][2][2]": 15, "general.list[4]": 16, "general.list[4].x": 16, "general.list[4].y.z": 16,
		"general.list[4].y.z[1]": 17, "general.date": 19, "general.after": 20,
		"rule": 21, "rule[1]": 21, "rule[1].args": 22, "rule[1].sub": 23, "rule[1].sub[1]": 23, "rule[1].sub[2]": 24, "rule[1].sub[2].x": 25,
		"rule[1].sub[2].table": 26, "rule[1].sub[2].table.y": 27, "rule[2]": 28, "rule[2].args": 29, "rule[2].sub": 30, "rule[2].sub[1]": 30,
		"rule[2].sub[1].x": 31, "rule[2].sub[1].last": 32,
	}
	if err := toml.Unmarshal([]byte(text), &map[string]any{}); err != nil {
		t.Fatal(err)
	}
	got := locate(text)
	for key, line := range want {
		if got[key] != line {
			t.Errorf("%s: line %d, want %d", key, got[key], line)
		}
	}
	for key, line := range got {
		if _, ok := want[key]; !ok {
			t.Errorf("%s, line %d, is not in the text", key, line)
		}
	}
}

// FuzzLocate compares our reading of a document with the toml package's: every
// key that it knows has a line, and where it knows the line, the same one.
func FuzzLocate(f *testing.F) {
	for _, text := range seeds(f) {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		meta, err := toml.Decode(text, &map[string]any{})
		if err != nil {
			locate(text) // ends and does not panic, on anything
			return
		}
		lines := locate(text)
		var got []string
		for key, line := range lines {
			got = append(got, plain(key))
			if most := 1 + strings.Count(text, "\n"); line < 1 || line > most {
				t.Errorf("%s is on line %d of %d", key, line, most)
			}
		}
		for _, key := range meta.Keys() {
			if !slices.Contains(got, plain(key.String())) {
				t.Errorf("%s has no line in %q", key, fmt.Sprint(lines))
			}
		}
	})
}

// FuzzParse holds what every accepted configuration must be, and what every
// fault must say.
func FuzzParse(f *testing.F) {
	for _, text := range seeds(f) {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		c, err := parse(text)
		if err == nil {
			sound(t, c)
			return
		}
		for line := range strings.Lines(err.Error()) {
			if line = strings.TrimSuffix(line, "\n"); strings.TrimSpace(line) == "" {
				t.Errorf("an empty line in %q", err)
			}
			for _, r := range line {
				if r < ' ' || r == 0x7f {
					t.Errorf("a control character in %q", line)
				}
			}
		}
		if err.Error() == "" {
			t.Error("a fault without text")
		}
	})
}

// sound checks what the rest of the program relies on.
func sound(t *testing.T, c Config) {
	t.Helper()
	g, a, b := c.General, c.Auth, c.Batch
	for what, ok := range map[string]bool{
		"executor":       g.Executor == settings.Shell || g.Executor == "slurm",
		"data_dir":       strings.HasPrefix(g.DataDir.String(), "/") || strings.HasPrefix(g.DataDir.String(), "$HOME") || g.VariableDataDir && strings.HasPrefix(g.DataDir.String(), "$"),
		"root_dir":       !a.RootDirCreation || strings.HasPrefix(g.DataDir.String(), "/") && !strings.Contains(g.DataDir.String(), "$") && !g.CustomBuildDir,
		"server":         g.GitLabServer != nil && jwks.CheckURL(g.GitLabServer, jwks.ReservedPorts, true) == nil,
		"key server":     jwks.CheckURL(g.keyServer(), jwks.ReservedPorts, g.InsecureLoopbackHTTP) == nil,
		"issuer":         g.JWTIssuer != "" && g.JWTRequiredAud != "" && g.JWTEnvVariable != "",
		"downscope":      a.Downscope == settings.Setuid || a.Downscope == settings.Sudo || a.Downscope == settings.None,
		"min_uid":        a.MinUID >= 100 && a.MinUID != 1<<32-1,
		"account_source": (a.AccountSource == settings.Map) == !a.AccountMap.IsZero() && (a.AccountSource == settings.ExternUID) == (a.AccountProvider != ""),
		"runas":          !a.RunAs.ValidationScript.IsZero() || a.RunAs.UserVariable == "" && a.RunAs.SHA256 == "",
		"kill_timeout":   g.KillTimeout > 0 && g.JWKSMaxAge > 0 && g.JWKSStaleMax >= g.JWKSMaxAge && g.JWTExpDelay >= 0,
		"batch times":    b.CommandDelay > 0 && b.NFSTimeout >= 0 && b.PendingTimeout >= 0 && b.CancelGrace >= 0,
		"shell":          !g.ShellPath.IsZero(),
		"logging":        (a.Logging.Network == "") == (a.Logging.Address == ""),
	} {
		if !ok {
			t.Errorf("%s is not sound in %+v", what, c)
		}
	}
	for _, r := range b.Rules {
		if len(r.Args) == 0 {
			t.Errorf("a rule without arguments: %+v", r)
		}
	}
}

// seeds are the texts of the golden files and every example of the schema.
func seeds(f *testing.F) (texts []string) {
	for _, text := range cases(f, "broken", "faults") {
		texts = append(texts, text)
	}
	for _, text := range cases(f, "unusual", "warnings") {
		texts = append(texts, text)
	}
	for _, k := range Reference() {
		texts = append(texts, with(k, k.Example))
	}
	return texts
}
