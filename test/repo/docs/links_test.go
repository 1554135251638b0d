package docs

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var (
	link    = regexp.MustCompile(`\[[^\]]*\]\(([^)\s]+)\)`)
	fence   = regexp.MustCompile("(?ms)^```.*?^```$")
	heading = regexp.MustCompile(`(?m)^#+ (.*)$`)
	dropped = regexp.MustCompile(`[^\w\- ]`)
)

// anchors are the names of a page's headings, as Markdown renderers make them.
func anchors(text string) map[string]bool {
	found := map[string]bool{}
	for _, m := range heading.FindAllStringSubmatch(fence.ReplaceAllString(text, ""), -1) {
		found[strings.ReplaceAll(strings.TrimSpace(dropped.ReplaceAllString(strings.ToLower(m[1]), "")), " ", "-")] = true
	}
	return found
}

// TestLinks: every link between pages leads to a file and, where it names one, a
// heading. Links to other sites are not followed: a test needs no network.
func TestLinks(t *testing.T) {
	pages := 0
	err := filepath.WalkDir(top, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() && (d.Name() == ".git" || d.Name() == "dist" || d.Name() == "testdata") {
			return filepath.SkipDir
		}
		if err != nil || !strings.HasSuffix(path, ".md") {
			return err
		}
		pages++
		text, err := os.ReadFile(path)
		for _, m := range link.FindAllStringSubmatch(fence.ReplaceAllString(string(text), ""), -1) {
			follow(t, path, m[1])
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if pages < 5 {
		t.Errorf("only %d pages were found", pages)
	}
}

func follow(t *testing.T, from, to string) {
	t.Helper()
	if strings.Contains(to, "://") || strings.HasPrefix(to, "mailto:") {
		return
	}
	file, anchor, _ := strings.Cut(to, "#")
	target := from
	if file != "" {
		target = filepath.Join(filepath.Dir(from), file)
	}
	text, err := os.ReadFile(target)
	if err != nil {
		if info, serr := os.Stat(target); serr != nil || !info.IsDir() {
			t.Errorf("%s: dead link %s", from, to)
		}
		return
	}
	if anchor != "" && !anchors(string(text))[anchor] {
		t.Errorf("%s: %s has no such heading", from, to)
	}
}

func TestAnchors(t *testing.T) {
	got := anchors("# A b-c\n```\n# no\n```\n### general.kill_timeout\n## [auth]\n")
	for _, want := range []string{"a-b-c", "generalkill_timeout", "auth"} {
		if !got[want] {
			t.Errorf("no %s in %v", want, got)
		}
	}
	if got["no"] {
		t.Error("a comment in a code block counts as a heading")
	}
}
