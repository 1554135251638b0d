package docs

import (
	"fmt"
	"strings"

	"jacamar-ci/internal/config"
)

// Text is the content of a manual page apart from its options.
type Text struct {
	Section     int
	Description []string // paragraphs
	// After are further sections, in order.
	After []Section
}

// Section is a titled part of a manual page: paragraphs, or terms with their
// meanings.
type Section struct {
	Title      string
	Paragraphs []string
	Terms      []Term
}

// Term is a word and its meaning.
type Term struct{ Word, Meaning string }

// page writes man(7) macros.
type page struct{ strings.Builder }

func (p *page) head(name string, section int, what string) {
	fmt.Fprintf(p, ".TH %s %d \"\" \"Jacamar CI\" \"Jacamar CI\"\n", quote(strings.ToUpper(name)), section)
	// Words of commands are neither hyphenated nor spread over the line.
	p.WriteString(".nh\n.ad l\n")
	p.section("NAME")
	fmt.Fprintf(p, "%s \\- %s\n", roff(name), roff(what))
}

func (p *page) section(title string) { fmt.Fprintf(p, ".SH %s\n", quote(title)) }

func (p *page) term(word, meaning string) {
	fmt.Fprintf(p, ".TP\n.B %s\n%s\n", quote(word), roff(meaning))
}

func (p *page) add(s Section) {
	p.section(s.Title)
	for i, text := range s.Paragraphs {
		if i > 0 {
			p.WriteString(".PP\n")
		}
		fmt.Fprintln(p, roff(text))
	}
	for _, t := range s.Terms {
		p.term(t.Word, t.Meaning)
	}
}

// roff escapes text for roff: no line of it is a macro, and a dash stays the ASCII
// one. Back quotes, which mark code in Markdown,
// become bold. See groff_char(7).
func roff(text string) string {
	text = strings.NewReplacer(`\`, `\e`, "-", `\-`).Replace(text)
	for strings.Count(text, "`") >= 2 {
		text = strings.Replace(text, "`", `\fB`, 1)
		text = strings.Replace(text, "`", `\fR`, 1)
	}
	if strings.HasPrefix(text, ".") || strings.HasPrefix(text, "'") {
		text = `\&` + text
	}
	return text
}

func quote(text string) string { return `"` + strings.ReplaceAll(roff(text), `"`, `\(dq`) + `"` }

// Man is the program's manual page.
func (p Program) Man(t Text) string {
	var out page
	out.head(p.Name, t.Section, p.Usage)
	out.section("SYNOPSIS")
	for i, c := range p.Commands {
		if i > 0 {
			out.WriteString(".br\n")
		}
		fmt.Fprintf(&out, ".B %s\n", quote(p.Synopsis(c)))
	}
	out.add(Section{Title: "DESCRIPTION", Paragraphs: t.Description})
	out.section("OPTIONS")
	for _, o := range p.Commands[0].Options {
		out.term(o.forms(), o.Usage)
	}
	out.section("COMMANDS")
	for _, c := range p.Commands[1:] {
		out.term(strings.TrimSpace(strings.Join(c.Path, " ")+" "+c.Args), c.Usage)
		for _, o := range c.Options {
			out.WriteString(".RS\n")
			out.term(o.forms(), o.Usage)
			out.WriteString(".RE\n")
		}
	}
	for _, s := range t.After {
		out.add(s)
	}
	return out.String()
}

// ConfigMan is jacamar.toml(5).
func ConfigMan(keys []config.Key) string {
	var out page
	out.head("jacamar.toml", 5, "the configuration of jacamar-auth")
	out.add(Section{Title: "DESCRIPTION", Paragraphs: []string{"The file is TOML. It and every directory above it belong to root or to the account that runs `jacamar-auth`, and no other account may write them. " +
		"It is read again in every stage. Unknown keys, values of the wrong type and values out of range are all reported, each with its line, and no job runs."}})
	table := ""
	for _, k := range keys {
		if t := tableOf(k.Path); t != table {
			table = t
			out.section(header(t))
		}
		out.term(nameOf(k.Path), k.Meaning+" "+outline(k))
		fmt.Fprintf(&out, ".RS\n.PP\nExample:\n.nf\n\\fB%s\\fR\n.fi\n.RE\n", roff(k.Example))
	}
	out.add(Section{Title: "EXAMPLES", Terms: []Term{
		{Word: "jacamar-admin config --effective", Meaning: "Prints a configuration that has every key, with its value for this site."},
		{Word: "jacamar-admin check", Meaning: "Reports all faults of the file, each with its line."},
	}})
	out.add(Section{Title: "SEE ALSO", Paragraphs: []string{"jacamar-auth(8), jacamar-admin(8), jacamar(1)"}})
	return out.String()
}
