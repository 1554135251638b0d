package joblog

import (
	"strings"
	"testing"
)

func TestVoice(t *testing.T) {
	for name, tc := range map[string]struct {
		say  func(Voice)
		want string
	}{
		"note":      {func(v Voice) { v.Note("runs as %s", "alice") }, "runs as alice\n"},
		"warning":   {func(v Voice) { v.Warn("no profile") }, "\x1b[0;33mWARNING: no profile\x1b[0m\n"},
		"failure":   {func(v Voice) { v.Fail("disk full", "") }, "\x1b[31;1mERROR: disk full\x1b[0m\n"},
		"with hint": {func(v Voice) { v.Fail("disk full", "remove files") }, "\x1b[31;1mERROR: disk full\x1b[0m\n       remove files\n"},
		"foreign":   {func(v Voice) { v.Note("name %s", "a\nsection_end:1\x1b[2J") }, "name a?section_end:1?[2J\n"},
	} {
		t.Run(name, func(t *testing.T) {
			var b strings.Builder
			tc.say(NewVoice(&b))
			if b.String() != tc.want {
				t.Errorf("got %q, want %q", b.String(), tc.want)
			}
		})
	}
}
