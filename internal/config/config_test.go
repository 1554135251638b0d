package config

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the golden files again")

// TestBroken compares what is reported of each broken file against its golden text.
func TestBroken(t *testing.T) {
	for file, text := range cases(t, "broken", "faults") {
		t.Run(caseName(file), func(t *testing.T) {
			_, err := parse(text)
			if err == nil {
				t.Fatal("accepted")
			}
			golden(t, file, "faults", err.Error()+"\n")
		})
	}
}

// TestUnusual holds the warnings about each valid file against its golden text.
func TestUnusual(t *testing.T) {
	for file, text := range cases(t, "unusual", "warnings") {
		t.Run(caseName(file), func(t *testing.T) {
			c, err := parse(text)
			if err != nil {
				t.Fatal(err)
			}
			var lines strings.Builder
			for _, w := range c.Warnings {
				lines.WriteString(w.Error() + "\n")
			}
			golden(t, file, "warnings", lines.String())
		})
	}
}

func caseName(file string) string { return strings.TrimSuffix(filepath.Base(file), ".txt") }

// cases reads the configurations of testdata/dir. Behind each stands what is
// reported of it.
func cases(t testing.TB, dir, what string) map[string]string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("testdata", dir, "*.txt"))
	if err != nil || len(files) == 0 {
		t.Fatalf("%d files in %s, %v", len(files), dir, err)
	}
	texts := map[string]string{}
	for _, file := range files {
		texts[file], _ = halves(t, file, what)
	}
	return texts
}

// halves cuts a case file at the line that names its second half.
func halves(t testing.TB, file, what string) (text, report string) {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	text, report, ok := strings.Cut(string(b), header(what))
	if !ok {
		t.Fatalf("%s has no %s", file, what)
	}
	return text, report
}

func header(what string) string { return "-- " + what + " --\n" }

// golden compares got with the second half of a case file.
func golden(t *testing.T, file, what, got string) {
	t.Helper()
	text, want := halves(t, file, what)
	if *update {
		want = got
		if err := os.WriteFile(file, []byte(text+header(what)+got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if got != want {
		t.Errorf("got:\n%swant:\n%s", got, want)
	}
}
