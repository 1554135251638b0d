package docs

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestEveryPageIsInTheNavigation: the site's navigation names each page once; one that it
// lacks is found by the search alone. The index of the decisions lists those.
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
		if n := strings.Count(string(site), ": "+page+"\n") + strings.Count(string(site), "- "+page+"\n"); n != 1 {
			t.Errorf("mkdocs.yml names %s %d times under nav", page, n)
		}
	}
	if pages < 25 {
		t.Errorf("only %d pages were found", pages)
	}
}
