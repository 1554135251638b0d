package docs

import (
	"fmt"
	"strings"

	"github.com/urfave/cli/v2"
)

// Option is one flag.
type Option struct {
	Names    []string // the long one first, without dashes
	Value    string   // the name of its value, "" for a switch
	Usage    string
	Required bool
}

// Command is one command, or with an empty Path the program itself.
type Command struct {
	Path    []string
	Args    string
	Usage   string
	Options []Option
}

// Program is a command line.
type Program struct {
	Name, Usage string
	Commands    []Command
}

// Of reads the command line of an app.
func Of(app *cli.App) Program {
	p := Program{Name: app.Name, Usage: app.Usage}
	p.Commands = append(p.Commands, Command{Usage: app.Usage, Options: options(app.Flags)})
	p.Commands = append(p.Commands, commands(nil, app.Commands)...)
	return p
}

// commands lists the commands that can be called: one that only contains others cannot.
func commands(above []string, list []*cli.Command) (all []Command) {
	for _, c := range list {
		path := append(append([]string{}, above...), c.Name)
		if len(c.Subcommands) == 0 {
			all = append(all, Command{Path: path, Args: c.ArgsUsage, Usage: c.Usage, Options: options(c.Flags)})
		}
		all = append(all, commands(path, c.Subcommands)...)
	}
	return all
}

func options(flags []cli.Flag) (all []Option) {
	for _, f := range flags {
		o := Option{Names: f.Names()}
		if doc, ok := f.(cli.DocGenerationFlag); ok {
			o.Value, o.Usage = unquote(doc.GetUsage(), doc.TakesValue())
		}
		if r, ok := f.(cli.RequiredFlag); ok {
			o.Required = r.IsRequired()
		}
		all = append(all, o)
	}
	return all
}

// unquote removes the back quotes around the value's name, as the library does for its
// own help.
func unquote(usage string, takesValue bool) (value, text string) {
	before, rest, quoted := strings.Cut(usage, "`")
	name, after, closed := strings.Cut(rest, "`")
	switch {
	case !takesValue:
		return "", usage
	case quoted && closed:
		return name, before + name + after
	}
	return "VALUE", usage
}

// Synopsis is the command as it is typed.
func (p Program) Synopsis(c Command) string {
	words := append([]string{p.Name}, c.Path...)
	for _, o := range c.Options {
		word := o.String()
		if !o.Required {
			word = "[" + word + "]"
		}
		words = append(words, word)
	}
	if c.Args != "" {
		words = append(words, c.Args)
	}
	return strings.Join(words, " ")
}

// String is the option's long form with the name of its value.
func (o Option) String() string {
	if o.Value == "" {
		return "--" + o.Names[0]
	}
	return fmt.Sprintf("--%s %s", o.Names[0], o.Value)
}

// forms lists every spelling of the option.
func (o Option) forms() string {
	var all []string
	for _, name := range o.Names {
		dashes := "--"
		if len(name) == 1 {
			dashes = "-"
		}
		all = append(all, dashes+name)
	}
	text := strings.Join(all, ", ")
	if o.Value != "" {
		text += " " + o.Value
	}
	return text
}

// Undocumented returns the commands and options without a usage text.
func (p Program) Undocumented() (missing []string) {
	for _, c := range p.Commands {
		if c.Usage == "" {
			missing = append(missing, strings.Join(append([]string{p.Name}, c.Path...), " "))
		}
		for _, o := range c.Options {
			if o.Usage == "" {
				missing = append(missing, strings.Join(append([]string{p.Name}, c.Path...), " ")+" --"+o.Names[0])
			}
		}
	}
	return missing
}
