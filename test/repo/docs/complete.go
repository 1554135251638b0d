package docs

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"jacamar-ci/internal/job"
)

// kind is what the value of an option is, for completion.
type kind int

const (
	noValue   kind = iota
	textValue      // nothing can be offered
	fileValue
	directoryValue
	accountValue
	wordsValue
)

// kind returns what can be offered for the option's value, by the name of the value.
func (o Option) kind() kind {
	switch o.Value {
	case "":
		return noValue
	case "FILE":
		return fileValue
	case "DIRECTORY":
		return directoryValue
	case "ACCOUNT":
		return accountValue
	case "KIND", "EXECUTOR", "STATE":
		return wordsValue
	}
	return textValue
}

// choices are the values that an option's usage lists: after a colon, or after the name of
// the value.
func (o Option) choices() []string {
	_, list, found := strings.Cut(o.Usage, ": ")
	if !found {
		_, list, _ = strings.Cut(o.Usage, o.Value+" ")
	}
	return strings.FieldsFunc(strings.ReplaceAll(list, " or ", " "), func(r rune) bool { return r == ',' || r == ' ' })
}

// valued are the options of a kind, by their long names.
func (p Program) valued(k kind) (all []Option) {
	seen := map[string]bool{}
	for _, c := range p.Commands {
		for _, o := range c.Options {
			if o.kind() == k && !seen[o.Names[0]] {
				seen[o.Names[0]] = true
				all = append(all, o)
			}
		}
	}
	return all
}

// pattern is a pattern of case for options, "" for none.
func pattern(options []Option) string {
	var names []string
	for _, o := range options {
		names = append(names, "--"+o.Names[0])
	}
	return strings.Join(names, "|")
}

// values are the branches of a case for the word before the cursor. offer has the shell's
// command for each kind, with %s for words.
func (p Program) values(offer map[kind]string) string {
	var out strings.Builder
	for _, k := range []kind{fileValue, directoryValue, accountValue, textValue} {
		if names := pattern(p.valued(k)); names != "" {
			fmt.Fprintf(&out, "    %s) %s return ;;\n", names, offer[k])
		}
	}
	for _, o := range p.valued(wordsValue) {
		fmt.Fprintf(&out, "    --%s) "+offer[wordsValue]+" return ;;\n", o.Names[0], strings.Join(o.choices(), " "))
	}
	return out.String()
}

// cases are the branches of a case for the command so far; each has a format for the words
// that can follow.
func (p Program) cases(format string) string {
	var out strings.Builder
	for _, c := range p.Commands {
		fmt.Fprintf(&out, "    %s) "+format+" ;;\n", job.ShellQuote(strings.Join(c.Path, " ")), strings.Join(p.next(c), " "))
	}
	groups := p.groups()
	for _, group := range slices.Sorted(maps.Keys(groups)) {
		fmt.Fprintf(&out, "    %s) "+format+" ;;\n", job.ShellQuote(group), strings.Join(groups[group], " "))
	}
	return out.String()
}

// function is the name of the shell function that completes.
func (p Program) function() string { return "_" + strings.ReplaceAll(p.Name, "-", "_") }

// Bash is a completion script for Bash (see "Programmable Completion" in bash(1)).
func (p Program) Bash() string {
	return fmt.Sprintf(`# Completion of %[1]s for bash; made by make manual.
%[2]s() {
  local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD-1]} path='' word words
  COMPREPLY=()
  case $previous in
%[3]s  esac
  for word in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    case $word in
      -*) ;;
      %[4]s) path="${path:+$path }$word" ;;
    esac
  done
  case $path in
%[5]s    *) words='' ;;
  esac
  COMPREPLY=($(compgen -W "$words" -- "$current"))
}
complete -F %[2]s %[1]s
`, p.Name, p.function(), p.values(map[kind]string{
		fileValue:      `compopt -o filenames; COMPREPLY=($(compgen -f -- "$current"));`,
		directoryValue: `compopt -o filenames; COMPREPLY=($(compgen -d -- "$current"));`,
		accountValue:   `COMPREPLY=($(compgen -u -- "$current"));`,
		wordsValue:     `COMPREPLY=($(compgen -W '%s' -- "$current"));`,
	}), p.words(), p.cases("words='%s'"))
}

