package settings

import (
	"fmt"
	"strings"

	"jacamar-ci/internal/job"
)

// DataDir is the base directory of jobs: an absolute path, a path below the home
// of the job's account, or one with variables of its login shell.
type DataDir struct{ text string }

const home = "$HOME"

// UnmarshalText implements encoding.TextUnmarshaler.
func (d *DataDir) UnmarshalText(b []byte) (err error) {
	s := string(b)
	for _, other := range []string{"~", "${HOME}"} {
		if rest, ok := strings.CutPrefix(s, other); ok && (rest == "" || rest[0] == '/') {
			s = home + rest
		}
	}
	switch rest, ok := strings.CutPrefix(s, home); {
	case ok && (rest == "" || rest[0] == '/') && !strings.Contains(rest, "$"):
		return d.setHome(rest)
	case strings.Contains(s, "$"):
		return d.setVariable(s)
	case !strings.HasPrefix(s, "/"):
		return fmt.Errorf("%q is neither absolute nor below $HOME: write \"/path\", \"$HOME\" or \"$HOME/path\"", job.Clip(s))
	default:
		return d.setPath(s)
	}
}

func (d *DataDir) setPath(s string) error {
	p, err := job.ParseAbsPath(s)
	switch {
	case err != nil:
		return err
	case p.String() == "/":
		return fmt.Errorf("the root directory cannot hold the data of jobs: name a directory for them")
	}
	d.text = p.String()
	return nil
}

func (d *DataDir) setHome(rest string) error {
	p, err := job.ParseAbsPath("/" + rest)
	if err != nil {
		return err
	}
	d.text = strings.TrimSuffix(home+p.String(), "/")
	return nil
}

// setVariable takes a path in which variables stand for parts, or for its
// beginning: $NAME and ${NAME}, and nothing that a shell would run.
func (d *DataDir) setVariable(s string) error {
	rest, ok := withoutVariables(s)
	switch {
	case !ok:
		return fmt.Errorf("%q has a $ that begins no variable: write $NAME or ${NAME}", job.Clip(s))
	case !strings.HasPrefix(s, "/") && !strings.HasPrefix(s, "$"):
		return fmt.Errorf("%q begins with neither a slash nor a variable", job.Clip(s))
	}
	if _, err := job.ParseAbsPath("/" + rest); err != nil {
		return fmt.Errorf("%q is not a path: it has control characters, a \"..\" or too many bytes", job.Clip(s))
	}
	d.text = s
	return nil
}

// withoutVariables puts an x for each variable.
func withoutVariables(s string) (rest string, ok bool) {
	for {
		before, after, found := strings.Cut(s, "$")
		rest += before
		if !found {
			return rest, true
		}
		name, end := after, ""
		if strings.HasPrefix(after, "{") {
			if name, end, found = strings.Cut(after[1:], "}"); !found {
				return "", false
			}
		} else if stop := strings.IndexFunc(after, func(r rune) bool { return !nameRune(r) }); stop >= 0 {
			name, end = after[:stop], after[stop:]
		}
		if _, err := job.ParseEnv(name + "="); err != nil {
			return "", false
		}
		rest, s = rest+"x", end
	}
}

func nameRune(r rune) bool {
	return r == '_' || '0' <= r && r <= '9' || 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z'
}

// String returns an absolute path, "$HOME" with or without a path behind it, or
// the text with its variables.
func (d DataDir) String() string { return d.text }

// BelowHome reports whether it is below the home of the account.
func (d DataDir) BelowHome() bool { return d.text == home || strings.HasPrefix(d.text, home+"/") }

// HasVariables reports whether there is one apart from $HOME at the beginning.
func (d DataDir) HasVariables() bool {
	return strings.Contains(strings.TrimPrefix(d.text, home), "$") || (strings.HasPrefix(d.text, home) && !d.BelowHome())
}
