package config

import (
	"errors"
	"fmt"
	"reflect"
	"strings"

	"github.com/BurntSushi/toml"

	"jacamar-ci/internal/failure"
	"jacamar-ci/internal/job"
	"jacamar-ci/internal/trustedfile"
)

// maxSize is more than any real configuration has, in bytes.
const maxSize = 1 << 20

// Load reads the configuration at path. Its error is a failure.Config that
// names every fault of the file.
func Load(path job.AbsPath) (Config, error) {
	text, err := trustedfile.Self().Read(path, maxSize)
	if err != nil {
		return Config{}, failure.Configf("cannot use the configuration: %w", err)
	}
	c, err := parse(string(text))
	if err != nil {
		return Config{}, failure.Configf("cannot use the configuration %s: %w", path, err)
	}
	return c, nil
}

func parse(text string) (Config, error) {
	doc := map[string]any{}
	if _, err := toml.Decode(text, &doc); err != nil {
		return Config{}, asError([]Fault{syntaxFault(err, text)})
	}
	d := decoder{keys: keysByPath(), written: map[string]string{}}
	d.resolveAliases(doc)
	var c Config
	d.table(reflect.ValueOf(&c).Elem(), doc, "")
	if faults := run(checks, &c, d.faults); len(faults) > 0 {
		return Config{}, asError(d.placed(faults, text))
	}
	derive(&c.General)
	c.Warnings = d.placed(run(warnings, &c, d.warnings), text)
	return c, nil
}

// syntaxFault places a syntax error by its offset: the line that the toml
// package gives is one too high where the error is the end of the line.
func syntaxFault(err error, text string) Fault {
	var syntax toml.ParseError
	if !errors.As(err, &syntax) {
		return Fault{Text: fmt.Sprintf("not valid TOML: %v", err)}
	}
	before := max(0, min(syntax.Position.Start, len(text)))
	line := 1 + strings.Count(text[:before], "\n")
	return Fault{
		Key: job.Printable(syntax.LastKey), Line: line,
		Text: "not valid TOML: " + job.Printable(syntax.Message), Write: bareWord(lineOf(text, line)),
	}
}

// derive sets the defaults that are other keys' values. A slash at the end of
// the server's address is dropped first: GitLab has none in what it signs.
func derive(g *General) {
	u := *g.GitLabServer
	u.Path, u.RawPath = strings.TrimRight(u.Path, "/"), strings.TrimRight(u.RawPath, "/")
	g.GitLabServer = &u
	if g.JWTIssuer == "" {
		g.JWTIssuer = u.String()
	}
	if g.JWTRequiredAud == "" {
		g.JWTRequiredAud = u.String()
	}
}

// lineOf is one line of a text, counted from one.
func lineOf(text string, number int) string {
	lines := strings.Split(text, "\n")
	return job.Printable(lines[min(number, len(lines))-1])
}
