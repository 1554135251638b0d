package scheduler

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
)

func TestSplit(t *testing.T) {
	tests := []struct {
		name, text string
		want       []string
	}{
		{"empty", "", nil},
		{"only space", " \t\r\n ", nil},
		{"plain", "-N 1 --time=5", []string{"-N", "1", "--time=5"}},
		{"newline separates", "-N\n1", []string{"-N", "1"}},
		{"single quotes", `--comment='a b "c" \n'`, []string{`--comment=a b "c" \n`}},
		{"double quotes", `"--comment=a \"b\" 'c' \n"`, []string{`--comment=a "b" 'c' \n`}},
		{"an empty word", `--comment ''`, []string{"--comment", ""}},
		{"backslash", `a\ b \'c`, []string{"a b", "'c"}},
		{"backslash newline joins", "a\\\nb \"c\\\nd\"", []string{"ab", "cd"}},
		{"quotes inside a word", `a"b c"'d e'f`, []string{"ab cd ef"}},
		{"no command substitution", "$(id) `id`", []string{"$(id)", "`id`"}},
		{"no variables", `$HOME "$HOME" ${x}`, []string{"$HOME", "$HOME", "${x}"}},
		{"no tilde, glob or brace", "~ * {a,b}", []string{"~", "*", "{a,b}"}},
		{"no operators", "a;b|c&d>e", []string{"a;b|c&d>e"}},
		{"no comments", "a #b", []string{"a", "#b"}},
		{"escaped dollar in quotes", `"\$x \a"`, []string{`$x \a`}},
		{"unicode", "--comment='日本 é'", []string{"--comment=日本 é"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := Split(tt.text)
			if err != nil || !slices.Equal(got, tt.want) {
				t.Errorf("%q, %v, want %q", got, err, tt.want)
			}
		})
	}
}

func TestSplitRejects(t *testing.T) {
	for name, text := range map[string]string{
		"single quote": "'a", "double quote": `"a`, "escaped end of quote": `"a\"`, "last backslash": `a\`,
		"NUL": "a\x00b", "not UTF-8": "a\xff", "100 kB": strings.Repeat("a ", 50_000),
	} {
		if words, err := Split(text); err == nil {
			t.Errorf("%s: %q, want an error", name, words)
		}
	}
}

// Split returns what a shell returns, for texts in which a shell expands and redirects
// nothing.
func FuzzSplit(f *testing.F) {
	for _, s := range []string{"-N 1", `a"b c"'d'`, `"a\"b"`, "a\\\nb", "''", "\\", "'"} {
		f.Add(s)
	}
	sh, err := exec.LookPath("sh")
	if err != nil {
		f.Skip("needs a shell to compare with")
	}
	f.Fuzz(func(t *testing.T, text string) {
		words, err := Split(text)
		if err != nil || strings.ContainsAny(text, "$`*?[]~#;&|<>(){}!=^\r\x00") || strings.ContainsFunc(text, func(r rune) bool { return r < ' ' && r != '\n' && r != '\t' || r > '~' }) {
			return
		}
		// Newlines end a command in a shell; here they only separate.
		out, err := exec.Command(sh, "-c", "set -f; printf '%s\\0' "+replaceUnquotedNewlines(text)).Output()
		if err != nil {
			t.Skip("a reserved word")
		}
		want := strings.Split(strings.TrimSuffix(string(out), "\x00"), "\x00")
		if len(words) == 0 {
			words = []string{""}
		}
		if !slices.Equal(words, want) {
			t.Errorf("%q: %q, the shell returns %q", text, words, want)
		}
	})
}

// replaceUnquotedNewlines turns newlines outside quotes into spaces.
func replaceUnquotedNewlines(text string) string {
	var b strings.Builder
	var quote byte
	for i := 0; i < len(text); i++ {
		c := text[i]
		switch {
		case c == '\\' && quote != '\'' && i+1 < len(text):
			b.WriteByte(c)
			i++
			b.WriteByte(text[i])
			continue
		case quote == 0 && (c == '\'' || c == '"'):
			quote = c
		case c == quote:
			quote = 0
		case c == '\n' && quote == 0:
			c = ' '
		}
		b.WriteByte(c)
	}
	return b.String()
}
