package accountmap

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"jacamar-ci/internal/job"
)

func TestParse(t *testing.T) {
	for name, tc := range map[string]struct {
		text string
		want map[job.ID]string
	}{
		"empty":               {"", nil},
		"only remarks":        {"# users\n\n   \n\t# none yet\n", nil},
		"one":                 {"7 alice\n", map[job.ID]string{7: "alice"}},
		"no end of line":      {"7 alice", map[job.ID]string{7: "alice"}},
		"tabs and remarks":    {"\t7\t\talice  # since March\n", map[job.ID]string{7: "alice"}},
		"remark at the name":  {"7 alice#x\n", map[job.ID]string{7: "alice"}},
		"CRLF":                {"7 alice\r\n8 bob\r\n", map[job.ID]string{7: "alice", 8: "bob"}},
		"two users, one role": {"7 ops\n8 ops\n", map[job.ID]string{7: "ops", 8: "ops"}},
		"a directory's name":  {`7 DOM\al@b.org`, map[job.ID]string{7: `DOM\al@b.org`}},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := Parse([]byte(tc.text))
			if err != nil {
				t.Fatal(err)
			}
			names := map[job.ID]string{}
			for id, account := range got {
				names[id] = account.String()
			}
			if !maps.Equal(names, tc.want) {
				t.Errorf("got %v", names)
			}
		})
	}
}

func TestParseRefuses(t *testing.T) {
	for name, tc := range map[string]struct{ text, want string }{
		"one field":         {"7\n", "line 1: 1 fields, want two"},
		"three fields":      {"7 alice bob\n", "line 1: 3 fields, want two"},
		"the other way":     {"alice 7\n", `line 1: "alice" is not a GitLab id`},
		"zero":              {"0 alice\n", `line 1: "0" is not a GitLab id`},
		"negative":          {"-7 alice\n", `line 1: "-7" is not a GitLab id`},
		"leading zero":      {"07 alice\n", `line 1: "07" is not a GitLab id`},
		"too large":         {"9223372036854775808 alice\n", "is not a GitLab id"},
		"number as account": {"7 0\n", "line 1: the account name \"0\" is a number"},
		"climbing":          {"7 a/../root\n", "line 1: the account name"},
		"option":            {"7 -u\n", "line 1: the account name"},
		"NUL":               {"7 a\x00b\n", "line 1: the account name"},
		"twice":             {"7 alice\n8 bob\n7 carol\n", "line 3: user 7 has an account already"},
		"twice the same":    {"7 alice\n7 alice\n", "line 2: user 7 has an account already"},
		"TOML":              {"[users]\n7 = \"alice\"\n", "line 1: 1 fields, want two: a user number and an account; line 2: 3 fields, want two"},
		"binary":            {"\xff\xfe7\x00 alice\n", "line 1:"},
	} {
		t.Run(name, func(t *testing.T) {
			users, err := Parse([]byte(tc.text))
			if err == nil || !strings.Contains(err.Error(), tc.want) || users != nil {
				t.Errorf("%v, %v; want %q", users, err, tc.want)
			}
		})
	}
}

func TestFaultsAreBounded(t *testing.T) {
	_, err := Parse([]byte(strings.Repeat("x\n", 100000)))
	if err == nil || strings.Count(err.Error(), "line ") != maxFaults {
		t.Errorf("got %v", err)
	}
}

// FuzzParse: an accepted map has the same meaning after it is written again.
func FuzzParse(f *testing.F) {
	f.Add([]byte("7 alice # x\n\n8\tbob\r\n"))
	f.Add([]byte("7 alice\n7 bob\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		users, err := Parse(text)
		if err != nil {
			return
		}
		var again strings.Builder
		for _, id := range slices.Sorted(maps.Keys(users)) {
			fmt.Fprintf(&again, "%s %s\n", id, users[id])
		}
		if got, err := Parse([]byte(again.String())); err != nil || !maps.Equal(got, users) {
			t.Errorf("%q became %v, %v", again.String(), got, err)
		}
	})
}
