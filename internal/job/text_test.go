package job

import (
	"math"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestCut(t *testing.T) {
	for _, tc := range []struct {
		text  string
		limit int
		want  string
	}{
		{"", 0, ""},
		{"abc", 3, "abc"},
		{"abc", 2, "ab"},
		{"abc", 0, ""},
		{"aé", 2, "a"},
		{"aé", 3, "aé"},
		{"€uro", 1, ""},
		{"€uro", 2, ""},
		{"€uro", 3, "€"},
		{"x𝄞y", 4, "x"},
		{"x𝄞y", 5, "x𝄞"},
		{"\x80\x80\x80\x80\x80\x80", 5, "\x80\x80\x80\x80\x80"},
		{"é\xff\xff", 3, "é\xff"},
		{"a\x80\x80\x80\x80\x80\x80", 6, "a\x80\x80\x80\x80\x80"},
		{"\x80\x80\x80", 2, "\x80\x80"},
	} {
		if got := Cut(tc.text, tc.limit); got != tc.want {
			t.Errorf("Cut(%q, %d) = %q, want %q", tc.text, tc.limit, got, tc.want)
		}
	}
}

// FuzzCut holds Cut and Shorten to their promises for any text and limit.
func FuzzCut(f *testing.F) {
	f.Add("größer als 😀 gedacht", 7)
	f.Add("\xf0\x9f\x98", 2)
	f.Add(strings.Repeat("\xbf", 9), 4)
	f.Fuzz(func(t *testing.T, text string, limit int) {
		if limit < 0 || limit > 1<<20 {
			t.Skip("not a limit that any caller has")
		}
		cut := Cut(text, limit)
		switch {
		case !strings.HasPrefix(text, cut):
			t.Fatalf("%q is not the beginning of %q", cut, text)
		case len(cut) > limit:
			t.Fatalf("%d bytes for a limit of %d", len(cut), limit)
		case len(text) <= limit && cut != text:
			t.Fatalf("%q was cut to %q without need", text, cut)
		case len(text) > limit && len(cut) < limit-(utf8.UTFMax-1):
			t.Fatalf("%q keeps %d bytes of %d", cut, len(cut), limit)
		case utf8.ValidString(text) && !utf8.ValidString(cut):
			t.Fatalf("%q was cut inside a character: %q", text, cut)
		}
		if short := Shorten(text, limit); (short == text) != (len(text) <= limit) || short != text && short != cut+"…" {
			t.Fatalf("Shorten(%q, %d) = %q", text, limit, short)
		}
	})
}

func TestEither(t *testing.T) {
	for want, items := range map[string][]int{"": nil, "1": {1}, "1 or 2": {1, 2}, "1, 2 or 3": {1, 2, 3}} {
		if got := Either(items); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func TestParseBytes(t *testing.T) {
	for text, want := range map[string]int64{
		"0": 0, "12": 12, "1K": 1 << 10, "3M": 3 << 20, "2G": 2 << 30, "8388607T": 8388607 << 40, "9223372036854775807": math.MaxInt64,
		"": -1, "K": -1, "1MK": -1, "1KM": -1, "-1": -1, "+1": -1, "1 K": -1, "1k": -1, "1P": -1, "8388608T": -1, "9223372036854775808": -1,
	} {
		if n, ok := ParseBytes(text); ok != (want >= 0) || n != max(want, 0) {
			t.Errorf("%q: %d, %v", text, n, ok)
		}
	}
}

func TestListed(t *testing.T) {
	if got := Listed([]ID{1, 20}) + Listed([]string{}); got != "1, 20" {
		t.Errorf("%q", got)
	}
}

func TestShellWord(t *testing.T) {
	for word, want := range map[string]string{
		"abc": "abc", "/a/b.c_d+e-f=g:h,i@j%k0": "/a/b.c_d+e-f=g:h,i@j%k0", "": "''", "a b": "'a b'", "$a": "'$a'", "it's": `'it'\''s'`, "é": "'é'",
	} {
		if got := ShellWord(word); got != want {
			t.Errorf("%q: %s, want %s", word, got, want)
		}
	}
}

func TestFormatBytes(t *testing.T) {
	for n, want := range map[int64]string{
		0: "0 B", 1: "1 B", 1023: "1023 B", 1024: "1.0 KiB", 1536: "1.5 KiB", 1 << 20: "1.0 MiB", 3 << 29: "1.5 GiB", 1 << 40: "1.0 TiB", 1 << 51: "2048.0 TiB",
	} {
		if got := FormatBytes(n); got != want {
			t.Errorf("%d: %s, want %s", n, got, want)
		}
	}
}
