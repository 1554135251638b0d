// Package deps compares the packages that a program links with its committed list, and
// with those that it must never link.
package deps

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write deps.txt")

// list is the committed list, in the directory of the program.
const list = "deps.txt"

// Limits are what a program may not link.
type Limits struct {
	// Never maps a package, with all below it, to the reason.
	Never map[string]string
	// Exactly are packages that must not be linked while those below them may.
	Exactly map[string]string
	// Linked is how many packages there may be, this module's included. Each is
	// code that runs with the program's rights, and time at its start.
	Linked int
	// Foreign is how many of them may be of other modules and of Go itself; 0 sets no
	// limit.
	Foreign int
}

// Check compares the program in the current directory with its list.
func Check(t *testing.T, limits Limits) {
	t.Helper()
	have := linked(t)
	if *update {
		if err := os.WriteFile(list, []byte(header()+strings.Join(have, "\n")+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(list)
	if err != nil {
		t.Fatal(err)
	}
	for _, fault := range append(differences(have, string(text)), limits.faults(have)...) {
		t.Error(fault)
	}
}

// faults are the linked packages that must not be linked.
func (l Limits) faults(have []string) (faults []string) {
	if len(have) > l.Linked {
		faults = append(faults, fmt.Sprintf("%d packages are linked, over the %d that were agreed", len(have), l.Linked))
	}
	if foreign := slices.DeleteFunc(slices.Clone(have), isOurs); l.Foreign > 0 && len(foreign) > l.Foreign {
		faults = append(faults, fmt.Sprintf("%d packages of others are linked, over the %d that were agreed", len(foreign), l.Foreign))
	}
	for _, p := range have {
		if why := l.Exactly[p]; why != "" {
			faults = append(faults, p+" is linked: "+why)
		}
		for never, why := range l.Never {
			if p == never || strings.HasPrefix(p, never+"/") {
				faults = append(faults, p+" is linked: "+why)
			}
		}
	}
	return faults
}

// header names the release of Go whose standard library the list has: its
// internal packages differ from one to the next.
func header() string {
	release, _, _ := strings.Cut(strings.TrimPrefix(runtime.Version(), "go1."), ".")
	return "# Every package that is linked, with go1." + release + ". Written by `make deps`.\n"
}

// differences compares what is linked with the list. Packages of the standard
// library are left out where the list is of another release of Go.
func differences(have []string, list string) (faults []string) {
	want := strings.Split(strings.TrimSpace(list), "\n")
	if want[0] != strings.TrimSpace(header()) {
		have, want = slices.DeleteFunc(slices.Clone(have), isStandard), slices.DeleteFunc(want, isStandard)
	}
	want = slices.DeleteFunc(want, func(line string) bool { return strings.HasPrefix(line, "#") })
	for _, p := range have {
		if !slices.Contains(want, p) {
			faults = append(faults, p+" is linked and not in the list: is it worth it? Then `make deps`")
		}
	}
	for _, p := range want {
		if !slices.Contains(have, p) {
			faults = append(faults, p+" is in the list and not linked any more: `make deps`")
		}
	}
	return faults
}

// linked lists the packages that the Makefile links.
func linked(t *testing.T) []string {
	t.Helper()
	cmd := exec.Command("go", "list", "-deps", "-tags="+tags(t), ".")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH=amd64")
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	all := strings.Fields(string(out))
	slices.Sort(all)
	return all
}

// tags are the build tags of the Makefile.
func tags(t *testing.T) string {
	t.Helper()
	module, err := exec.Command("go", "env", "GOMOD").Output()
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(filepath.Dir(string(module)), "Makefile"))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if value, ok := strings.CutPrefix(line, "TAGS    := "); ok {
			return strings.TrimSpace(value)
		}
	}
	t.Fatal("the Makefile has no line of TAGS")
	return ""
}

func isOurs(p string) bool { return strings.HasPrefix(p, "jacamar-ci/") }

// isStandard applies the rule of the go command: the first part of a module's
// path has a dot, unless it is this one.
func isStandard(p string) bool {
	first, _, _ := strings.Cut(p, "/")
	return !isOurs(p) && !strings.Contains(first, ".")
}
