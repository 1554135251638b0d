package fakeschedulers

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// program is one of Slurm's commands.
type program struct {
	store Store
	out   io.Writer
	now   string
}

// errExit is an error message with the exit status that goes with it.
type errExit struct {
	text string
	code int
}

func (e errExit) Error() string { return e.text }

func failf(code int, format string, args ...any) error {
	return errExit{fmt.Sprintf(format, args...), code}
}

// Main acts as the program that argv names and returns its exit status.
func Main(argv []string) int {
	name := filepath.Base(argv[0])
	store := find()
	if name == "fake-slurmstepd" {
		return store.step(argv[1])
	}
	if f, ok := schedulerDefs()[store.kind]; ok && store.behaviour().Away {
		return status(f.away)
	}
	if _, err := os.Stat(store.Conf()); err != nil {
		fmt.Fprintf(os.Stderr, "%s: fatal: Could not establish a configuration source\n", name)
		return 1
	}
	store.count(name)
	fault := store.fault(name)
	fmt.Print(fault.Banner)
	if !fault.happen(fault.Before) {
		fmt.Fprintln(os.Stderr, fault.Stderr)
		return 1
	}
	var out strings.Builder
	err := (&program{store: store, out: &out, now: name}).run(argv[1:])
	text := out.String()
	if fault.Instead != nil {
		text = *fault.Instead
	}
	fmt.Print(text)
	if !fault.happen(fault.After) {
		fmt.Fprintln(os.Stderr, fault.Stderr)
		return 1
	}
	return status(err)
}

func status(err error) int {
	if err == nil {
		return 0
	}
	if err.Error() != "" {
		fmt.Fprintln(os.Stderr, err)
	}
	if e, ok := err.(errExit); ok {
		return e.code
	}
	return 1
}

// find is the cluster that the environment names.
func find() Store {
	for kind, f := range schedulerDefs() {
		if conf := os.Getenv(f.conf); filepath.Base(conf) == kind+".conf" {
			return Store{filepath.Dir(conf), kind}
		}
	}
	return Store{}
}

func (p *program) run(args []string) error {
	f := schedulerDefs()[p.store.kind]
	if act, ok := f.programs[p.now]; ok {
		return act(p, args)
	}
	return failf(127, "%s: this fake plays no such program", p.now)
}

// options reads arguments strictly: known names the options, true for those with
// a value. Long ones take it after "=" or in the next word, short ones in the
// same word or in the next.
func (p *program) options(args []string, known map[string]bool) (map[string]string, []string, error) {
	got := map[string]string{}
	for len(args) > 0 && strings.HasPrefix(args[0], "-") {
		name, value, attached := strings.Cut(args[0], "=")
		if short := args[0][:min(2, len(args[0]))]; len(args[0]) > 2 && short != "--" {
			name, value, attached = short, args[0][2:], true
		}
		takes, ok := known[name]
		switch {
		case !ok || attached && !takes:
			return nil, nil, failf(255, "%s: unrecognized option '%s'\nTry \"%s --help\" for more information", p.now, args[0], p.now)
		case takes && !attached:
			if len(args) < 2 {
				return nil, nil, failf(255, "%s: option requires an argument -- '%s'", p.now, name)
			}
			value, args = args[1], args[1:]
		}
		got[name] = value
		args = args[1:]
	}
	return got, args, nil
}
