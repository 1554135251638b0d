package setup

import (
	"fmt"
	"strings"
	"time"

	"github.com/BurntSushi/toml"

	"jacamar-ci/internal/config"
)

// KillTimeout is the default of general.kill_timeout, and Margin how much longer the
// runner must wait for a job that it ends.
const (
	KillTimeout = 120 * time.Second
	Margin      = 30 * time.Second
)

// Wiring is how a runner calls jacamar-auth, or jacamar without authorization.
type Wiring struct {
	Program, Configuration string
	NoAuth                 bool
}

// stage is one of the calls of [runners.custom].
type stage struct {
	name string
	args []string
}

func (w Wiring) stages() []stage {
	all := []stage{
		{"config", []string{"config", "--configuration", w.Configuration}},
		{"prepare", []string{"prepare"}},
		{"run", []string{"run"}},
		{"cleanup", []string{"cleanup", "--configuration", w.Configuration}},
	}
	for i := range all {
		if w.NoAuth {
			all[i].args = append([]string{"--no-auth"}, all[i].args...)
		}
	}
	return all
}

// keys are those of [runners.custom] that the wiring sets.
func (w Wiring) keys() map[string]any {
	keys := map[string]any{}
	for _, s := range w.stages() {
		args := []any{}
		for _, a := range s.args {
			args = append(args, a)
		}
		keys[s.name+"_exec"], keys[s.name+"_args"] = w.Program, args
	}
	return keys
}

// lines are the wiring's keys in TOML, in the order of the stages.
func (w Wiring) lines() ([]string, error) {
	var lines []string
	for _, s := range w.stages() {
		for _, pair := range []map[string]any{{s.name + "_exec": w.Program}, {s.name + "_args": s.args}} {
			line, err := toml.Marshal(pair)
			if err != nil {
				return nil, fmt.Errorf("cannot write [runners.custom]: %w", err)
			}
			lines = append(lines, "    "+strings.TrimSpace(string(line)))
		}
	}
	return lines, nil
}

const customHeader = "  [runners.custom]"

// Table is [runners.custom] for the runner's config.toml.
func (w Wiring) Table() (string, error) {
	lines, err := w.lines()
	return "  executor = \"custom\"\n" + customHeader + "\n" + strings.Join(lines, "\n") + "\n", err
}

// width of a comment's lines, in bytes.
const width = 96

const introduction = "Configuration of Jacamar CI. It is read again in every stage of every job; " +
	"`jacamar-admin check` reports what is wrong with it. Keys behind a # are examples, not defaults. See jacamar.toml(5)."

// Render writes the configuration: the keys of the choice, and every other key
// as a comment with what it means.
func Render(c Choice) (string, error) {
	values, table := c.values(), ""
	var out strings.Builder
	comment(&out, introduction)
	for _, k := range config.Reference() {
		t, name := cut(k.Path)
		if t != table {
			table = t
			out.WriteString("\n" + header(t) + "\n")
		}
		comment(&out, k.Meaning)
		value, chosen := values[k.Path]
		delete(values, k.Path)
		if !chosen {
			fmt.Fprintf(&out, "#%s\n\n", k.Example)
			continue
		}
		line, err := toml.Marshal(map[string]any{name: value})
		if err != nil {
			return "", fmt.Errorf("cannot write %s: %w", k.Path, err)
		}
		fmt.Fprintf(&out, "%s\n", line)
	}
	for key := range values {
		return "", fmt.Errorf("the configuration has no key %s", key)
	}
	return out.String(), nil
}

func cut(path string) (table, name string) {
	i := strings.LastIndexByte(path, '.')
	return path[:i], path[i+1:]
}

// header begins a table. An array of tables begins one entry each time, so its
// header stays a comment like its keys.
func header(table string) string {
	if config.IsArray(table) {
		return "#[[" + table + "]]"
	}
	return "[" + table + "]"
}

// comment breaks a text into lines.
func comment(out *strings.Builder, text string) {
	line := "#"
	for word := range strings.FieldsSeq(text) {
		if len(line)+1+len(word) > width {
			out.WriteString(line + "\n")
			line = "#"
		}
		line += " " + word
	}
	out.WriteString(line + "\n")
}
