package layering

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// listed is a package in the output of `go list -json`.
type listed struct {
	ImportPath string
	Dir        string
	Standard   bool
	GoFiles    []string
	Imports    []string
}

// list lists packages of this module.
func list(t *testing.T, args ...string) []listed {
	t.Helper()
	cmd := exec.Command("go", append([]string{"list", "-json=ImportPath,Dir,Standard,GoFiles,Imports"}, args...)...)
	cmd.Dir = "../../.."
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list %v: %v", args, err)
	}
	var all []listed
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var p listed
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
}

// is reports whether pattern names the package path.
func is(path, pattern string) bool {
	kind, several := strings.CutSuffix(pattern, "*")
	name, below := strings.CutPrefix(path, kind)
	return path == pattern || several && below && name != "" && !strings.Contains(name, "/")
}

// known finds the row of a package.
func known(importPath string) (pkg, bool) {
	for _, r := range packages {
		if is(strings.TrimPrefix(importPath, module), r.path) {
			return r, true
		}
	}
	return pkg{}, false
}

func TestPackageImports(t *testing.T) {
	standard := map[string]bool{}
	for _, p := range list(t, "std") {
		standard[p.ImportPath] = true
	}
	for _, p := range list(t, "./internal/...", "./cmd/...") {
		t.Run(strings.TrimPrefix(p.ImportPath, module), func(t *testing.T) {
			r, ok := known(p.ImportPath)
			if !ok {
				t.Fatal("this package has no row in packages_test.go: add one with its allowed imports")
			}
			for _, i := range p.Imports {
				if why := r.refuses(i, standard[i]); why != "" {
					t.Errorf("imports %s: %s", i, why)
				}
			}
		})
	}
}

// textOnly are packages that every package may import: they parse and format text and
// use no network, in spite of their names.
var textOnly = []string{"net/netip", "net/url"}

// refuses returns the reason why a package may not import a package; "" when it may.
func (r pkg) refuses(path string, standard bool) string {
	switch rest, ours := strings.CutPrefix(path, module); {
	case ours && !slices.ContainsFunc(r.may, func(p string) bool { return is(rest, p) }):
		return "the table does not allow this package"
	case !ours && !standard && !slices.Contains(r.beyond, path):
		return "the table does not allow this external module"
	case standard && !slices.Contains(textOnly, path) && slices.ContainsFunc(r.never, func(n string) bool { return under(path, n) }):
		return "the table forbids it for this package"
	}
	return ""
}

func TestRefuses(t *testing.T) {
	r := pkg{path: "internal/x", may: []string{"internal/job", "internal/kind/*"}, beyond: []string{cli}, never: []string{"os", "net"}}
	for _, c := range []struct {
		path     string
		standard bool
		refused  bool
	}{
		{"jacamar-ci/internal/job", false, false},
		{"jacamar-ci/internal/jobrun", false, true},
		{"jacamar-ci/internal/kind/one", false, false},
		{"jacamar-ci/internal/kind", false, true},
		{"jacamar-ci/internal/kind/one/below", false, true},
		{"jacamar-ci/test/harness/site", false, true},
		{cli, false, false},
		{cli + "/altsrc", false, true},
		{toml, false, true},
		{"fmt", true, false},
		{"os", true, true},
		{"os/exec", true, true},
		{"net/http", true, true},
		{"net/url", true, false},
		{"netgo", true, false},
	} {
		if got := r.refuses(c.path, c.standard); (got != "") != c.refused {
			t.Errorf("%s: %q", c.path, got)
		}
	}
}

// TestEveryAllowanceIsUsed keeps the table from permitting imports that are not needed: a
// later import would pass without a decision.
func TestEveryAllowanceIsUsed(t *testing.T) {
	used := map[string][]string{}
	for _, p := range list(t, "./internal/...", "./cmd/...") {
		if r, ok := known(p.ImportPath); ok {
			used[r.path] = append(used[r.path], p.Imports...)
		}
	}
	for _, r := range packages {
		for _, allowed := range r.unused(used[r.path]) {
			t.Errorf("no package of the row %s imports %s: remove the allowance", r.path, allowed)
		}
	}
}

// unused lists the allowances of the row that none of these imports needs.
func (r pkg) unused(imports []string) (all []string) {
	for _, allowed := range r.may {
		if !slices.ContainsFunc(imports, func(i string) bool {
			path, ours := strings.CutPrefix(i, module)
			return ours && is(path, allowed)
		}) {
			all = append(all, allowed)
		}
	}
	for _, allowed := range r.beyond {
		if !slices.Contains(imports, allowed) {
			all = append(all, allowed)
		}
	}
	return all
}

func TestUnused(t *testing.T) {
	r := pkg{path: "internal/x", may: []string{"internal/job", "internal/kind/*", "internal/gone"}, beyond: []string{cli, toml}}
	got := r.unused([]string{"fmt", module + "internal/job", module + "internal/kind/one", toml, "internal/gone"})
	if !slices.Equal(got, []string{"internal/gone", cli}) {
		t.Errorf("got %q", got)
	}
	if got := r.unused(nil); len(got) != 5 {
		t.Errorf("without imports: %q", got)
	}
}

func TestEveryRowIsAPackage(t *testing.T) {
	linked := list(t, "./...")
	there := func(row string) bool {
		return slices.ContainsFunc(linked, func(p listed) bool { return is(strings.TrimPrefix(p.ImportPath, module), row) })
	}
	for _, r := range packages {
		for _, path := range append([]string{r.path}, r.may...) {
			if !there(path) {
				t.Errorf("%s, in the row of %s, does not exist", path, r.path)
			}
		}
	}
}
