package docs

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// retired is a word or a phrase that the project does not use, and its plain form.
type retired struct{ pattern, plain string }

// retiredWords are matched without regard to case, in words and in identifiers, and across
// the end of a line.
func retiredWords() []retired {
	return []retired{
		{`(?:tells?|telling|told) (?:whether|if|that)`, "reports whether, reports that"},
		{`tells?|told`, "report, print, show, distinguish"},
		{`says|said`, "print, report, contain, specify"},
		{`in place of`, "instead of"},
		{`anew`, "again"},
		{`mend(?:s|ed|ing)?`, "fix"},
		{`for ever`, "indefinitely"},
		{`for good`, "permanently"},
		{`shall`, "must"},
		{`rooms?`, "package; space"},
		{`somebody|anybody|everybody|whoever`, "another user, any account, a process, who"},
		{`nobody (?:else|at|can|could|may|might|has|had|is|was|will|would|knows?|needs?|reads?|asks?|waits?|looks?|takes?|classified)`, "no one, no process"},
		{`besides?`, "next to, in the same directory, in addition"},
		{`eyes?`, "watcher, check"},
		{`doubt(?:s|ed|ful)?`, "verify; uncertain"},
		{`believe(?:s|d)?|believing`, "trust, accept"},
		{`hears?|heard`, "receive, observe"},
		{`speaks?|spoken|spoke`, "print, implement"},
		{`patience|impatient`, "timeout"},
		{`march(?:es|ed|ing| fd)`, "start"},
		{`signposts?`, "readyPipe"},
		{`farewells?`, "end"},
		{`crews?`, "accounts"},
		{`gardens?`, "environment"},
		{`testimony`, "report"},
		{`strikes?|struck|striking`, "inject"},
		{`by lot`, "at random"},
		{`house`, "project"},
		{`kin`, "and similar ones"},
		{`he|him|his|himself`, "they, the user"},
	}
}

// retiredPattern has one group for each of them, in their order.
var retiredPattern = func() *regexp.Regexp {
	var groups []string
	for _, r := range retiredWords() {
		groups = append(groups, "("+strings.ReplaceAll(r.pattern, " ", `\s+`)+")")
	}
	return regexp.MustCompile(`\b(?:` + strings.Join(groups, "|") + `)\b`)
}()

// rightPhrases are phrases in which such a word is the right one, since it is a person who
// tells or says something.
func rightPhrases() []string {
	return []string{"tell the administrators", "tell its administrators"}
}

var (
	// unread are files without text of this project: the licence, checksums, pictures, and
	// output recorded from other programs. Generated pages have the text of internal/.
	unread = regexp.MustCompile(`^(LICENSE|CHANGELOG\.md|go\.(mod|sum)|docs/developing/style\.md|test/repo/docs/wording_test\.go|docs/(configuration\.md|security/inheritance\.md|(commands|man|completions)/.*)|internal/.*/testdata/.*|.*\.svg)$`)
	lead   = regexp.MustCompile(`^[ \t]*(?://|#|>|\*|--)?[ \t]*`)
	camel  = regexp.MustCompile(`([a-z0-9])([A-Z])`)
	capped = regexp.MustCompile(`([A-Z])([A-Z][a-z])`)
)

// find lists the retired words of a text by line, each with its plain form.
func find(text string) map[int]string {
	found, all := map[int]string{}, retiredWords()
	lines := strings.Split(strings.ReplaceAll(text, "_", " "), "\n")
	for i, line := range lines {
		line = lead.ReplaceAllString(line, "")
		line = capped.ReplaceAllString(camel.ReplaceAllString(line, "$1 $2"), "$1 $2")
		lines[i] = strings.ToLower(line)
	}
	for i, line := range lines {
		window := line
		if i+1 < len(lines) { // a phrase may go on in the next line
			next := strings.Fields(lines[i+1])
			window += "\n" + strings.Join(next[:min(2, len(next))], " ")
		}
		for _, phrase := range rightPhrases() {
			window = strings.ReplaceAll(window, phrase, strings.Repeat(".", len(phrase)))
		}
		if at := retiredPattern.FindStringSubmatchIndex(window); at != nil && at[0] < len(line) {
			group := 1
			for at[2*group] < 0 {
				group++
			}
			found[i+1] = fmt.Sprintf("%q (write: %s)", window[at[0]:at[1]], all[group-1].plain)
		}
	}
	return found
}

// TestRetiredWords reads every text of the project.
func TestRetiredWords(t *testing.T) {
	files := 0
	for _, name := range tracked(t) {
		text, err := os.ReadFile(filepath.Join(top, name))
		if unread.MatchString(name) || err != nil || bytes.IndexByte(text, 0) >= 0 {
			continue
		}
		files++
		for line, what := range find(string(text)) {
			t.Errorf("%s:%d: %s", name, line, what)
		}
	}
	if files < 500 {
		t.Errorf("only %d files were read", files)
	}
}

func TestFindRetiredWords(t *testing.T) {
	for text, want := range map[string]string{
		"// it tells\n// whether there is one":             `1 "tells\nwhether"`,
		"x\nThe disk has room.":                            `2 "room"`,
		"func TestAccountWithoutRoom(t *testing.T) {":      `1 "room"`,
		"# written anew,\n# for\n# ever":                   `1 "anew" 2 "for\never"`,
		"a commendable path, a roommate, it may be for ev": "",
		"runs as nobody; the account nobody's uid":         "",
		"Nobody can read it":                               `1 "nobody can"`,
		"func TestIsANewOne(t *testing.T) {":               "",
		"If that happens, tell the administrators.":        "",
		"last_words of a crew_member":                      `1 "crew"`,
	} {
		found, got := find(text), ""
		for line := range strings.Count(text, "\n") + 2 {
			if what := found[line]; what != "" {
				word, _, _ := strings.Cut(what, " (write: ")
				got += fmt.Sprintf(" %d %s", line, word)
			}
		}
		if got = strings.TrimSpace(got); got != want {
			t.Errorf("%q: found %s, want %s", text, got, want)
		}
	}
}
