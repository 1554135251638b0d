package docs

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/urfave/cli/v2"

	"jacamar-ci/test/harness/setup/debian"
)

// completed is a program with options of every kind.
func completed() Program {
	app := sample()
	app.Commands = append(app.Commands, &cli.Command{Name: "init", Usage: "don't wait", Flags: []cli.Flag{
		&cli.StringFlag{Name: "deployment", Usage: "`KIND` of deployment: root, caps or no-auth"},
		&cli.StringFlag{Name: "state", Usage: "jobs in the `STATE` quiet or ghost"},
		&cli.StringFlag{Name: "account", Usage: "an `ACCOUNT`"},
		&cli.StringFlag{Name: "dir", Usage: "a `DIRECTORY`"},
		&cli.StringFlag{Name: "url", Usage: "a `URL`"},
	}})
	return Of(app)
}

// completions are command lines up to the cursor, and what is offered there.
var completions = map[string][]string{
	"sample ":                        {"--quiet", "--help", "run", "keys", "init"},
	"sample r":                       {"run"},
	"sample run --":                  {"--file", "--help"},
	"sample keys ":                   {"refresh"},
	"sample keys refresh --":         {"--help"},
	"sample --quiet run --f":         {"--file"},
	"sample init --deployment ":      {"root", "caps", "no-auth"},
	"sample init --deployment no":    {"no-auth"},
	"sample init --state ":           {"quiet", "ghost"},
	"sample init --account roo":      {"root"},
	"sample init --dir /usr/local/b": {"/usr/local/bin"},
}

// same compares what a shell offers with what is wanted, without the order, the
// descriptions and the slashes behind directories.
func same(t *testing.T, shell, line, out string, want []string) {
	t.Helper()
	var got []string
	for one := range strings.Lines(out) {
		one, _, _ = strings.Cut(strings.TrimSpace(one), "\t")
		if one = strings.TrimSuffix(one, "/"); one != "" {
			got = append(got, one)
		}
	}
	slices.Sort(got)
	want = slices.Sorted(slices.Values(want))
	if !slices.Equal(slices.Compact(got), want) {
		t.Errorf("%s: %q offers %q, want %q", shell, line, got, want)
	}
}

// script writes a completion to a file.
func script(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestCompletionBash runs the completion in bash itself.
func TestCompletionBash(t *testing.T) {
	path := script(t, "sample.bash", completed().Bash())
	for line, want := range completions {
		const call = `compopt() { :; }; . "$1"; read -ra COMP_WORDS <<<"$2"; case $2 in *' ') COMP_WORDS+=('') ;; esac
COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); _sample; printf '%s\n' "${COMPREPLY[@]}"`
		out, err := exec.Command("bash", "-c", call, "bash", path, line).CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		same(t, "bash", line, string(out), want)
	}
}

// TestCompletionZsh runs the completion in zsh as its completion system calls it: with
// words and CURRENT, and with functions that print what they are to offer.
func TestCompletionZsh(t *testing.T) {
	debian.Need(t, map[string]string{"/usr/bin/zsh": "zsh"})
	path := script(t, "_sample", completed().Zsh())
	const call = `line=$2; words=(${(z)line}); [[ $line == *' ' ]] && words+=(''); CURRENT=$#words; prefix=$words[CURRENT]
offer() { for w; do [[ $w == $prefix* ]] && print -r -- $w; done; true }
compadd() { shift; offer "$@" }
_files() { [[ $1 == -/ ]] && offer ${prefix}*(N/) || offer ${prefix}*(N) }
_users() { offer root nobody }; _message() { true }
source $1`
	for line, want := range completions {
		out, err := exec.Command("zsh", "-f", "-c", call, "zsh", path, line).CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		same(t, "zsh", line, string(out), want)
	}
}

// TestCompletionZshKey presses the key in a shell on a terminal.
func TestCompletionZshKey(t *testing.T) {
	debian.Need(t, map[string]string{"/usr/bin/zsh": "zsh"})
	path := script(t, "_sample", completed().Zsh())
	const call = `zmodload zsh/zpty; zpty s zsh -f -i
zpty -w s "PROMPT=; fpath=($1 \$fpath); autoload -U compinit; compinit -u -D; sample() { print done:\$*: }"
zpty -w s $'sample ke\tre\t'
zpty -w s 'exit'
while zpty -r s out; do print -r -- $out; done`
	out, err := exec.Command("timeout", "60", "zsh", "-f", "-c", call, "zsh", filepath.Dir(path)).CombinedOutput()
	if !strings.Contains(string(out), "done:keys refresh:") {
		t.Errorf("%v: %s", err, out)
	}
}

// TestCompletionFish runs the completion in fish itself.
func TestCompletionFish(t *testing.T) {
	debian.Need(t, map[string]string{"/usr/bin/fish": "fish"})
	path := script(t, "sample.fish", completed().Fish())
	for line, want := range completions {
		cmd := exec.Command("fish", "--no-config", "-c", "source $argv[1]; complete -C $argv[2]", path, line)
		cmd.Env = append(os.Environ(), "HOME="+t.TempDir())
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		if line == "sample " {
			want = []string{"run", "keys", "init"} // fish offers options behind a dash only
		}
		same(t, "fish", line, string(out), want)
	}
}
