package layering

import (
	"os"
	"strings"
	"testing"
)

// TestUnlinkedPackages: the architecture page lists exactly the packages that no program
// links, as in preparation. Packages for tests are named so.
func TestUnlinkedPackages(t *testing.T) {
	page, err := os.ReadFile("../../../docs/developing/architecture.md")
	if err != nil {
		t.Fatal(err)
	}
	_, listed, ok := strings.Cut(string(page), "\n## In preparation\n")
	linked := map[string]bool{}
	for _, p := range list(t, "-deps", "./cmd/...") {
		linked[p.ImportPath] = true
	}
	for _, p := range list(t, "./internal/...") {
		path := strings.TrimPrefix(p.ImportPath, module)
		switch named := ok && strings.Contains(listed, "`"+path+"`"); {
		case strings.HasSuffix(path, "test"), len(p.GoFiles) == 0:
		case !linked[p.ImportPath] && !named:
			t.Errorf("no program links %s, which docs/developing/architecture.md does not list as in preparation", path)
		case linked[p.ImportPath] && named:
			t.Errorf("a program links %s: docs/developing/architecture.md still lists it as in preparation", path)
		}
	}
}
