package profiles

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"
)

// pieces are lines without a row in the table: their effect on the shell depends on the
// lines around them. With any of them a script may run without profiles or fail; it may
// not run twice, and not succeed without having run.
var pieces = []string{
	"JACAMAR_SCRIPT=x JACAMAR_PROFILES=y JACAMAR_SHOPT=z JACAMAR_LEFT=q JACAMAR_DIR=/tmp JACAMAR_CODE=0",
	"readonly JACAMAR_SCRIPT=x",
	"readonly JACAMAR_LEFT",
	"readonly JACAMAR_DIR=/tmp",
	"readonly JACAMAR_CODE=0 JACAMAR_TERM=",
	"declare -n JACAMAR_SCRIPT=PATH",
	"declare -u JACAMAR_SCRIPT",
	"declare -ai JACAMAR_SCRIPT JACAMAR_LEFT",
	"readonly POSIXLY_CORRECT",
	"readonly IFS",
	"readonly PWD=/nowhere",
	"readonly BASH_ENV=/nowhere",
	"declare -i IFS",
	"export IFS=' '",
	"unset LINENO BASHPID PWD OLDPWD",
	"unset HOME",
	"HOME=/proc/nowhere", // where root makes no directory
	"PATH=/nowhere",
	"enable -n eval",
	"enable -n unset trap set",
	"enable -n exit printf read echo",
	"enable -n eval unset; eval() { return 0; }; unset() { return 0; }",
	"enable() { return 0; }; exit() { return 0; }",
	"enable -n enable",
	"eval() { return 0; }; readonly -f eval",
	"read() { return 0; }; readonly -f read",
	"read() { JACAMAR_SCRIPT='exit 0'; return 0; }; readonly -f read",
	"unset() { return 0; }; readonly -f unset",
	"enable() { exit 0; }",
	"echo() { exit 0; }; readonly -f echo",
	"trap '[[ $BASH_COMMAND != eval* ]]' DEBUG; shopt -s extdebug",
	"trap '[[ $BASH_COMMAND != trap* ]]' DEBUG; shopt -s extdebug",
	"trap 'false' DEBUG; shopt -s extdebug; set +T",
	"trap 'exit 0' DEBUG",
	"trap 'exit 0' ERR; set -E",
	"trap 'exit 0' EXIT",
	"trap 'exit 0' CHLD",
	"trap 'kill -KILL $$' EXIT",
	"set -n",
	"set -t",
	"set -r",
	"set -o posix; set -e",
	"ulimit -n 5",
	"ulimit -n 9",
	"ulimit -f 0",
	"ulimit -c 0 -s 64",
	"umask 777",
	"exec 1>&- 2>&-",
	"exec 2<&1 1<&0",
	"exec >/dev/full 2>&1",
	"exec </dev/zero",
	"exec 255>&- 254>&- 63>&- 10>&-",
	"exec {a}>&1 {b}>&2",
	"for f in /proc/$$/fd/*; do [ ! -f $f ] || cat $f >/dev/null; done",
	"for f in /proc/$PPID/fd/*; do [ ! -f $f ] || cat $f >/dev/null; done",
	"cd /proc/self/fd",
	"mkdir -p ~/gone; cd ~/gone; rmdir ~/gone",
	`test "$EUID" = 0 || chmod 0 .`, // root may be in /tmp, and enters it anyway
	"set -- $BASH_EXECUTION_STRING",
	"coproc exit 0",
	"(exit 0) & wait",
	"kill -TERM $BASHPID",
	"kill -INT $$",
	"kill -STOP $$",
	"kill -HUP $$",
	"kill -CONT 0",
	"(sleep 0.05; kill -KILL $$) &",
	"(sleep 0.05; kill -STOP $$; sleep 0.05; kill -CONT $$) &",
	"set -m; sleep 0.01 & fg",
	"exec sh -c 'exit 0'",
	"exec -l bash",
	"exec",
	"exit",
	"logout",
	"return",
	"break; continue",
	"while :; do break 9; done",
	"source ~/.bash_logout",
	". /dev/fd/0",
	". /proc/self/fd/3",
	"eval \"$(cat /proc/$$/fd/3 2>/dev/null | tr -d '\\0' | head -c 0)\"",
	"BASH_ENV=~/.bash_logout",
	"BASH_ENV='$(exit 0)'",
	"POSIXLY_CORRECT=",
	"shopt -s lastpipe; true | read x",
	"shopt -s expand_aliases; alias eval=true echo=true '[['=true",
	"LC_ALL=C.UTF-8; LANG=C",
	"LC_ALL=nonsense",
	"FUNCNEST=1",
	"function [[ { return 0; }",
	"if true; then",
	"cat <<EOF",
	"((",
	"\"",
	"\x01\xff\xfe",
	"\\",
}

// Seeded returns a source of numbers and its seed, which JACAMAR_TEST_SEED sets.
func Seeded(t testing.TB) (*rand.Rand, uint64) {
	t.Helper()
	seed := uint64(time.Now().UnixNano())
	if text := os.Getenv("JACAMAR_TEST_SEED"); text != "" {
		n, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		seed = n
	}
	t.Logf("JACAMAR_TEST_SEED=%d", seed)
	return rand.New(rand.NewPCG(seed, 0)), seed
}

// Random returns a profile composed of pieces and of the table's profiles.
func Random(r *rand.Rand) Profile {
	all := All()
	p := Profile{Files: map[string]string{}}
	for range 1 + r.IntN(4) {
		if r.IntN(3) > 0 {
			p.Text += pieces[r.IntN(len(pieces))] + "\n"
			continue
		}
		one := all[r.IntN(len(all))]
		p.Text += one.Text + "\n"
		for name, text := range one.Files {
			p.Files[name] = text
		}
	}
	p.Name = fmt.Sprintf("%q", strings.TrimSuffix(p.Text, "\n"))
	return p
}
