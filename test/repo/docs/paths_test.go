package docs

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var (
	code = regexp.MustCompile("`([^`\n]+)`")
	// mentioned is a path of this repository, perhaps with wildcards or alternatives.
	mentioned = regexp.MustCompile(`^(?:\./)?((?:cmd|docs|internal|rpm|test|tools)/[\w./*{},-]+)$`)
	choice    = regexp.MustCompile(`\{([^{}]*)\}`)
	target    = regexp.MustCompile(`^make ([a-z][a-z-]+)`)
)

// alternatives are the paths that one with {a,b} stands for.
func alternatives(path string) []string {
	at := choice.FindStringSubmatchIndex(path)
	if at == nil {
		return []string{path}
	}
	var all []string
	for _, one := range strings.Split(path[at[2]:at[3]], ",") {
		all = append(all, alternatives(path[:at[0]]+one+path[at[1]:])...)
	}
	return all
}

// tracked are the files that Git has, or those that match the patterns.
func tracked(t *testing.T, patterns ...string) []string {
	t.Helper()
	out, err := exec.Command("git", append([]string{"-C", top, "ls-files", "-z"}, patterns...)...).Output()
	if err != nil {
		t.Skip("not a git checkout:", err)
	}
	return strings.Split(strings.Trim(string(out), "\x00"), "\x00")
}

// TestMentionedPathsExist: a path of the repository, or a target of make, that a page
// names is there.
func TestMentionedPathsExist(t *testing.T) {
	makefile := ""
	for _, name := range []string{"Makefile", "rpm/package.mk"} {
		text, err := os.ReadFile(filepath.Join(top, name))
		if err != nil {
			t.Fatal(err)
		}
		makefile += "\n" + string(text)
	}
	paths, targets := 0, 0
	for _, page := range tracked(t, "*.md") {
		if page == "CHANGELOG.md" {
			continue // former paths
		}
		text, err := os.ReadFile(filepath.Join(top, page))
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range code.FindAllStringSubmatch(string(text), -1) {
			if path := mentioned.FindStringSubmatch(m[1]); path != nil {
				paths++
				for _, one := range alternatives(path[1]) {
					if found, err := filepath.Glob(filepath.Join(top, one)); err != nil || len(found) == 0 {
						t.Errorf("%s names %s, which does not exist", page, one)
					}
				}
			}
			if name := target.FindStringSubmatch(m[1]); name != nil {
				targets++
				if !strings.Contains(makefile, "\n"+name[1]+":") {
					t.Errorf("%s names make %s, which is not a target", page, name[1])
				}
			}
		}
	}
	if paths < 50 || targets < 20 {
		t.Errorf("only %d paths and %d targets were found", paths, targets)
	}
}

func TestAlternatives(t *testing.T) {
	if got := strings.Join(alternatives("a/{b,c}/{d,e}_*"), " "); got != "a/b/d_* a/b/e_* a/c/d_* a/c/e_*" {
		t.Errorf("got %q", got)
	}
}
