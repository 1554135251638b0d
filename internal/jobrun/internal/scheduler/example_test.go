package scheduler_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// The example in the documentation is a scheduler of less than 200 lines that compiles and
// works as documented.
func TestWorkedExample(t *testing.T) {
	if _, err := exec.LookPath("go"); err != nil {
		t.Skip("needs the go command, which is not on PATH")
	}
	page, err := os.ReadFile("../../../../docs/executors/adding-a-scheduler.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(page), "```go\n")
	code, _, ok := strings.Cut(rest, "```\n")
	if n := strings.Count(code, "\n"); !ok || n >= 200 {
		t.Fatalf("the example has %d lines, want less than 200", n)
	}
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	overlay := map[string]string{}
	for name, text := range map[string]string{"pjm.go": code, "pjm_test.go": exampleTest} {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		overlay[filepath.Join(here, "pjm", name)] = file
	}
	text, err := json.Marshal(map[string]any{"Replace": overlay})
	if err != nil {
		t.Fatal(err)
	}
	list := filepath.Join(dir, "overlay.json")
	if err := os.WriteFile(list, text, 0o600); err != nil {
		t.Fatal(err)
	}
	// Built and run in two steps: a package that is only overlaid has no directory
	// to run its test in.
	program := filepath.Join(dir, "pjm.test")
	build := exec.Command("go", "test", "-c", "-vet=off", "-o", program, "-overlay", list, "jacamar-ci/internal/jobrun/internal/scheduler/pjm")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if out, err := exec.Command(program).CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	if out, err := exec.Command("gofmt", "-l", dir).CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("gofmt: %v %s", err, out)
	}
}

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
