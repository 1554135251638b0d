package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// empty is the least that a program in Go can be.
const empty = "package main\n\nfunc main() {}\n"

// starts compares the start of jacamar-auth with that of an empty program that is built
// in the same way, in turns.
func starts(rounds int) (err error) {
	dir, err := os.MkdirTemp("", "jacamar-bench-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	source := filepath.Join(dir, "empty.go")
	if err := os.WriteFile(source, []byte(empty), 0o600); err != nil {
		return err
	}
	programs := []struct{ name, file, limit string }{
		{"an empty Go program", "empty", ""},
		{"jacamar-auth --version", "auth", ""},
		{"jacamar --version", "jacamar", "GOMAXPROCS=1"},
		{"jacamar-auth, 256 processors", "auth", "GOMAXPROCS=256"},
		{"jacamar-auth, drop-in", "auth", "GOMAXPROCS=4"},
	}
	took := make([][2]sample, len(programs))
	for file, from := range map[string]string{"empty": source, "auth": "./cmd/jacamar-auth", "jacamar": "./cmd/jacamar"} {
		if err := buildAsShipped(filepath.Join(dir, file), from); err != nil {
			return err
		}
	}
	for range rounds {
		for i, p := range programs {
			begin := time.Now()
			cpu, err := processorTime(limited(p.limit, filepath.Join(dir, p.file), "--version"), 0)
			if err != nil {
				return err
			}
			took[i][0], took[i][1] = append(took[i][0], time.Since(begin)), append(took[i][1], cpu)
		}
	}
	fmt.Printf("The start of a program; %d rounds, taking turns\n\n", rounds)
	for kind, name := range []string{"wall clock", "processor time"} {
		for i, p := range programs {
			s := took[i][kind]
			fmt.Printf("%-15s %-29s %s (%s)  %.2f\n", name, p.name, millis(s.median()), s.spread(), s.median().Seconds()/took[0][kind].median().Seconds())
		}
	}
	return nil
}

// limited is plain with one more variable, "" for none.
func limited(variable string, argv ...string) func() *exec.Cmd {
	return func() *exec.Cmd {
		cmd := plain(argv...)()
		if variable != "" {
			cmd.Env = append(cmd.Env, variable)
		}
		return cmd
	}
}

// buildAsShipped builds with the flags of the Makefile, whose tags are in GOFLAGS.
func buildAsShipped(target, source string) error {
	cmd := exec.Command("go", "build", "-trimpath", "-buildvcs=false", "-ldflags", "-s -w", "-o", target, source)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("cannot build %s: %w\n%s", source, err, out)
	}
	return nil
}
