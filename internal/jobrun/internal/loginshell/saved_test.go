package loginshell

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"jacamar-ci/test/harness/profiles"
)

// programs prints all that a program has from its shell.
const programs = `exec 2>&1; echo "--- programs"
/usr/bin/env -0 | /usr/bin/sort -z | /usr/bin/tr '\0\n' '\n|' | /usr/bin/grep -vE '^(_|OLDPWD|SHLVL)='
/bin/sh -c umask; /bin/bash --norc --noprofile -c 'ulimit -Sa; ulimit -Ha'
`

// TestSavedLogin runs scripts with what the login of every profile of the table has left:
// nothing of the table harms them, and their programs have what they have after a login.
func TestSavedLogin(t *testing.T) {
	for _, bash := range shells() {
		for i, p := range append(exporting(), profiles.All()...) {
			t.Run(filepath.Dir(bash)+"/"+p.Name, func(t *testing.T) {
				t.Parallel()
				switch {
				case p.Ends || p.Races:
					t.Skip("its login leaves nothing")
				case testing.Short() && i >= len(exporting()) && i%3 > 0:
					t.Skip("a third of the table in short mode")
				}
				saves(t, bash, p)
			})
		}
	}
}

// saves compares a script after a login with one that has what the login left.
func saves(t *testing.T, bash string, p profiles.Profile) {
	dir := p.Home(t)
	l := &login{bash: bash, read: Login, limit: time.Minute, save: true}
	first := l.run(t, dir, programs)
	if !first.began || !IsWhole(l.saved) {
		t.Fatalf("the login left %q, and the script printed\n%s", l.saved, first.out)
	}
	l = &login{bash: bash, read: Saved, limit: time.Minute, saved: Restore(l.saved, environment(dir))}
	second := l.run(t, dir, "("+programs+")\n"+p.ScriptText())
	if got, want := afterProfiles(second.out), afterProfiles(first.out); !strings.HasPrefix(got, want) || !strings.Contains(want, "PATH=") {
		t.Errorf("after a login\n%s\nwith what it left\n%s", want, got)
	}
	if second.marks != 1 || second.code != profiles.Code || !second.began || !strings.Contains(second.out, profiles.WantSaved) {
		t.Errorf("the script ran %d times, with exit code %d, and printed\n%s", second.marks, second.code, second.out)
	}
}

// afterProfiles is what a script printed itself.
func afterProfiles(out string) string {
	_, after, _ := strings.Cut(out, "--- programs\n")
	return after
}

// exporting are profiles whose exports are hard to write down.
func exporting() []profiles.Profile {
	return []profiles.Profile{
		{Name: "exports a function", Text: `greet() { echo "hello $1"; }; export -f greet; module() { eval "$(echo true "$@")"; }; export -f module`},
		{Name: "exports a function with an extended pattern", Text: "shopt -s extglob\nkind() { case $1 in @(a|b)) echo $'x\\ty';; esac; }\nexport -f kind"},
		{Name: "exports values that need quotes", Text: `export A=$'line\nline' B='$(touch ~/ran) ` + "`id`" + `' C=$'\x01\xff' D="it's" E='"' F='\' G= H='declare -x I=1'; export J`},
		{Name: "removes and unexports variables", Text: `unset TMPDIR; export -n LANG`},
		{Name: "changes PATH and limits", Text: `PATH=~/bin:$PATH; ulimit -Sn 100; ulimit -c 0; umask 007`},
		{Name: "exports what is read-only and integer", Text: `declare -rx FIXED=1; declare -ix NUMBER=2+3; declare -ux UPPER=abc; export UID EUID PPID`},
		{Name: "names the file of BASH_ENV", Text: `export BASH_ENV=~/env.sh`, Files: map[string]string{"env.sh": "export FROM_BASH_ENV=$((FROM_BASH_ENV + 1))\n"}},
	}
}

// TestDamagedSavedLogin: a script never begins twice, whatever is in the place of what
// was saved. One that began may have been killed before its first command.
func TestDamagedSavedLogin(t *testing.T) {
	for _, saved := range []string{"exit 3", "exec /bin/true", "kill -9 $$", "trap 'exit 0' DEBUG", "return 5", "kill $$", "declare -x A=\"", "readonly JACAMAR_SCRIPT=x"} {
		t.Run(saved, func(t *testing.T) {
			dir := profiles.Profile{}.Home(t)
			l := &login{bash: "/bin/bash", read: Saved, limit: time.Minute, saved: []byte(saved)}
			r := l.run(t, dir, "echo run >>~/"+profiles.Mark+"\nexit 7")
			if most := map[bool]int{true: 1}[r.began]; r.marks > most || r.began && r.code == 0 {
				t.Errorf("the script began: %v, and ran %d times, with exit code %d\n%s", r.began, r.marks, r.code, r.out)
			}
		})
	}
}

func TestIsWhole(t *testing.T) {
	for text, want := range map[string]bool{"": false, "umask 0022\n": false, "umask 0022\n# saved": false, "umask 0022\n# saved\n": true} {
		if IsWhole([]byte(text)) != want {
			t.Errorf("%q: %v", text, !want)
		}
	}
}

func TestRestoreKeepsItsOwn(t *testing.T) {
	got := string(Restore([]byte("declare -x A=\"1\"\n"), []string{"A=0", "STAGE=it's"}, "STAGE"))
	want := "shopt -s extglob\nunset -v A\nunset -v STAGE\ndeclare -x A=\"1\"\n[[ ! ${STAGE+x} ]] || STAGE='it'\\''s'\n"
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// TestRestoredReadOnly: a variable that bash does not let a script assign is exported again
// where it was exported, whatever else has its name.
func TestRestoredReadOnly(t *testing.T) {
	for saved, want := range map[string]bool{
		"declare -irx UID=\"0\"\n":                        true,
		"declare -x A=\"1\"\ndeclare -rx UID=\"0\"\n":     true,
		"declare -x UID=\"0\"":                            true,
		"declare -ir UID=\"0\"\n":                         false,
		"declare -x MYUID=\"0\"\ndeclare -x UIDS=\"0\"\n": false,
		"f () \n{ \n    declare -irx UID=\"0\"\n}\n":      false,
		"declare -x EUID=\"0\"\n":                         false,
		"declare -x A=\"-x UID=0\"\n x UID=0\nUID=0\n":    false,
		"": false,
	} {
		if got := strings.Contains(string(Restore([]byte(saved), nil)), "export UID\n"); got != want {
			t.Errorf("%q: exported again: %v, want %v", saved, got, want)
		}
	}
}
