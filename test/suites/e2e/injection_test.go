package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"jacamar-ci/test/harness/site"
	"jacamar-ci/test/harness/testutil"
)

// injected is a variable that makes some program execute code. MARKS in a value is the
// directory in which that code creates a file of the variable's name, EVIL the one with
// the code.
type injected struct {
	name, value string
	// with are further variables that this one needs.
	with []string
	// acts is a command in which the variable has its effect: proof that its mark can
	// appear. For a variable without it the test only shows that no process gets it.
	acts []string
}

// injections are variables that attacks on privileged programs have used.
var injections = []injected{
	{name: "LD_PRELOAD", value: "EVIL/preload.so", acts: []string{"/bin/true"}},
	{name: "LD_AUDIT", value: "EVIL/audit.so", acts: []string{"/bin/true"}},
	{name: "LD_LIBRARY_PATH", value: "EVIL/lib", acts: []string{"/bin/bash", "-c", ":"}},
	{name: "LD_DEBUG_OUTPUT", value: "MARKS/LD_DEBUG_OUTPUT", with: []string{"LD_DEBUG=libs"}, acts: []string{"/bin/true"}},
	{name: "GLIBC_TUNABLES", value: "glibc.malloc.check=3"},
	{name: "MALLOC_PERTURB_", value: "1"},
	{name: "LOCPATH", value: "EVIL"},
	{name: "NLSPATH", value: "EVIL/%N"},
	{name: "GCONV_PATH", value: "EVIL"},
	{name: "NSS_WRAPPER_PASSWD", value: "EVIL/passwd"},
	{name: "NSS_WRAPPER_GROUP", value: "EVIL/group"},
	{name: "RES_OPTIONS", value: "debug"},
	{name: "HOSTALIASES", value: "EVIL/aliases"},

	{name: "BASH_ENV", value: "EVIL/BASH_ENV", acts: []string{"/bin/bash", "-c", ":"}},
	{name: "ENV", value: "EVIL/ENV", acts: []string{"/bin/sh", "-ic", ":"}},
	{name: "PS4", value: "$(: >MARKS/PS4)", with: []string{"SHELLOPTS=xtrace"}, acts: []string{"/bin/bash", "-c", ":"}},
	{name: "BASHOPTS", value: "failglob"},
	{name: "IFS", value: "/"},
	{name: "CDPATH", value: "EVIL"},
	{name: "GLOBIGNORE", value: "*"},
	{name: "PROMPT_COMMAND", value: ": >MARKS/PROMPT_COMMAND"},
	{name: "BASH_FUNC_id%%", value: "() { : >MARKS/BASH_FUNC_id%%; }", acts: []string{"/bin/bash", "-c", "id"}},
	{name: "BASH_FUNC_printf%%", value: "() { : >MARKS/BASH_FUNC_printf%%; }", acts: []string{"/bin/bash", "-c", "printf ."}},

	{name: "PERL5OPT", value: "-Mevil", with: []string{"PERL5LIB=EVIL"}, acts: []string{"/usr/bin/perl", "-e", "1"}},
	{name: "PYTHONPATH", value: "EVIL", acts: []string{"/usr/bin/python3", "-c", ""}},
	{name: "PYTHONSTARTUP", value: "EVIL/sitecustomize.py"},
	{name: "NODE_OPTIONS", value: "--require=EVIL/evil.js", acts: []string{"/usr/bin/node", "-e", "1"}},
	{name: "RUBYOPT", value: "-rEVIL/evil"},
	{name: "JAVA_TOOL_OPTIONS", value: "-javaagent:EVIL/evil.jar"},
	{name: "LUA_INIT", value: "@EVIL/evil.lua"},

	{name: "GODEBUG", value: "netdns=cgo"},
	{name: "GOTRACEBACK", value: "crash"},
	{name: "GOGC", value: "1"},
	{name: "GOMEMLIMIT", value: "1"},
	{name: "GOCOVERDIR", value: "MARKS"},
	{name: "ZONEINFO", value: "EVIL/zoneinfo"},
	{name: "SSL_CERT_FILE", value: "EVIL/ca.pem"},
	{name: "SSL_CERT_DIR", value: "EVIL"},
	{name: "HTTPS_PROXY", value: "http://127.0.0.1:1"},
	{name: "https_proxy", value: "http://127.0.0.1:1"},
	{name: "ALL_PROXY", value: "http://127.0.0.1:1"},

	{name: "TZ", value: "EVIL/zone"},
	{name: "LANG", value: "EVIL"},
	{name: "TERMCAP", value: "EVIL/termcap"},
	{name: "TMPDIR", value: "MARKS", acts: []string{"/bin/sh", "-c", "mktemp"}},
	{name: "GIT_TRACE", value: "MARKS/GIT_TRACE", acts: []string{"/usr/bin/git", "version"}},
	{name: "GIT_SSH_COMMAND", value: "EVIL/BASH_ENV"},
	{name: "GIT_EXEC_PATH", value: "EVIL"},
	{name: "GIT_CONFIG_GLOBAL", value: "EVIL/gitconfig"},
	{name: "SLURM_CONF", value: "EVIL/slurm.conf"},
	{name: "SBATCH_ACCOUNT", value: "evil"},
	{name: "SBATCH_WRAP", value: ": >MARKS/SBATCH_WRAP"},
	{name: "PBS_CONF_FILE", value: "EVIL/pbs.conf"},
	{name: "FLUX_URI", value: "local://EVIL/flux"},
	{name: "LSF_ENVDIR", value: "EVIL"},
}

