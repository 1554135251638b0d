package setup

import (
	"fmt"
	"strings"

	"github.com/BurntSushi/toml"

	"jacamar-ci/internal/config"
)

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
