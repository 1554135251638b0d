package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// program is the test program of a package with all its mutants.
type program struct {
	pkg, name string
	files     map[string]string
	text      []byte
}

func buildProgram(pkg string, mutants []mutant) (p program, err error) {
	dir, err := os.MkdirTemp("", "mutants-")
	if err != nil {
		return p, err
	}
	defer os.RemoveAll(dir)
	p.pkg = pkg
	if p.files, p.name, err = combined(pkg, mutants); err != nil {
		return p, err
	}
	overlay, err := p.overlay(dir, 0)
	if err != nil {
		return p, err
	}
	file := filepath.Join(dir, "combined.test")
	if out, err := exec.Command("go", "test", "-c", "-overlay", overlay, "-o", file, "./"+pkg).CombinedOutput(); err != nil {
		return p, fmt.Errorf("cannot build the mutants of %s: %w:\n%s", pkg, err, out)
	}
	p.text, err = os.ReadFile(file)
	if err == nil && bytes.Count(p.text, []byte(numberText(0))) != 1 {
		err = fmt.Errorf("the test program of %s does not contain its number once", pkg)
	}
	return p, err
}

// overlay writes the files of a mutant for the go command.
func (p program) overlay(dir string, number int) (string, error) {
	files := maps.Clone(p.files)
	files[filepath.Join(p.pkg, "mutation_chosen.go")] = choose(p.name, number)
	return writeOverlay(dir, files)
}

// fails reports whether the tests fail with a mutant; number 0 is none.
func (p program) fails(number int, limit time.Duration) (failed, timeout bool, err error) {
	dir, err := os.MkdirTemp("", "mutant-")
	if err != nil {
		return false, false, err
	}
	defer os.RemoveAll(dir)
	file := filepath.Join(dir, filepath.Base(p.pkg)+".test")
	if err := p.write(file, number); err != nil {
		return false, false, err
	}
	overlay, err := p.overlay(dir, number)
	if err != nil {
		return false, false, err
	}
	output, err := os.Create(filepath.Join(dir, "output"))
	if err != nil {
		return false, false, err
	}
	defer output.Close()
	err = p.run(file, overlay, output, limit)
	text, rerr := os.ReadFile(output.Name())
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		return false, false, err // it did not start
	}
	return err != nil, bytes.Contains(text, []byte("test timed out")), rerr
}

// write leaves the writing to another process: if this one had the file open for writing
// while it starts a program for another mutant, it could not execute the file (ETXTBSY
// in execve(2)).
func (p program) write(file string, number int) error {
	text := bytes.Replace(p.text, []byte(numberText(0)), []byte(numberText(number)), 1)
	cmd := exec.Command("/bin/sh", "-c", `cat > "$1" && chmod 755 "$1"`, "sh", file)
	cmd.Stdin = bytes.NewReader(text)
	return cmd.Run()
}

// run runs the program as go test does, in the package's directory, but with a table of
// processes of its own: a mutant may kill every process that it sees, or leave some behind,
// which end with the first one, a shell. The output goes to a file, since a process that is
// left behind would keep a pipe open.
func (p program) run(file, overlay string, output *os.File, limit time.Duration) error {
	ctx, cancel := context.WithTimeout(context.Background(), limit+time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "/usr/bin/unshare", "--pid", "--fork", "--kill-child", "--mount-proc", "/bin/sh", "-c", `"$@"; exit $?`, "sh",
		"/usr/bin/setsid", "--fork", "--wait", file, "-test.paniconexit0", "-test.short", "-test.failfast", "-test.timeout="+limit.String())
	cmd.Dir, cmd.Stdout, cmd.Stderr = p.pkg, output, output
	cmd.Env = overlaid(overlay) // of a program that the tests build
	return cmd.Run()
}
