package fakerunner

import (
	"fmt"
	"path"
	"strings"
)

// shellText builds the body of a generated script.
type shellText struct {
	b     strings.Builder
	posix bool
	check bool
}

func (s *shellText) line(format string, args ...any) {
	if len(args) == 0 {
		s.b.WriteString(format + "\n")
		return
	}
	fmt.Fprintf(&s.b, format+"\n", args...)
}

// command adds a command with its arguments quoted.
func (s *shellText) command(argv ...string) {
	quoted := make([]string, len(argv))
	for i, a := range argv {
		quoted[i] = s.quote(a)
	}
	s.line("%s", strings.Join(quoted, " "))
	s.checked()
}

// checked is what FF_ENABLE_BASH_EXIT_CODE_CHECK adds behind each command.
func (s *shellText) checked() {
	if s.check {
		s.line("_code=$?; if [ $_code -ne 0 ]; then exit $_code; fi")
	}
}

const (
	boldGreen = "\x1b[32;1m"
	yellow    = "\x1b[0;33m"
	reset     = "\x1b[0;m"
)

func (s *shellText) notice(format string, args ...any) {
	s.line("echo %s", s.quote(boldGreen+fmt.Sprintf(format, args...)+reset))
}

func (s *shellText) warning(format string, args ...any) {
	s.line("echo %s", s.quote(yellow+fmt.Sprintf(format, args...)+reset))
}

// export defines the job's variables. A file variable is written by the script
// itself, in every stage again.
func (s *shellText) export(vs variables, temp string) {
	for _, v := range vs {
		if !v.File {
			s.line("export %s=%s", v.Key, s.quote(v.Value))
			continue
		}
		s.line("mkdir -p %s", doubleQuote(temp))
		s.line("printf '%%s' %s > %s", s.quote(v.Value), doubleQuote(path.Join(temp, v.Key)))
		s.line("export %s=%s", v.Key, doubleQuote(path.Join(temp, v.Key)))
	}
}

// sourceEnv reads what earlier stages of the job put into GITLAB_ENV.
func (s *shellText) sourceEnv(temp string) {
	file := doubleQuote(envFile(temp))
	s.line("export GITLAB_ENV=%s", file)
	s.line("mkdir -p %s", doubleQuote(temp))
	s.line("touch %s", file)
	s.line(`while read -r line; do export "$line"; done < %s`, file)
}

func envFile(temp string) string { return path.Join(temp, "gitlab_runner_env") }

// onTerm is for the script and again for the subshell in it, which has no traps of its
// parent.
const onTerm = "trap 'exit 1' TERM"

// wrap makes the whole script: the real body is one long quoted string, which
// runs with an empty standard input so that the shell may read the script from
// its own.
func (s *shellText) wrap(shell string, legacy, xtrace bool) []byte {
	var b strings.Builder
	fmt.Fprintf(&b, "#!/usr/bin/env %s\n\n%s\n\n", shell, onTerm)
	if xtrace {
		b.WriteString("set -o xtrace\n")
	}
	b.WriteString("case \"$(set -o)\" in *\"pipefail\"*) set -o pipefail;; esac; set -o errexit\n")
	b.WriteString("set +o noclobber\n")
	if legacy {
		fmt.Fprintf(&b, ": | eval %s\n", s.quote(s.b.String()))
	} else {
		fmt.Fprintf(&b, "(%s; eval %s) < /dev/null\n", onTerm, s.quote(s.b.String()))
	}
	b.WriteString("exit 0\n")
	return []byte(b.String())
}

func (s *shellText) quote(text string) string {
	if s.posix {
		return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'"
	}
	return ansiQuote(text)
}

// ansiQuote writes text as bash's $'…', on one line and in ASCII.
func ansiQuote(text string) string {
	var b strings.Builder
	b.WriteString("$'")
	for i := range len(text) {
		switch c := text[i]; {
		case c == '\n':
			b.WriteString(`\n`)
		case c == '\t':
			b.WriteString(`\t`)
		case c == '\r':
			b.WriteString(`\r`)
		case c == '\'' || c == '\\':
			b.WriteByte('\\')
			b.WriteByte(c)
		case c < ' ' || c > '~':
			fmt.Fprintf(&b, `\x%02x`, c)
		default:
			b.WriteByte(c)
		}
	}
	b.WriteString("'")
	return b.String()
}

// doubleQuote leaves $PWD to the shell and escapes everything else.
func doubleQuote(text string) string {
	text = strings.NewReplacer(`\`, `\\`, `"`, `\"`, "`", "\\`", `$`, `\$`).Replace(text)
	return `"` + strings.Replace(text, `\$PWD`, "$PWD", 1) + `"`
}
