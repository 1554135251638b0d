package profiles

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
)

// Profile is one ~/.bash_profile.
type Profile struct {
	Name string
	// Text is its particular part. It follows the lines of Common.
	Text string
	// Files are more files of the home, by their names.
	Files map[string]string
	// Ends reports that it ends every shell: the script runs without profiles.
	Ends bool
	// Races reports that the script may still begin, though it is ended at once.
	Races bool
	// Script are lines that the script has at its end, and Output what they print.
	Script, Output string
}

// Common is what every profile of the table defines first. Without BASH_ENV, which
// the machine's own profiles may set.
const Common = `unset BASH_ENV
profile_function() { echo "function $1"; }
profile_variable=unexported
export SCRATCH=~/scratch
`

// Mark is the file of the home that gets a line whenever the script runs.
const Mark = "marks"

// Code is the exit code of the script.
const Code = 7

// state prints the settings that a profile may change. None of the values must come
// from a profile.
const state = `echo run >>~/` + Mark + `
printf '[%s|%s|%q|%s|%s|%s]\n' "$#" "${-//[!abefkmnptuvxCEHPT]}" "$IFS" "$SHELLOPTS" "$(trap)" "$(ls /dev/fd/0 -l | sed 's/.*> //')"
[[ . -ef ~ ]] || pwd
for name in exit printf cd eval source read trap set unset command builtin exec echo; do
	[ "$(type -t $name)" = builtin ] || echo "$name is $(type -t $name)"
done
shopt -s | grep -vxE '(checkwinsize|cmdhist|complete_fullquote|expand_aliases|extquote|force_fignore|globasciiranges|globskipdots|hostcomplete|interactive_comments|login_shell|patsub_replacement|progcomp|promptvars|sourcepath)\s+on'
(cd /; printf '%s\n' "$PWD")
shopt -q login_shell && echo login
type -t profile_function >/dev/null && profile_function here
echo "${profile_variable-}"
echo error >&2
`

// ScriptText is the script of a profile's test.
func (p Profile) ScriptText() string { return state + p.Script + "\nexit 7\necho more\n" }

// Want is what the script prints, its errors included.
func (p Profile) Want() string {
	if p.Ends {
		return WantSaved
	}
	return clean + "function here\nunexported\nerror\n" + p.Output
}

// clean is the beginning of what every script prints.
const clean = "[0||$' \\t\\n'|braceexpand:hashall:interactive-comments||/dev/null]\n/\nlogin\n"

// WantSaved is what the script prints, before its particular part, where it has only what
// programs have from the profiles, or nothing of them.
const WantSaved = clean + "\nerror\n"

// Write puts the profile into a home.
func (p Profile) Write(home string) error {
	files := map[string]string{
		".bash_profile": Common + p.Text + "\n",
		".bash_logout":  "echo logged out; exit 9\n",
	}
	for name, text := range p.Files {
		files[name] = text
	}
	for name, text := range files {
		path := filepath.Join(home, name)
		err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), 0o755))
		if err != nil {
			return err
		}
	}
	return nil
}

// Remove removes the files of a profile.
func (p Profile) Remove(home string) error {
	errs := []error{os.Remove(filepath.Join(home, ".bash_profile")), os.Remove(filepath.Join(home, ".bash_logout"))}
	for name := range p.Files {
		errs = append(errs, os.RemoveAll(filepath.Join(home, top(name))))
	}
	return errors.Join(errs...)
}

// HasLines reports whether out has every line of want: the two streams of a job have no
// order.
func HasLines(out, want string) bool {
	for line := range strings.Lines(want) {
		if !strings.Contains("\n"+out, "\n"+line) {
			return false
		}
	}
	return true
}
