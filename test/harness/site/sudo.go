package site

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"jacamar-ci/test/harness/setup/debian"
)

// sudoers is the directory of rules that packages and sites add.
const sudoers = "/etc/sudoers.d"

// ServeBySudo makes the runner an ordinary service account which a sudo rule lets
// run jacamar, and nothing else, as the test users. More lines of sudoers(5)
// can be added; RUNNER in them is the account. The rule is removed when the test ends.
func (s *Site) ServeBySudo(t testing.TB, lines ...string) error {
	debian.Need(t, map[string]string{"/usr/bin/sudo": "sudo"})
	account, err := LookupAccount(s.Accounts.Runner)
	if err != nil {
		return err
	}
	rule := fmt.Sprintf("RUNNER ALL=(%s) NOPASSWD: %s config, %[2]s prepare, %[2]s run, %[2]s cleanup",
		strings.Join(s.Accounts.people(maxPeople), ","), s.Jacamar)
	text := strings.ReplaceAll(strings.Join(append(lines, rule), "\n")+"\n", "RUNNER", account.Name)
	file := ruleOf(account)
	t.Cleanup(func() { os.Remove(file) })
	s.strategy = "sudo"
	return errors.Join(s.addRule(file, text), s.serveAs(account))
}

func ruleOf(runner Account) string { return filepath.Join(sudoers, "jacamar-test-"+runner.Name) }

// WithdrawSudo removes the rule of ServeBySudo until restore is called: sudo does not read a
// name with a dot.
func (s *Site) WithdrawSudo() (restore func() error, err error) {
	account, err := LookupAccount(s.Accounts.Runner)
	if err != nil {
		return nil, err
	}
	file := ruleOf(account)
	return func() error { return os.Rename(file+".withdrawn", file) }, os.Rename(file, file+".withdrawn")
}

// addRule never leaves a file there that visudo has not checked: a wrong one would
// disable sudo for all.
func (s *Site) addRule(file, text string) error {
	draft := filepath.Join(s.Dir, "sudoers")
	if err := os.WriteFile(draft, []byte(text), 0o440); err != nil {
		return err
	}
	if out, err := exec.Command("/usr/sbin/visudo", "-cf", draft).CombinedOutput(); err != nil {
		return fmt.Errorf("visudo refuses the rule: %w: %s\n%s", err, out, text)
	}
	// Renamed into place, below a name with a dot that sudo does not read.
	next := file + ".new"
	if err := os.WriteFile(next, []byte(text), 0o440); err != nil {
		return err
	}
	return os.Rename(next, file)
}
