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
func Load(path job.AbsPath) (Config, error) { return read(path, parse) }

// read reads a file as parse does.
func read[T any](path job.AbsPath, parse func(string) (T, error)) (result T, err error) {
	text, err := trustedfile.Self().Read(path, maxSize)
	if err != nil {
		return result, failure.Configf("cannot use the configuration: %w", err)
	}
	if result, err = parse(string(text)); err != nil {
		err = failure.Configf("cannot use the configuration %s: %w", path, err)
	}
	return result, err
}

func parse(text string) (Config, error) {
	c, _, err := decode(text)
	return c, err
}

// decode returns the configuration that a text is, and the decoder with its document.
func decode(text string) (c Config, d decoder, err error) {
	d = decoder{keys: keysByPath(), written: map[string]string{}, text: text, doc: map[string]any{}}
	if _, err := toml.Decode(text, &d.doc); err != nil {
		return Config{}, d, asError([]Fault{syntaxFault(err, text)})
	}
	d.resolveAliases()
	d.table(reflect.ValueOf(&c).Elem(), d.doc, "")
	if faults := run(checks, &c, d.findings); len(faults) > 0 {
		return Config{}, d, asError(d.placed(faults))
	}
	derive(&c.General)
	c.Warnings = d.placed(run(warnings, &c, d.warnings))
	return c, d, nil
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
