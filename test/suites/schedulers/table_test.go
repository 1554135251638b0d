package schedulers

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"jacamar-ci/test/harness/fakeschedulers"
)

// The table of docs/executors.md has a test in each cell: a row a scheduler, and
// every name is that of an existing test.
func TestTableNamesTests(t *testing.T) {
	page, err := os.ReadFile("../../../docs/executors.md")
	if err != nil {
		t.Fatal(err)
	}
	source := sources(t)
	rows := 0
	for line := range strings.Lines(string(page)) {
		names := regexp.MustCompile("`(Test[^`]*)`").FindAllStringSubmatch(line, -1)
		if !strings.HasPrefix(line, "| ") || len(names) == 0 {
			continue
		}
		rows++
		if len(names) != 5 {
			t.Errorf("%d cells of %q name a test, want 5", len(names), line)
		}
		for _, name := range names {
			if missing := lacks(source, strings.Split(name[1], "/")); missing != "" {
				t.Errorf("%s: there is no %s", name[1], missing)
			}
		}
	}
	if rows != len(fakeschedulers.Kinds()) {
		t.Errorf("%d rows, want one for each of %v", rows, fakeschedulers.Kinds())
	}
}

// lacks is the part of a test's name that no source has, "" when it is a test.
func lacks(source string, name []string) string {
	_, body, ok := strings.Cut(source, "func "+name[0]+"(t *testing.T) {\n")
	body, _, _ = strings.Cut(body, "\n}\n")
	runs := "\toverFakes(t"
	kind, played := strings.CutPrefix(name[1], "fake_")
	if played {
		runs = "\teverywhere(t"
	}
	switch {
	case !ok || !strings.Contains(body, runs):
		return name[0]
	case !slices.Contains(fakeschedulers.Kinds(), kind):
		return name[1]
	}
	for _, part := range name[2:] {
		if !strings.Contains(body, `"`+strings.ReplaceAll(part, "_", " ")+`"`) {
			return part
		}
	}
	return ""
}

func sources(t *testing.T) string {
	t.Helper()
	files, err := filepath.Glob("*_test.go")
	if err != nil {
		t.Fatal(err)
	}
	var all strings.Builder
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		all.Write(text)
	}
	return all.String()
}
