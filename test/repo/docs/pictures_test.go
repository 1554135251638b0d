package docs

import (
	"html"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var (
	dotComment = regexp.MustCompile(`(?m)^//.*$`)
	dotLabel   = regexp.MustCompile(`label="([^"]*)"`)
	dotEdges   = regexp.MustCompile(`(?m)\w+(?: -> \w+)+`)
	svgText    = regexp.MustCompile(`<text[^>]*>([^<]*)</text>`)
	svgTitle   = regexp.MustCompile(`<title>([^<]*)</title>`)
)

// TestPicturesAreOfTheirSources: each picture has the texts and the arrows of its source.
// Other versions of dot place them differently.
func TestPicturesAreOfTheirSources(t *testing.T) {
	sources, err := filepath.Glob(filepath.Join(top, "docs/pictures/*.dot"))
	if err != nil || len(sources) < 4 {
		t.Fatalf("%d sources: %v", len(sources), err)
	}
	for _, source := range sources {
		dot, err := os.ReadFile(source)
		if err != nil {
			t.Fatal(err)
		}
		picture := strings.TrimSuffix(source, ".dot") + ".svg"
		svg, err := os.ReadFile(picture)
		if err != nil {
			t.Errorf("%v: make pictures draws it", err)
			continue
		}
		if got, want := drawn(string(svg)), described(string(dot)); !slices.Equal(got, want) {
			t.Errorf("%s is not of its source: make pictures draws it\ngot  %q\nwant %q", picture, got, want)
		}
	}
}

// described are the lines of the labels and the arrows of a source.
func described(dot string) []string {
	found := map[string]bool{}
	dot = dotComment.ReplaceAllString(dot, "")
	for _, m := range dotLabel.FindAllStringSubmatch(dot, -1) {
		for _, line := range strings.Split(m[1], `\n`) {
			found[strings.TrimSpace(line)] = true
		}
	}
	for _, chain := range dotEdges.FindAllString(dotLabel.ReplaceAllString(dot, ""), -1) {
		names := strings.Split(chain, " -> ")
		for i := range names[1:] {
			found[names[i]+"->"+names[i+1]] = true
		}
	}
	return slices.Sorted(maps.Keys(found))
}

func drawn(svg string) []string {
	found := map[string]bool{}
	for _, m := range svgText.FindAllStringSubmatch(svg, -1) {
		found[strings.TrimSpace(strings.ReplaceAll(html.UnescapeString(m[1]), "\u00a0", " "))] = true
	}
	for _, m := range svgTitle.FindAllStringSubmatch(svg, -1) {
		if title := html.UnescapeString(m[1]); strings.Contains(title, "->") {
			found[title] = true
		}
	}
	return slices.Sorted(maps.Keys(found))
}
