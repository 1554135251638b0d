package docs

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestDecisionsAreListed: every decision has a number of its own, a title that begins
// with it, and a line in the index.
func TestDecisionsAreListed(t *testing.T) {
	index, err := os.ReadFile(filepath.Join(top, "docs/decisions/index.md"))
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(top, "docs/decisions/*.md"))
	if err != nil {
		t.Fatal(err)
	}
	form, seen := regexp.MustCompile(`^(\d{4})-[a-z0-9-]+\.md$`), map[string]string{}
	for _, file := range files {
		name := filepath.Base(file)
		if name == "index.md" {
			continue
		}
		m := form.FindStringSubmatch(name)
		if m == nil {
			t.Errorf("%s has no number", name)
			continue
		}
		if other := seen[m[1]]; other != "" {
			t.Errorf("%s and %s have one number", name, other)
		}
		seen[m[1]] = name
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		title, _, _ := strings.Cut(string(text), "\n")
		if !strings.HasPrefix(title, "# "+m[1]+": ") {
			t.Errorf("%s begins with %q", name, title)
		}
		if line := "- [" + strings.TrimPrefix(title, "# ") + "](" + name + ")"; !strings.Contains(string(index), line+"\n") {
			t.Errorf("the index has no line %q", line)
		}
	}
	if len(seen) == 0 {
		t.Error("there are no decisions")
	}
}
