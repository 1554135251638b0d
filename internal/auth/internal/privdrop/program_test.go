package privdrop

import (
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"jacamar-ci/internal/capability"
)

func TestProgramFacts(t *testing.T) {
	both := capability.Set{1<<unix.CAP_SETUID | 1<<unix.CAP_SETGID}
	uid := capability.Set{1 << unix.CAP_SETUID}
	for _, tt := range []struct {
		name  string
		facts programFacts
		want  string // of the error, "" for none
	}{
		{"root", programFacts{uid: 0}, ""},
		{"file capabilities", programFacts{uid: 990, euid: 990, held: both}, ""},
		{"file capabilities, as root", programFacts{uid: 990, euid: 0, held: both}, ""},
		{"one of them", programFacts{uid: 990, euid: 990, held: uid}, "lacks CAP_SETGID: run it as root"},
		{"none", programFacts{uid: 990, euid: 990}, "lacks CAP_SETUID and CAP_SETGID: run it as root"},
		{"ambient capabilities", programFacts{uid: 990, euid: 990, own: both}, ""},
		{"those of root are not inherited", programFacts{uid: 990, euid: 0, own: both}, "lacks CAP_SETUID and CAP_SETGID"},
		{"no_new_privs", programFacts{uid: 990, euid: 990, held: both, noNewPrivs: true}, withNoNewPrivs},
		{"no_new_privs of another account's process", programFacts{uid: 990, euid: 0, held: both, noNewPrivs: true}, ""},
		{"nosuid", programFacts{uid: 990, euid: 990, held: both, nosuid: true}, "mounted with nosuid"},
		{"ambient capabilities on nosuid", programFacts{uid: 990, euid: 990, own: both, nosuid: true}, ""},
	} {
		err := tt.facts.mayChangeIDs()
		if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", tt.name, err, tt.want)
		}
	}
}
