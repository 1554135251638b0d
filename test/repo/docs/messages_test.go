package docs

import (
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// entry is a documented message: a heading of troubleshooting.md, or a row of messages.md.
type entry struct {
	text    string
	pattern *regexp.Regexp
}

func newEntry(text string) entry {
	return entry{text, regexp.MustCompile("^" + strings.ReplaceAll(regexp.QuoteMeta(text), "…", ".*") + "$")}
}

// covers reports whether the entry documents a message: it matches, and has enough of the
// message's own words, so that an entry such as "cannot use …: …" is not one for all that
// begin so.
func (e entry) covers(message string) bool {
	return e.pattern.MatchString(message) && 5*words(e.text) >= 2*words(message)
}

func words(text string) int { return len(strings.ReplaceAll(text, "…", "")) }

var (
	messageHeading = regexp.MustCompile(`(?m)^### (.*)$`)
	messageRow     = regexp.MustCompile("(?m)^\\| `(.*?)` \\| .+ \\| .+ \\|$")
)

func entries(t *testing.T, page string, form *regexp.Regexp) (all []entry) {
	t.Helper()
	for _, m := range form.FindAllStringSubmatch(readPage(t, page), -1) {
		all = append(all, newEntry(strings.ReplaceAll(m[1], `\|`, "|")))
	}
	if len(all) < 60 {
		t.Fatalf("docs/%s has only %d messages", page, len(all))
	}
	return all
}

// TestEveryMessageIsDocumented: users find each message of a job's log on one page,
// administrators all others on another, each with what happened and what to do.
func TestEveryMessageIsDocumented(t *testing.T) {
	all, err := Messages(top)
	if err != nil {
		t.Fatal(err)
	}
	users, administrators := entries(t, "troubleshooting.md", messageHeading), entries(t, "messages.md", messageRow)
	inLogs, others := 0, 0
	for _, m := range all {
		text := Shown(m.Format)
		covers := func(e entry) bool { return e.covers(text) }
		switch {
		case m.JobLog:
			inLogs++
			if !slices.ContainsFunc(users, covers) {
				t.Errorf("%s: docs/troubleshooting.md lacks this message of a job's log; write, by its subject:\n### %s\n\nWhat happened, and what to do.", m.Place, text)
			}
		default:
			others++
			if !slices.ContainsFunc(administrators, covers) {
				t.Errorf("%s: docs/messages.md lacks this message; write, by its subject:\n| `%s` | what happened | what to do |", m.Place, strings.ReplaceAll(text, "|", `\|`))
			}
		}
	}
	if inLogs < 80 || others < 200 {
		t.Errorf("only %d messages of logs and %d others were found", inLogs, others)
	}
}

// TestEveryDocumentedMessageExists: no page documents a message that no program has.
func TestEveryDocumentedMessageExists(t *testing.T) {
	texts := slices.Collect(maps.Keys(literals(t)))
	for i := range texts {
		texts[i] = Shown(texts[i])
	}
	all, err := Messages(top)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range all {
		texts = append(texts, Shown(m.Format))
	}
	for page, form := range map[string]*regexp.Regexp{"troubleshooting.md": messageHeading, "messages.md": messageRow} {
		seen := map[string]bool{}
		for _, e := range entries(t, page, form) {
			if !slices.ContainsFunc(texts, e.covers) {
				t.Errorf("docs/%s: no message of the programs is %q", page, e.text)
			}
			if seen[e.text] {
				t.Errorf("docs/%s has %q twice", page, e.text)
			}
			seen[e.text] = true
		}
	}
}

func TestCovers(t *testing.T) {
	for _, one := range []struct {
		entry, message string
		want           bool
	}{
		{"cannot use …: …", "cannot use …: owned by …, not by you", false},
		{"cannot use …: …", "cannot use …: …", true},
		{"image: has no effect on this resource: …", "image: has no effect on this resource: the job runs with the programs of this machine", true},
		{"the job was stopped", "the job was stopped by the runner", false},
	} {
		if got := newEntry(one.entry).covers(one.message); got != one.want {
			t.Errorf("%q covers %q: %v, want %v", one.entry, one.message, got, one.want)
		}
	}
}

// TestCollector: each form of a message is found, with its line.
func TestCollector(t *testing.T) {
	all, err := ofPackage("testdata", "testdata/messages", sources(), fields())
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, m := range all {
		kind := "operator "
		if m.JobLog {
			kind = "job log "
		}
		got = append(got, kind+m.Place+" "+Shown(m.Format))
	}
	slices.Sort(got)
	want := []string{
		"job log messages/messages.go:20 cannot do …: …",
		"job log messages/messages.go:21 the text for the user is joined",
		"job log messages/messages.go:22 a warning of … bytes",
		"job log messages/messages.go:25 a local text …",
		"job log messages/messages.go:26 a field … of a literal",
		"job log messages/messages.go:27 by a wrapper of a wrapper …",
		"operator messages/messages.go:21 only for the operator",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}
