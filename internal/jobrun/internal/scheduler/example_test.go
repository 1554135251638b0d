package scheduler_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestWorkedExample adds the scheduler of the documentation to a copy of the sources:
// the package, its row and its line in the registry. It has less than 200 lines, works
// as documented, and is then an executor of the configuration.
func TestWorkedExample(t *testing.T) {
	if _, err := exec.LookPath("go"); err != nil {
		t.Skip("needs the go command, which is not on PATH")
	}
	code, row, line := page(t)
	if n := strings.Count(code, "\n"); n >= 200 {
		t.Fatalf("the example has %d lines, want less than 200", n)
	}
	dir := t.TempDir()
	write(t, filepath.Join(dir, "pjm.go"), code)
	if out, err := exec.Command("gofmt", "-l", dir).CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("gofmt: %v %s", err, out)
	}
	const registry, table = "../executor/batch.go", "../../../executors/executors.go"
	list := overlaid(t, dir, map[string]string{
		"pjm/pjm.go": code, "pjm/pjm_test.go": exampleTest,
		table: insert(t, table, "return []Executor{\n", row),
		registry: strings.Replace(insert(t, registry, "map[string]scheduler.Scheduler{\n", line),
			"import (\n", "import (\n\t\"jacamar-ci/internal/jobrun/internal/scheduler/pjm\"\n", 1),
		"../../../settings/pjm_test.go": settingsTest,
	})
	for pkg, test := range map[string]string{
		"jacamar-ci/internal/jobrun/internal/scheduler/pjm": "TestExample",
		"jacamar-ci/internal/jobrun/internal/executor":      "TestTableAndSchedulers",
		"jacamar-ci/internal/settings":                      "TestExample",
	} {
		// Built and run in two steps: a package that is only overlaid has no directory
		// to run its test in.
		program := filepath.Join(dir, "example.test")
		build := exec.Command("go", "test", "-c", "-vet=off", "-o", program, "-overlay", list, pkg)
		if out, err := build.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", pkg, err, out)
		}
		out, err := exec.Command(program, "-test.v", "-test.run=^"+test+"$").CombinedOutput()
		if err != nil || !strings.Contains(string(out), "PASS: "+test) {
			t.Errorf("%s: %v\n%s", pkg, err, out)
		}
	}
}

// TestPlacesOfAScheduler: in addition to its package, the row and the registry are the only
// production code that names a scheduler.
func TestPlacesOfAScheduler(t *testing.T) {
	for _, name := range []string{"cobalt", "flux", "lsf", "pbs", "sge", "slurm"} {
		var files []string
		for _, root := range []string{"../../..", "../../../../cmd"} {
			err := filepath.WalkDir(root, func(path string, d os.DirEntry, err error) error {
				if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") ||
					filepath.Base(filepath.Dir(path)) == name || filepath.Dir(path) == "../../../jobrun/internal/scheduler" { // which has programs that users type
					return err
				}
				text, err := os.ReadFile(path)
				if strings.Contains(string(text), `"`+name+`"`) || strings.Contains(string(text), "/scheduler/"+name+`"`) {
					files = append(files, filepath.Base(path))
				}
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		if want := []string{"executors.go", "batch.go"}; !slices.Equal(files, want) {
			t.Errorf("%s is named in %q, want %q", name, files, want)
		}
	}
}

// page returns the blocks of code of the documentation.
func page(t *testing.T) (code, row, line string) {
	t.Helper()
	text, err := os.ReadFile("../../../../docs/executors/adding-a-scheduler.md")
	if err != nil {
		t.Fatal(err)
	}
	var blocks []string
	for _, part := range strings.Split(string(text), "```go\n")[1:] {
		block, _, _ := strings.Cut(part, "```\n")
		blocks = append(blocks, block)
	}
	if len(blocks) != 3 {
		t.Fatalf("the page has %d blocks of code, want 3", len(blocks))
	}
	return blocks[0], blocks[1], blocks[2]
}

// insert returns the text of a file with more behind a place in it.
func insert(t *testing.T, file, place, more string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(text), place) {
		t.Fatalf("%s has no %q", file, place)
	}
	// Behind the first row: the shell's stays the first.
	if first := place + "\t\t{Name: Shell},\n"; strings.Contains(string(text), first) {
		place = first
	}
	return strings.Replace(string(text), place, place+more, 1)
}

// overlaid writes the list for the flag -overlay of the go command.
func overlaid(t *testing.T, dir string, files map[string]string) (list string) {
	t.Helper()
	replace := map[string]string{}
	for path, text := range files {
		full, err := filepath.Abs(path)
		if err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(dir, strings.ReplaceAll(strings.Trim(path, "./"), "/", "_"))
		write(t, file, text)
		replace[full] = file
	}
	text, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		t.Fatal(err)
	}
	list = filepath.Join(dir, "overlay.json")
	write(t, list, string(text))
	return list
}

func write(t *testing.T, file, text string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

const settingsTest = `package settings

import "testing"

func TestExample(t *testing.T) {
	var e Executor
	if err := e.UnmarshalText([]byte("pjm")); err != nil || e != "pjm" {
		t.Errorf("%q, %v", e, err)
	}
}
`

const exampleTest = `package pjm

import (
	"testing"

	"jacamar-ci/internal/jobrun/internal/scheduler"
)

func TestExample(t *testing.T) {
	if s := (PJM{}).ParseSubmit(scheduler.Reply{Stdout: "[INFO] PJM 0000 pjsub Job 12 submitted.\n"}); s.ID != "12" {
		t.Errorf("%+v", s)
	}
	for row, want := range map[string]scheduler.Phase{
		"12 RUN -": scheduler.Running, "12 EXT 7": scheduler.Done, "12 HLD -": scheduler.Pending, "12 XXX -": scheduler.Unknown, "13 RUN -": scheduler.Unknown,
	} {
		if s := parse(scheduler.Reply{Stdout: "JOB_ID ST EC\n" + row + "\n"}, "12"); s.Phase != want {
			t.Errorf("%s: %+v", row, s)
		}
	}
	if s := parse(scheduler.Reply{Stdout: "JOB_ID ST EC\n"}, "12"); !s.Missing {
		t.Errorf("%+v, want missing", s)
	}
	args, err := PJM{}.Grammar().Parse([]string{"-L", "node=1", "-g", "ra0"})
	if err != nil || len(args) != 2 {
		t.Errorf("%v %v", args, err)
	}
}
`