// Zsh is a completion script for zsh (zshcompsys(1)).
func (p Program) Zsh() string {
	return fmt.Sprintf(`#compdef %[1]s
# Made by make manual.
%[2]s() {
  local command='' word
  case $words[CURRENT-1] in
%[3]s  esac
  for word in "${(@)words[2,CURRENT-1]}"; do
    case $word in
      -*) ;;
      %[4]s) command="${command:+$command }$word" ;;
    esac
  done
  case $command in
%[5]s  esac
}
%[2]s "$@"
`, p.Name, p.function(), p.values(map[kind]string{
		fileValue: "_files;", directoryValue: "_files -/;", accountValue: "_users;", textValue: "_message value;", wordsValue: "compadd -- %s;",
	}), p.words(), p.cases("compadd -- %s"))
}

// Fish is a completion script for fish (complete in its manual).
func (p Program) Fish() string {
	var out strings.Builder
	fmt.Fprintf(&out, "# Completion of %s for fish; made by make manual.\ncomplete -c %[1]s -f\n", p.Name)
	line := func(when, rest string) {
		fmt.Fprintf(&out, "complete -c %s -n %s %s\n", p.Name, fishWord(when), rest)
	}
	for _, c := range p.Commands {
		when := "__fish_use_subcommand"
		switch len(c.Path) {
		case 1:
			line(when, fmt.Sprintf("-a %s -d %s", c.Path[0], fishWord(c.Usage)))
			when = "__fish_seen_subcommand_from " + c.Path[0]
		case 2:
			line("__fish_use_subcommand", "-a "+c.Path[0])
			line("__fish_seen_subcommand_from "+c.Path[0]+"; and not __fish_seen_subcommand_from "+c.Path[1], fmt.Sprintf("-a %s -d %s", c.Path[1], fishWord(c.Usage)))
			when = "__fish_seen_subcommand_from " + c.Path[0] + "; and __fish_seen_subcommand_from " + c.Path[1]
		}
		for _, o := range append(c.Options, Option{Names: []string{"help"}, Usage: "print the help"}) {
			line(when, o.fish())
		}
	}
	return out.String()
}

func (o Option) fish() string {
	value := map[kind]string{
		textValue: " -x", fileValue: " -r -F", directoryValue: " -x -a '(__fish_complete_directories)'", accountValue: " -x -a '(__fish_complete_users)'",
		wordsValue: " -x -a " + fishWord(strings.Join(o.choices(), " ")),
	}[o.kind()]
	short := ""
	for _, name := range o.Names[1:] {
		if len(name) == 1 {
			short += " -s " + name
		}
	}
	return fmt.Sprintf("-l %s%s%s -d %s", o.Names[0], short, value, fishWord(o.Usage))
}

// fishWord quotes a text for fish, where a backslash escapes in single quotes.
func fishWord(s string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(s) + "'"
}

// next lists what can follow a command: its options and, for the program
// itself, the commands.
func (p Program) next(c Command) (all []string) {
	for _, o := range c.Options {
		all = append(all, "--"+o.Names[0])
	}
	all = append(all, "--help")
	if len(c.Path) > 0 {
		return all
	}
	seen := map[string]bool{}
	for _, other := range p.Commands[1:] {
		if first := other.Path[0]; !seen[first] {
			seen[first] = true
			all = append(all, first)
		}
	}
	return all
}

// groups are the commands that only contain others.
func (p Program) groups() map[string][]string {
	groups := map[string][]string{}
	for _, c := range p.Commands {
		if len(c.Path) == 2 {
			groups[c.Path[0]] = append(groups[c.Path[0]], c.Path[1])
		}
	}
	return groups
}

// words is a pattern of all names of commands.
func (p Program) words() string {
	var all []string
	seen := map[string]bool{}
	for _, c := range p.Commands {
		for _, word := range c.Path {
			if !seen[word] {
				seen[word] = true
				all = append(all, word)
			}
		}
	}
	if len(all) == 0 {
		return "''"
	}
	return strings.Join(all, "|")
}
