package config

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"jacamar-ci/test/harness/testutil"
)

const leastFile = "[general]\ngitlab_server = \"https://gitlab.example.com\"\ndata_dir = \"$HOME\"\nexecutor = \"shell\"\n[auth]\ndownscope = \"setuid\"\n"

// asText writes settings as a document again.
func asText(settings []Setting) string {
	var out strings.Builder
	table := ""
	for _, s := range settings {
		if s.Value == "" {
			continue
		}
		in, name := split(s.Key)
		if in != table {
			table = in
			header := "[" + in + "]"
			if list, _, entry := strings.Cut(in, "["); entry {
				header = "[[" + list + "]]"
			}
			fmt.Fprintln(&out, header)
		}
		fmt.Fprintf(&out, "%s = %s\n", name, s.Value)
	}
	return out.String()
}

// TestEffective: the settings have the effect of the file, and name their sources.
func TestEffective(t *testing.T) {
	text := "# a comment\n[general]\ngitlab_server = \"https://gitlab.example.com/\"\ndata_dir = \"$HOME\"\nexecutor = \"slurm\"\n" +
		"kill_timeout = \"4m\"\nff_limit_build_dir = true\n[auth]\ndownscope = \"setuid\"\njwt_exp_delay = \"1h\"\nuser_allowlist = []\n" +
		"[auth.logging]\nenabled = true\n[[batch.rule]]\nproject = \"a/*\"\nargs = [\"-A\", \"x\"]\n[[batch.rule]]\nargs = [\"-B\"]\n"
	settings, err := effective(text)
	if err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string]Setting{
		"general.kill_timeout":     {Value: `"4m"`, From: FromFile, Line: 6},
		"general.limit_build_dir":  {Value: "true", From: FromFile, Line: 7, Name: "general.ff_limit_build_dir"},
		"general.jwt_exp_delay":    {Value: `"1h"`, From: FromFile, Line: 10, Name: "auth.jwt_exp_delay"},
		"general.shell_path":       {Value: `"/bin/bash"`, From: FromDefault},
		"general.jwt_required_aud": {Value: `"https://gitlab.example.com"`, From: FromServer},
		"auth.user_allowlist":      {Value: "[]", From: FromFile, Line: 11},
		"batch.rule[1].args":       {Value: `["-A", "x"]`, From: FromFile, Line: 16},
		"batch.rule[2].args":       {Value: `["-B"]`, From: FromFile, Line: 18},
	} {
		want.Key = key
		found := false
		for _, s := range settings {
			if s.Key == key {
				found = true
				if s != want {
					t.Errorf("%+v, want %+v", s, want)
				}
			}
		}
		if !found {
			t.Errorf("no %s", key)
		}
	}
	sameEffect(t, text, settings)
}

func sameEffect(t *testing.T, text string, settings []Setting) {
	t.Helper()
	first, err := parse(text)
	if err != nil {
		t.Fatal(err)
	}
	second, err := parse(asText(settings))
	if err != nil {
		t.Fatalf("%v\n%s", err, asText(settings))
	}
	first.Warnings, second.Warnings = nil, nil
	if !reflect.DeepEqual(first, second) {
		t.Errorf("another effect:\n%s\n%s", asText(settings), cmp.Diff(fmt.Sprintf("%+v", first), fmt.Sprintf("%+v", second)))
	}
}

// TestEffectiveOfEveryExample: each key of the schema is shown as the file has it.
func TestEffectiveOfEveryExample(t *testing.T) {
	for _, k := range Reference() {
		table, name := split(k.Path)
		header := "[" + table + "]"
		if IsArray(table) {
			header = "[[" + table + "]]"
		}
		text := leastFile + header + "\n" + k.Example + "\n"
		if table == "general" || table == "auth" {
			text = strings.Replace(leastFile, "["+table+"]\n", "["+table+"]\n"+k.Example+"\n", 1)
		}
		settings, err := effective(text)
		if err != nil {
			continue // it needs another key, or repeats a required one
		}
		shown := false
		for _, s := range settings {
			_, last := split(s.Key)
			shown = shown || last == name && s.From == FromFile && s.Line > 0
		}
		if !shown {
			t.Errorf("%s is not shown:\n%s", k.Path, text)
		}
		sameEffect(t, text, settings)
	}
}

