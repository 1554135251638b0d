package settings

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"jacamar-ci/internal/rlimit"
)

// TestNames: a key has one name, in the file and in the request.
func TestNames(t *testing.T) {
	for _, of := range []reflect.Type{
		reflect.TypeFor[General](), reflect.TypeFor[Batch](), reflect.TypeFor[RuleArgs](), reflect.TypeFor[Confinement](),
		reflect.TypeFor[Seccomp](), reflect.TypeFor[Limits](),
	} {
		for _, f := range reflect.VisibleFields(of) {
			name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
			if !f.Anonymous && (name == "" || name != f.Tag.Get("toml")) {
				t.Errorf("%s.%s is %q in the file and %q in the request", of.Name(), f.Name, f.Tag.Get("toml"), name)
			}
		}
	}
}

// TestConfinementTravels: what is not set stays so.
func TestConfinementTravels(t *testing.T) {
	nofile, err := rlimit.ParseRange("10:20")
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]Confinement{
		"nothing": {}, "limits": {Limits: Limits{NoFile: nofile}}, "a flag": {NoNewPrivs: true}, "no filter": {Seccomp: Seccomp{Disabled: true}},
	} {
		text, err := json.Marshal(want)
		if err != nil {
			t.Fatal(err)
		}
		var got Confinement
		if err := json.Unmarshal(text, &got); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
}

func TestFilter(t *testing.T) {
	for name, tt := range map[string]struct {
		confinement Confinement
		want        bool
	}{
		"nothing":                 {Confinement{}, false},
		"no new privileges":       {Confinement{NoNewPrivs: true}, true},
		"disabled":                {Confinement{NoNewPrivs: true, Seccomp: Seccomp{Disabled: true}}, false},
		"with privileges to gain": {Confinement{Seccomp: Seccomp{BlockAll: true}}, false},
	} {
		if got := tt.confinement.Filter(); (got != nil) != tt.want {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

// TestPlacesOfAKey counts the files of production code that have a name of a key which is
// used in one place.
func TestPlacesOfAKey(t *testing.T) {
	for _, field := range []string{
		"VariableDataDir", "GroupPermissions", "UncapBuildDirCleanup", "FileLockDebug", "StaticBuildsDays", "UserBashEnv",
		"DefaultArgs", "AllowIllegalArgs", "WaitForImpossible",
	} {
		f, ok := reflect.TypeFor[struct {
			General
			Batch
		}]().FieldByName(field)
		if !ok {
			t.Errorf("no setting has the field %s", field)
			continue
		}
		if files := mentions(t, field, f.Tag.Get("toml")); len(files) > 3 || len(files) < 2 {
			t.Errorf("%s is in %d files, want at most 3: %q", field, len(files), files)
		}
	}
}

// mentions lists the files that have a field or a key in code. What only relates keys
// to each other, or overrides one for a job, is not counted.
func mentions(t *testing.T, field, key string) (files []string) {
	t.Helper()
	pattern := regexp.MustCompile(`\b` + field + `\b|"\w+\.` + key + `"`)
	comments := regexp.MustCompile(`(?m)//.*$`)
	relations := regexp.MustCompile(`^(config/(check|aliases|warnings)|auth/run|auth/admin/bugreport/sources)\.go$`)
	err := filepath.WalkDir("..", func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		text, err := os.ReadFile(path)
		if name, _ := filepath.Rel("..", path); pattern.Match(comments.ReplaceAll(text, nil)) && !relations.MatchString(name) {
			files = append(files, name)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// TestWorkedExample adds the key of docs/developing/adding-a-key.md to a copy of the
// sources, in the places that the page names, and reads it from a configuration.
func TestWorkedExample(t *testing.T) {
	if _, err := exec.LookPath("go"); err != nil {
		t.Skip("needs the go command, which is not on PATH")
	}
	page, err := os.ReadFile("../../docs/developing/adding-a-key.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := regexp.MustCompile("(?s)`(internal/[a-z_/]+\\.go)`[^`]*(?:`[^`\n]*`[^`]*)*?```go\n(.*?)```").FindAllStringSubmatch(string(page), -1)
	after := []string{"type Directories struct {\n", "func directoryKeys() []Key {\n\treturn []Key{\n", "log := joblog.NewWriter(s.stdout)\n"}
	if len(blocks) != len(after) {
		t.Fatalf("the page has %d places, want %d", len(blocks), len(after))
	}
	overlay := map[string]string{}
	for i, b := range blocks {
		text, err := os.ReadFile("../../" + b[1])
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(text), after[i]) {
			t.Fatalf("%s has no %q", b[1], after[i])
		}
		overlay["../../"+b[1]] = strings.Replace(string(text), after[i], after[i]+b[2], 1)
	}
	overlay["../config/example_test.go"] = exampleTest
	list, dir := overlaid(t, overlay)
	program := filepath.Join(dir, "config.test")
	for _, argv := range [][]string{
		{"go", "test", "-c", "-vet=off", "-o", program, "-overlay", list, "jacamar-ci/internal/config"},
		{"go", "build", "-overlay", list, "jacamar-ci/internal/jobrun"},
		{program, "-test.run=TestWorkedExample|TestSchemaAndStructAgree", "-test.v"},
	} {
		out, err := exec.Command(argv[0], argv[1:]...).CombinedOutput()
		if err != nil || argv[0] == program && !strings.Contains(string(out), "PASS: TestWorkedExample") {
			t.Fatalf("%q: %v\n%s", argv, err, out)
		}
	}
}

// overlaid writes the list for the flag -overlay of the go command.
func overlaid(t *testing.T, files map[string]string) (list, dir string) {
	t.Helper()
	dir = t.TempDir()
	replace := map[string]string{}
	for path, text := range files {
		full, err := filepath.Abs(path)
		if err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(dir, strings.ReplaceAll(strings.Trim(path, "./"), "/", "_"))
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		replace[full] = file
	}
	text, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		t.Fatal(err)
	}
	list = filepath.Join(dir, "overlay.json")
	if err := os.WriteFile(list, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return list, dir
}

const exampleTest = `package config

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestWorkedExample(t *testing.T) {
	c, err := parse("[general]\nexecutor = \"shell\"\ndata_dir = \"$HOME\"\ngitlab_server = \"https://gitlab.example.com\"\ngreet_user = true\n[auth]\ndownscope = \"none\"\n")
	if err != nil || !c.General.GreetUser {
		t.Fatalf("%+v, %v", c.General, err)
	}
	text, err := json.Marshal(c.General.General)
	if err != nil || !strings.Contains(string(text), "\"greet_user\":true") {
		t.Errorf("%s, %v", text, err)
	}
}
`
