package docs

import (
	"errors"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/urfave/cli/v2"

	"jacamar-ci/internal/config"
)

var update = flag.Bool("update", false, "write the documentation")

// TestConfiguration compares the configuration's pages with its schema.
func TestConfiguration(t *testing.T) {
	Hold(t, *update, "../../../docs/configuration.md", Configuration(config.Reference()))
	Hold(t, *update, "../../../docs/man/jacamar.toml.5", ConfigMan(config.Reference()))
}

// TestEveryKeyIsOnTheConfigurationPage counts independently of the page's generator.
func TestEveryKeyIsOnTheConfigurationPage(t *testing.T) {
	page := Configuration(config.Reference())
	for _, k := range config.Reference() {
		if n := strings.Count(page, "\n### "+k.Path+"\n"); n != 1 {
			t.Errorf("%s is documented %d times", k.Path, n)
		}
	}
	if headings := strings.Count(page, "\n### "); headings != len(config.Reference()) {
		t.Errorf("%d headings for %d keys", headings, len(config.Reference()))
	}
}

// mentionedKey is a key of the configuration with its table. No table has the name admin, which
// is that of a package.
var mentionedKey = regexp.MustCompile(`(?:^|[^\w/.-])((?:general|auth|batch|container|admin)\.[a-z0-9_]+(?:-[a-z_]+)*(?:\.[a-z0-9_]+)*)`)

// TestMentionedKeysExist: a reader finds each key that a page names in the configuration.
func TestMentionedKeysExist(t *testing.T) {
	known := config.Removed()
	for _, k := range config.Reference() {
		for path := k.Path; path != ""; path = path[:max(0, strings.LastIndexByte(path, '.'))] {
			known[path] = k.Meaning
		}
	}
	pages, err := filepath.Glob(filepath.Join(top, "docs/*.md"))
	commands, err1 := filepath.Glob(filepath.Join(top, "docs/commands/*.md"))
	if err := errors.Join(err, err1); err != nil || len(pages) == 0 || len(commands) == 0 {
		t.Fatalf("%d pages, %d of commands, %v", len(pages), len(commands), err)
	}
	for _, page := range append(pages, commands...) {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range mentionedKey.FindAllStringSubmatch(string(text), -1) {
			if _, ok := known[m[1]]; !ok && !strings.HasSuffix(m[1], ".md") {
				t.Errorf("%s: there is no key %s", page, m[1])
			}
		}
	}
}

func sample() *cli.App {
	return &cli.App{
		Name: "sample", Usage: "be an example",
		Flags: []cli.Flag{&cli.BoolFlag{Name: "quiet", Aliases: []string{"q"}, Usage: "print less"}},
		Commands: []*cli.Command{
			{Name: "run", Usage: "run a script", ArgsUsage: "SCRIPT", Flags: []cli.Flag{&cli.StringFlag{Name: "file", Usage: "read `FILE`", Required: true}}},
			{Name: "keys", Usage: "keys", Subcommands: []*cli.Command{{Name: "refresh", Usage: "fetch them"}}},
		},
	}
}

func TestSynopsis(t *testing.T) {
	p := Of(sample())
	for i, want := range []string{"sample [--quiet]", "sample run --file FILE SCRIPT", "sample keys refresh"} {
		if got := p.Synopsis(p.Commands[i]); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestUndocumented(t *testing.T) {
	app := sample()
	if got := Of(app).Undocumented(); len(got) != 0 {
		t.Errorf("%q", got)
	}
	app.Commands[0].Flags = append(app.Commands[0].Flags, &cli.StringFlag{Name: "bare"})
	app.Commands[1].Subcommands[0].Usage = ""
	if got := strings.Join(Of(app).Undocumented(), ", "); got != "sample run --bare, sample keys refresh" {
		t.Errorf("%q", got)
	}
}

// TestRoff: no text becomes a macro, and commands can be copied.
func TestRoff(t *testing.T) {
	for text, want := range map[string]string{
		"--file": `\-\-file`, ".so /etc/passwd": `\&.so /etc/passwd`, `a\b`: `a\eb`, "the `x` and ` alone": "the \\fBx\\fR and ` alone",
	} {
		if got := roff(text); got != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
}
