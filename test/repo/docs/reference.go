package docs

import (
	"fmt"
	"strings"

	"jacamar-ci/internal/config"
)

func tableOf(path string) string { return path[:strings.LastIndexByte(path, '.')] }
func nameOf(path string) string  { return path[strings.LastIndexByte(path, '.')+1:] }

// header is the line that begins a table in the file.
func header(table string) string {
	if config.IsArray(table) {
		return "[[" + table + "]]"
	}
	return "[" + table + "]"
}

// outline is the summary of a key on one line.
func outline(k config.Key) string {
	switch {
	case k.Required:
		return fmt.Sprintf("(%s, required)", typeOf(k))
	case k.Default != nil:
		return fmt.Sprintf("(%s, default %s)", typeOf(k), literal(k.Default))
	}
	return fmt.Sprintf("(%s, when left out: %s)", typeOf(k), k.Otherwise)
}

// literal writes a default as TOML has it.
func literal(v any) string {
	if s, ok := v.(string); ok {
		return fmt.Sprintf("`%q`", s)
	}
	return fmt.Sprintf("`%v`", v)
}

// Configuration is the page of all keys.
func Configuration(keys []config.Key) string {
	var out strings.Builder
	out.WriteString(configurationHead + overview(keys))
	table := ""
	for _, k := range keys {
		if t := tableOf(k.Path); t != table {
			table = t
			fmt.Fprintf(&out, "\n## %s\n", header(t))
		}
		fmt.Fprintf(&out, "\n### %s\n\n%s\n\n| type | when left out | since |\n| --- | --- | --- |\n| %s | %s | %s |\n\n```toml\n%s\n```\n",
			k.Path, k.Meaning, typeOf(k), leftOut(k), k.Since, k.Example)
	}
	return out.String()
}

// overview is a table of all keys, a row for each table of the file.
func overview(keys []config.Key) string {
	var out strings.Builder
	out.WriteString("\nRequired keys are bold.\n\n| table | keys |\n| --- | --- |")
	table := ""
	for _, k := range keys {
		link := fmt.Sprintf("[%s](#%s)", nameOf(k.Path), strings.ReplaceAll(k.Path, ".", ""))
		if k.Required {
			link = "**" + link + "**"
		}
		between := ", "
		if t := tableOf(k.Path); t != table {
			between = fmt.Sprintf(" |\n| `%s` | ", header(t))
			if table == "" {
				between = strings.TrimPrefix(between, " |")
			}
			table = t
		}
		out.WriteString(between + link)
	}
	out.WriteString(" |\n")
	return out.String()
}

func leftOut(k config.Key) string {
	switch {
	case k.Required:
		return "an error: it must be given"
	case k.Default != nil:
		return literal(k.Default)
	}
	return k.Otherwise
}

const configurationHead = `# Configuration reference

One TOML file, named to ` + "`jacamar-auth`" + ` by ` + "`--configuration`" + `. ` + "`make manual`" + ` generates this page
from the program's own schema.

The file is accepted when it and every directory above it belong to root or to the account that runs
jacamar-auth (to root alone where jacamar-auth has file capabilities), and no other account can write them.
It is read again in every stage, so a change needs no restart. All faults of a file are reported at once, each with its line; until they are
fixed no job runs. ` + "`jacamar-admin check`" + ` reports them too.
`

// Markdown is the page of all commands and options.
func (p Program) Markdown() string {
	var out strings.Builder
	fmt.Fprintf(&out, "# Commands of %s\n\n%s. `make manual` generates this page from the program's own command line.\n", p.Name, sentence(p.Usage))
	for _, c := range p.Commands {
		if len(c.Path) > 0 {
			fmt.Fprintf(&out, "\n## %s %s\n\n%s.\n", p.Name, strings.Join(c.Path, " "), sentence(c.Usage))
		}
		fmt.Fprintf(&out, "\n```\n%s\n```\n", p.Synopsis(c))
		if len(c.Options) > 0 {
			out.WriteString("\n| option | meaning |\n| --- | --- |\n")
		}
		for _, o := range c.Options {
			fmt.Fprintf(&out, "| `%s` | %s |\n", o.forms(), strings.ReplaceAll(o.Usage, "|", `\|`))
		}
	}
	return out.String()
}

func sentence(usage string) string { return strings.ToUpper(usage[:1]) + usage[1:] }
