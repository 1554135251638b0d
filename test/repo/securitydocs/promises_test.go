package securitydocs

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// references are rows of the ledger in brackets, as in [A1] or [H7, K10].
var references = regexp.MustCompile(`\[([A-Z]\d+(?:, [A-Z]\d+)*)\]`)

// TestEveryPromiseNamesItsTests reads SECURITY.md: each promise refers to rows of
// the ledger, which name tests.
func TestEveryPromiseNamesItsTests(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(root, "SECURITY.md"))
	if err != nil {
		t.Fatal(err)
	}
	rows := read(t, "ledger.md")
	all := promises(string(text))
	if len(all) < 15 {
		t.Fatalf("only %d promises were found", len(all))
	}
	for _, promise := range all {
		named := references.FindAllStringSubmatch(promise, -1)
		if len(named) == 0 {
			t.Errorf("no row of the ledger is named by: %s", promise)
		}
		for _, m := range named {
			for _, name := range strings.Split(m[1], ", ") {
				if len(rows[name]) == 0 {
					t.Errorf("the row %s does not exist, and is named by: %s", name, promise)
				}
			}
		}
	}
}

// promises are the sentences of the items in the section of that name, each on one
// line.
func promises(text string) (all []string) {
	_, section, _ := strings.Cut(text, "\n## What is promised\n")
	section, _, _ = strings.Cut(section, "\n## ")
	for _, item := range strings.Split(section, "\n- ")[1:] {
		item, _, _ = strings.Cut(item, "\n\n")
		for _, sentence := range strings.SplitAfter(strings.Join(strings.Fields(item), " "), ". ") {
			all = append(all, strings.TrimSpace(sentence))
		}
	}
	return all
}

func TestPromises(t *testing.T) {
	got := promises("x\n\n## What is promised\n\nWords:\n\n- One\n  thing [A1]. Another.\n- Two [B2].\n\nMore:\n\n- Three.\n\n## Next\n\n- Four.\n")
	if want := "One thing [A1].|Another.|Two [B2].|Three."; strings.Join(got, "|") != want {
		t.Errorf("got %q", got)
	}
}
