package site

import (
	"errors"
	"os"
	"testing"
)

// Deployment is one way to set the programs up.
type Deployment struct {
	Name string
	// Root reports that only root can set it up; otherwise any user can.
	Root bool
	// Changes reports that the job runs as another account than the runner.
	Changes bool
	serve   func(*Site, testing.TB) error
}

// Deployments lists all of them.
func Deployments() []Deployment {
	return []Deployment{
		{"root", true, true, func(*Site, testing.TB) error { return nil }},
		{"capabilities", true, true, func(s *Site, _ testing.TB) error { return s.ServeAs(s.Accounts.Runner) }},
		{"sudo", true, true, func(s *Site, t testing.TB) error { return s.ServeBySudo(t) }},
		{"user", false, false, func(s *Site, _ testing.TB) error { return s.ServeUnchanged() }},
		{"no-auth", false, false, func(s *Site, _ testing.TB) error { return s.ServeWithoutAuth() }},
	}
}

// Shared is one more: all jobs run as the account of the runner, which no user has for
// themselves. It differs from "user" only in names.
func Shared() Deployment {
	return Deployment{"none", true, false, func(s *Site, _ testing.TB) (err error) {
		if s.Account, err = LookupAccount(s.Accounts.Bob); err != nil {
			return err
		}
		return s.ServeUnchanged()
	}}
}

// Open sets up a site for one test, which skips where this process cannot.
func (d Deployment) Open(t testing.TB, change ...func(Config)) *Site {
	t.Helper()
	if d.Root && os.Geteuid() != 0 {
		t.Skipf("only root can set up the deployment %q", d.Name)
	}
	s := New(t, change...)
	if err := d.serve(s, t); err != nil {
		t.Fatal(err)
	}
	if err := s.Reconfigure(change...); err != nil {
		t.Fatal(err)
	}
	return s
}

// ServeUnchanged makes the runner an ordinary account, as which its jobs run too.
func (s *Site) ServeUnchanged() error {
	s.strategy = "none"
	if os.Geteuid() != 0 {
		return nil
	}
	return s.serveAs(s.Account)
}

// ServeWithoutAuth does that without the program that authorizes jobs.
func (s *Site) ServeWithoutAuth() error {
	s.Auth, s.flags = s.Jacamar, []string{"--no-auth"}
	return s.ServeUnchanged()
}

// serveAs makes an account the runner's.
func (s *Site) serveAs(account Account) error {
	s.service = &account
	owner := account
	if s.stateOwner != nil {
		owner = *s.stateOwner
	}
	return errors.Join(os.Chown(s.StateDir, int(owner.UID), int(owner.GID)), os.Chown(s.temp(), int(account.UID), int(account.GID)))
}

// StateOwner is the account that owns the state, nil when it is the runner's own.
func (s *Site) StateOwner() *Account { return s.stateOwner }

// Service is the runner's own account, nil when it is this process's.
func (s *Site) Service() *Account { return s.service }
