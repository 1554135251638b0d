package joblog

import (
	"regexp"
	"strings"
	"testing"
)

func TestWriter(t *testing.T) {
	for name, tc := range map[string]struct {
		write func(Writer)
		want  string
	}{
		"note":      {func(v Writer) { v.Note("runs as %s", "alice") }, "\x1b[0;36mjacamar: runs as alice\x1b[0m\n"},
		"warning":   {func(v Writer) { v.Warn("no profile") }, "\x1b[0;33mjacamar: WARNING: no profile\x1b[0m\n"},
		"failure":   {func(v Writer) { v.Fail("disk full", "") }, "\x1b[31;1mjacamar: ERROR: disk full\x1b[0m\n"},
		"with hint": {func(v Writer) { v.Fail("disk full", "remove files") }, "\x1b[31;1mjacamar: ERROR: disk full\x1b[0m\n\x1b[0;36mjacamar:        remove files\x1b[0m\n"},
		"to copy": {func(v Writer) { v.Fail("no aud", "write:", "a:", "  b: \x1b") }, "\x1b[31;1mjacamar: ERROR: no aud\x1b[0m\n" +
			"\x1b[0;36mjacamar:        write:\x1b[0m\n    a:\n      b: ?\n"},
		"untrusted": {func(v Writer) { v.Note("name %s", "a\nsection_end:1\x1b[2J") }, "\x1b[0;36mjacamar: name a?section_end:1?[2J\x1b[0m\n"},
	} {
		t.Run(name, func(t *testing.T) {
			var b strings.Builder
			tc.write(NewWriter(&b))
			if b.String() != tc.want {
				t.Errorf("got %q, want %q", b.String(), tc.want)
			}
		})
	}
}

// TestSections: GitLab's log view finds both markers, and output cannot leave a colour
// behind.
func TestSections(t *testing.T) {
	form := regexp.MustCompile(`\A\x1b\[0Ksection_start:(\d+):name\[collapsed=true\]\r\x1b\[0K\x1b\[0;36mjacamar: A title\x1b\[0m\n` +
		`(?s:(.*))\x1b\[0Ksection_end:(\d+):name\r\x1b\[0K\n\z`)
	for text, write := range map[string]func(Writer){
		"one: ?[2J\ntwo\n":     func(v Writer) { v.Section("name", "A title", []string{"one: \x1b[2J", "two"}) },
		"\x1b[31mred\n\x1b[0m": func(v Writer) { v.Fold("name", "A title", []byte("\x1b[31mred")) },
		"all\nof it\n":         func(v Writer) { v.Fold("name", "A title", []byte("all\nof it\n")) },
	} {
		var b strings.Builder
		write(NewWriter(&b))
		m := form.FindStringSubmatch(b.String())
		if m == nil || m[2] != text || m[1] != m[3] {
			t.Errorf("%q, want %q", b.String(), text)
		}
	}
}
