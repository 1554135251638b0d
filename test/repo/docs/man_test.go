package docs

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestManualPages: every program has a page with examples, and the formatter has no
// warning about any, at the width of a terminal and of a window.
func TestManualPages(t *testing.T) {
	programs, err := filepath.Glob("../../../cmd/*")
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range programs {
		if found, _ := filepath.Glob("../../../docs/man/" + filepath.Base(p) + ".[18]"); len(found) != 1 {
			t.Errorf("%s has the pages %v", filepath.Base(p), found)
		}
	}
	pages, err := filepath.Glob("../../../docs/man/*.[158]")
	if err != nil || len(pages) < 6 {
		t.Fatal(pages, err)
	}
	for _, page := range pages {
		text, err := os.ReadFile(page)
		if err != nil || !strings.Contains(string(text), ".SH \"EXAMPLES\"") {
			t.Errorf("%s has no examples: %v", page, err)
		}
		if _, err := exec.LookPath("groff"); err != nil {
			t.Logf("groff is not installed: %s was not formatted", page)
			continue
		}
		for _, width := range []string{"78n", "120n"} {
			out, err := exec.Command("groff", "-man", "-Tutf8", "-ww", "-z", "-rLL="+width, page).CombinedOutput()
			if err != nil || len(out) > 0 {
				t.Errorf("%s at %s: %v\n%s", page, width, err, out)
			}
		}
	}
}
