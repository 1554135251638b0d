// Package cmdline runs txtar scripts against a program that make has built. In
// addition to testscript's own commands there is
//
//	exits STATUS PROGRAM ARG...   run it and expect the exit status
//
// and on PATH, in the directory of the program,
//
//	launch [-argc0] [-close FD,FD...] PROGRAM ARG...
//
// which executes it as a shell cannot: without any argument, not even its name, or
// with descriptors closed. $NL is a newline.
package cmdline

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// Run runs the scripts in testdata against the program in the current directory.
func Run(t *testing.T, program string) {
	t.Helper()
	bin := t.TempDir()
	Build(t, program, bin)
	testscript.Run(t, testscript.Params{
		Dir: "testdata", RequireExplicitExec: true, RequireUniqueNames: true,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"exits": exits},
		Setup: func(e *testscript.Env) error {
			e.Setenv("PATH", bin+":"+e.Getenv("PATH"))
			e.Setenv("NL", "\n")
			return nil
		},
	})
}

// Build makes one program in bin. It runs make, so that tests use the flags and
// tags of the Makefile.
func Build(t *testing.T, program, bin string) {
	t.Helper()
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("make", "--no-print-directory", "--directory", root, "build", "BIN="+bin, "PROGRAMS=./cmd/"+program)
	cmd.Env = append(os.Environ(), "MAKEFLAGS=")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("make build: %v\n%s", err, out)
	}
}

// exits is the command of that name.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits STATUS PROGRAM ARG...")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	if got := status(ts.Exec(args[1], args[2:]...)); got != want {
		ts.Fatalf("%s exited with %d, not %d\n%s", strings.Join(args[1:], " "), got, want, ts.ReadFile("stderr"))
	}
}

// status is the exit status in the error of Exec; -1 for a signal.
func status(err error) int {
	var ended *exec.ExitError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &ended):
		return ended.ExitCode()
	}
	return -1
}

// Main registers launch; a package's TestMain calls it.
func Main(m *testing.M) {
	testscript.Main(m, map[string]func(){"launch": func() {
		if err := launch(os.Args[1:]); err != nil {
			fmt.Fprintln(os.Stderr, "launch:", err)
			os.Exit(125)
		}
	}})
}