// library creates a mark when it is loaded, and has the symbols that bash needs of
// libtinfo.
const library = `#include <fcntl.h>
#include <unistd.h>
static void leave(void) { int fd = open(MARK, O_CREAT | O_WRONLY, 0666); if (fd >= 0) close(fd); }
__attribute__((constructor)) static void loaded(void) { leave(); }
unsigned int la_version(unsigned int v) { leave(); return v; }
char PC, *BC, *UP; short ospeed;
int tgetent(char *b, const char *n) { return 0; }
int tgetflag(const char *i) { return 0; }
int tgetnum(const char *i) { return 0; }
char *tgetstr(const char *i, char **a) { return 0; }
char *tgoto(const char *c, int x, int y) { return 0; }
int tputs(const char *s, int n, int (*f)(int)) { return 0; }
`

// envInjection holds the injected variables of one test.
type envInjection struct {
	evil, marks, seen string
	account           site.Account
}

// newInjection creates the files that the variables name.
func newInjection(t *testing.T, s *site.Site) envInjection {
	t.Helper()
	g := envInjection{filepath.Join(s.Dir, "evil"), filepath.Join(s.Dir, "marks"), filepath.Join(s.Dir, "seen"), s.Account}
	for _, dir := range []string{g.evil, g.marks, g.seen, filepath.Join(g.evil, "lib")} {
		testutil.Must(t, os.MkdirAll(dir, 0o755))
		testutil.Must(t, os.Chmod(dir, 0o777))
	}
	for name, text := range map[string]string{
		"BASH_ENV": ": >MARKS/BASH_ENV\n", "ENV": ": >MARKS/ENV\n", "library.c": library,
		"evil.pm": "open(my $f, '>', 'MARKS/PERL5OPT'); 1;\n", "sitecustomize.py": "open('MARKS/PYTHONPATH', 'w')\n",
		"evil.js": "require('fs').writeFileSync('MARKS/NODE_OPTIONS', '')\n",
	} {
		testutil.Must(t, os.WriteFile(filepath.Join(g.evil, name), []byte(g.text(text)), 0o755))
	}
	for file, mark := range map[string]string{"preload.so": "LD_PRELOAD", "audit.so": "LD_AUDIT", "lib/libtinfo.so.6": "LD_LIBRARY_PATH"} {
		out, err := exec.Command("gcc", "-w", "-shared", "-fPIC", `-DMARK="`+g.marks+"/"+mark+`"`, "-o", filepath.Join(g.evil, file), filepath.Join(g.evil, "library.c")).CombinedOutput()
		if err != nil {
			t.Logf("without a library for %s: %v: %s", mark, err, out)
			testutil.Must(t, os.RemoveAll(filepath.Join(g.evil, strings.Split(file, "/")[0])))
		}
	}
	return g
}

func (g envInjection) text(s string) string {
	return strings.NewReplacer("MARKS", g.marks, "EVIL", g.evil).Replace(s)
}

// pairs are all injected variables as an environment has them.
func (g envInjection) pairs() (all []string) {
	for _, p := range injections {
		all = append(append(all, g.text(p.name+"="+p.value)), p.more(g)...)
	}
	return all
}

func (p injected) more(g envInjection) (all []string) {
	for _, pair := range p.with {
		all = append(all, g.text(pair))
	}
	return all
}

// names are those of the variables.
func (g envInjection) names() (all []string) {
	for _, pair := range g.pairs() {
		name, _, _ := strings.Cut(pair, "=")
		all = append(all, name)
	}
	return all
}

// found are the marks that were created.
func (g envInjection) found(t *testing.T) []os.DirEntry {
	t.Helper()
	found, err := os.ReadDir(g.marks)
	testutil.Must(t, err)
	return found
}

// clear removes all marks.
func (g envInjection) clear(t *testing.T) {
	t.Helper()
	for _, f := range g.found(t) {
		testutil.Must(t, os.Remove(filepath.Join(g.marks, f.Name())))
	}
}

// missing returns what an injected variable needs and this machine lacks: the program, or
// the library.
func (g envInjection) missing(p injected) error {
	_, err := os.Stat(p.acts[0])
	if value := g.text(p.value); err == nil && strings.HasPrefix(value, g.evil) {
		_, err = os.Stat(value)
	}
	return err
}

// verifyEach tries each injected variable by itself, as the job's account: the absence of
// a mark that cannot appear would prove nothing.
func (g envInjection) verifyEach(t *testing.T) {
	t.Helper()
	for _, p := range injections {
		if p.acts != nil {
			t.Run(p.name+" acts", func(t *testing.T) { g.verify(t, p) })
		}
	}
	g.clear(t)
}

func (g envInjection) verify(t *testing.T, p injected) {
	if err := g.missing(p); err != nil {
		t.Skipf("a part of it is missing: %v", err)
	}
	g.clear(t)
	cmd := exec.Command(p.acts[0], p.acts[1:]...)
	cmd.Env, cmd.Dir = append(p.more(g), g.text(p.name+"="+p.value), "PATH=/usr/bin:/bin"), "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: g.account.UID, Gid: g.account.GID, Groups: g.account.Groups}}
	if out, err := cmd.CombinedOutput(); len(g.found(t)) == 0 {
		t.Errorf("it leaves no mark in %q: %v: %s", p.acts, err, out)
	}
}