func TestEffectiveRefuses(t *testing.T) {
	if _, err := effective("[general]\n"); err == nil {
		t.Error("a file without an effect has settings")
	}
}

// writes returns the text to write of the first fault that has one.
func writes(err error) string {
	type several interface{ WrappedErrors() []error }
	list, ok := err.(several)
	if !ok {
		return ""
	}
	for _, e := range list.WrappedErrors() {
		if f, ok := e.(Fault); ok && f.Write != "" {
			return f.Write
		}
	}
	return ""
}

func TestWarnings(t *testing.T) {
	for line, want := range map[string]string{
		"[auth]\nproject_allowlist = [\"^hpc/.*$\"]":                   "matches no project",
		"[auth]\nproject_blocklist = [\"hpc/.*\"]":                     "matches no project",
		"[auth]\nproject_allowlist = [\"hpc/**\", \"a-b_c/[de].f\"]":   "",
		"[general]\nuser_bash_env = [\"PATH=/opt/x:$PATH\"]":           "$ is not expanded",
		"[general]\nuser_bash_env = [\"LMOD=none\"]":                   "",
		"[batch]\ndefault_args = [\"--partition=main --time=10\"]":     "is one argument with a blank in it",
		"[batch]\ndefault_args = [\"--comment=a b\", \"--time=10\"]":   "",
		"[[batch.rule]]\nproject = \"https://x/y\"\nargs = [\"-A x\"]": "matches no project",
		"[[batch.rule]]\nargs = [\"-A x -B\"]":                         "is one argument with a blank in it",
	} {
		table, rest, _ := strings.Cut(line, "\n")
		text := leastFile + line + "\n"
		if strings.Contains(leastFile, table+"\n") {
			text = strings.Replace(leastFile, table+"\n", table+"\n"+rest+"\n", 1)
		}
		c, err := parse(text)
		if err != nil {
			if want == "" || !strings.Contains(err.Error(), "empty part") {
				t.Errorf("%s: %v", line, err)
			}
			continue
		}
		all := fmt.Sprint(c.Warnings)
		for _, kind := range []string{"matches no project", "$ is not expanded", "is one argument with a blank in it"} {
			if strings.Contains(all, kind) != (kind == want) {
				t.Errorf("%s: %s", line, all)
			}
		}
	}
}

func TestEffectiveOfAFile(t *testing.T) {
	dir := privateDir(t)
	for text, want := range map[string]string{leastFile: "", leastFile + "nothing = 1\n": "cannot use the configuration " + dir} {
		path := testutil.AbsPath(t, filepath.Join(dir, "jacamar.toml"))
		testutil.Must(t, os.WriteFile(path.String(), []byte(text), 0o600))
		all, err := Effective(path)
		if want == "" && (err != nil || len(all) == 0) || want != "" && (err == nil || !strings.HasPrefix(err.Error(), want)) {
			t.Errorf("%s%d settings, %v, want %q", text, len(all), err, want)
		}
	}
	if _, err := Effective(testutil.AbsPath(t, filepath.Join(dir, "missing"))); err == nil || !strings.HasPrefix(err.Error(), "cannot use the configuration: ") {
		t.Errorf("a missing file: %v", err)
	}
}

func TestCheckValue(t *testing.T) {
	for _, tt := range []struct{ key, value, want string }{
		{"general.executor", "slurm", ""},
		{"general.executor", "x", "x"},
		{"general.gitlab_server", "https://gitlab.example.org", ""},
		{"general.gitlab_server", "gitlab.example.org", "gitlab.example.org"},
		{"general.data_dir", "/data", ""},
		{"general.data_dir", "data", "data"},
		{"auth.downscope", "none", ""},
		{"auth.downscope", "x", "x"},
		{"general.nothing", "x", "unknown key"},
		{"nothing.executor", "x", "has no key nothing.executor"},
	} {
		err := CheckValue(tt.key, tt.value)
		if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s = %q: %v, want %q", tt.key, tt.value, err, tt.want)
		}
	}
}
