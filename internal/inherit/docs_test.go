package inherit

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write docs/security/inheritance.md")

const page = "../../docs/security/inheritance.md"

const intro = `# What a job inherits

A program has from the one that started it more than its account: this is the whole list, and what a job has of each. Where nothing is listed
under "differs", it has what a login of its user has. The table is that of ` + "`internal/inherit`" + `, which jacamar-auth and jacamar go by; a test
compares it with the running kernel's own structures, and ` + "`test/suites/e2e`" + ` compares a job with a login in each deployment.
"Verified" means that jacamar refuses to run a job that has something else.

| What | In a job | Differs from a login | By | Verified |
| --- | --- | --- | --- | --- |
`

// TestPage: the manual's page is this list.
func TestPage(t *testing.T) {
	var b strings.Builder
	b.WriteString(intro)
	for _, a := range List() {
		verified := ""
		if a.verify != nil {
			verified = "yes"
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s |\n", a.Name, a.Job, a.Differs, a.By, verified)
	}
	if *update {
		if err := os.WriteFile(page, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(page)
	if err != nil || string(text) != b.String() {
		t.Errorf("%s is not the list (go test ./internal/inherit -update): %v", page, err)
	}
}
