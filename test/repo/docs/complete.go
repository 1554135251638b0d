package docs

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Bash is a completion script for Bash (see "Programmable Completion" in
// bash(1)): the commands and options of the program, and file names after an option that
// takes one.
func (p Program) Bash() string {
	var cases strings.Builder
	for _, c := range p.Commands {
		fmt.Fprintf(&cases, "    %s) words=%s ;;\n", shellWord(strings.Join(c.Path, " ")), shellWord(strings.Join(p.next(c), " ")))
	}
	groups := p.groups()
	for _, group := range slices.Sorted(maps.Keys(groups)) {
		fmt.Fprintf(&cases, "    %s) words=%s ;;\n", shellWord(group), shellWord(strings.Join(groups[group], " ")))
	}
	name := "_" + strings.ReplaceAll(p.Name, "-", "_")
	return fmt.Sprintf(`# Completion of %[1]s for bash; made by make manual.
%[2]s() {
  local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD-1]} path='' word words
  COMPREPLY=()
  case $previous in
    %[3]s) COMPREPLY=($(compgen -f -- "$current")); return ;;
  esac
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
complete -o filenames -F %[2]s %[1]s
`, p.Name, name, p.valued(), p.words(), cases.String())
}

// Zsh is a completion script for zsh, which runs the one for Bash
// (bashcompinit in zshcompsys(1)).
func (p Program) Zsh() string {
	bash := p.Bash()
	return fmt.Sprintf("#compdef %s\n# Made by make manual: the completion for bash, by way of bashcompinit.\nautoload -U +X bashcompinit && bashcompinit\n%s",
		p.Name, bash[strings.IndexByte(bash, '\n')+1:])
}

// next lists what can follow a command: its options and, for the program
// itself, the commands.
func (p Program) next(c Command) (words []string) {
	for _, o := range c.Options {
		words = append(words, "--"+o.Names[0])
	}
	words = append(words, "--help")
	if len(c.Path) > 0 {
		return words
	}
	seen := map[string]bool{}
	for _, other := range p.Commands[1:] {
		if first := other.Path[0]; !seen[first] {
			seen[first] = true
			words = append(words, first)
		}
	}
	return words
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
	return strings.Join(all, "|")
}

// valued is a pattern of the options that take a value.
func (p Program) valued() string {
	var all []string
	seen := map[string]bool{}
	for _, c := range p.Commands {
		for _, o := range c.Options {
			if o.Value != "" && !seen[o.Names[0]] {
				seen[o.Names[0]] = true
				all = append(all, "--"+o.Names[0])
			}
		}
	}
	if len(all) == 0 {
		return "''"
	}
	return strings.Join(all, "|")
}

func shellWord(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }
