package docs

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestEveryPageIsInTheNavigation: a page of docs that the site's navigation does not name is
// found by the search alone. The index of the decisions lists those.
func TestEveryPageIsInTheNavigation(t *testing.T) {
	site, err := os.ReadFile(filepath.Join(top, "mkdocs.yml"))
	if err != nil {
		t.Fatal(err)
	}
	pages := 0
	for _, page := range tracked(t, "docs/*.md", "SECURITY.md", "CHANGELOG.md") {
		page = strings.TrimPrefix(page, "docs/")
		if strings.HasPrefix(page, "decisions/0") {
			continue
		}
		pages++
		if text := string(site); !strings.Contains(text, ": "+page+"\n") && !strings.Contains(text, "- "+page+"\n") {
			t.Errorf("mkdocs.yml does not name %s under nav", page)
		}
	}
	if pages < 25 {
		t.Errorf("only %d pages were found", pages)
	}
}
