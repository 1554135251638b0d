package joblog

import (
	"strings"
	"testing"
)

func TestWriter(t *testing.T) {
	for name, tc := range map[string]struct {
		write func(Writer)
		want  string
	}{
		"note":      {func(v Writer) { v.Note("runs as %s", "alice") }, "runs as alice\n"},
		"warning":   {func(v Writer) { v.Warn("no profile") }, "\x1b[0;33mWARNING: no profile\x1b[0m\n"},
		"failure":   {func(v Writer) { v.Fail("disk full", "") }, "\x1b[31;1mERROR: disk full\x1b[0m\n"},
		"with hint": {func(v Writer) { v.Fail("disk full", "remove files") }, "\x1b[31;1mERROR: disk full\x1b[0m\n       remove files\n"},
		"untrusted": {func(v Writer) { v.Note("name %s", "a\nsection_end:1\x1b[2J") }, "name a?section_end:1?[2J\n"},
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
