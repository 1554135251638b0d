package docs

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Hold fails the test when the committed file differs from the generated one; with
// update it writes the file.
func Hold(t *testing.T, update bool, path, want string) {
	t.Helper()
	if update {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Errorf("%s differs from the generated one (-want +got); make manual writes it:\n%s", path, diff)
	}
}

// Hold compares the manual page and the completions of a program.
func (p Program) Hold(t *testing.T, update bool, docs string, text Text) {
	t.Helper()
	for _, what := range p.Undocumented() {
		t.Errorf("%s has no usage text", what)
	}
	Hold(t, update, filepath.Join(docs, "man", p.Name+"."+string(rune('0'+text.Section))), p.Man(text))
	Hold(t, update, filepath.Join(docs, "commands", p.Name+".md"), p.Markdown())
	Hold(t, update, filepath.Join(docs, "completions", p.Name+".bash"), p.Bash())
	Hold(t, update, filepath.Join(docs, "completions", "_"+p.Name), p.Zsh())
	Hold(t, update, filepath.Join(docs, "completions", p.Name+".fish"), p.Fish())
}
