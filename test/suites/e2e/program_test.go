package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"jacamar-ci/test/harness/fakerunner"
	"jacamar-ci/test/harness/site"
	"jacamar-ci/test/harness/testutil"
)

// TestJacamarPathIsVerified (A16): a jacamar that another account could have replaced,
// which would run as every user, is started in no deployment.
func TestJacamarPathIsVerified(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can give a program to another account")
	}
	for name, tc := range map[string]struct {
		setup func(t *testing.T, dir, program string, bob site.Account) // dir is root's, and has the program
		why   string
	}{
		"as it should be":         {func(*testing.T, string, string, site.Account) {}, ""},
		"writable by all":         {func(t *testing.T, _, p string, _ site.Account) { testutil.Must(t, os.Chmod(p, 0o777)) }, "it is writable by group and others (mode 0777)"},
		"writable by its group":   {func(t *testing.T, _, p string, _ site.Account) { testutil.Must(t, os.Chmod(p, 0o775)) }, "it is writable by group (mode 0775)"},
		"another's":               {func(t *testing.T, _, p string, b site.Account) { testutil.Must(t, os.Chown(p, int(b.UID), -1)) }, "it is owned by uid "},
		"in a directory for all":  {func(t *testing.T, d, _ string, _ site.Account) { testutil.Must(t, os.Chmod(d, 0o777)) }, "is writable by group and others (mode 0777)"},
		"in a sticky directory":   {func(t *testing.T, d, _ string, _ site.Account) { testutil.Must(t, os.Chmod(d, 0o777|os.ModeSticky)) }, "is writable by group and others (mode 1777)"},
		"in another's directory":  {func(t *testing.T, d, _ string, b site.Account) { testutil.Must(t, os.Chown(d, int(b.UID), -1)) }, "is owned by uid "},
		"behind root's link":      {func(t *testing.T, d, p string, _ site.Account) { relink(t, d, p, 0o755, 0) }, ""},
		"behind a link of others": {func(t *testing.T, d, p string, b site.Account) { relink(t, d, p, 0o755, int(b.UID)) }, "is owned by uid "},
		"where a link leads":      {func(t *testing.T, d, p string, _ site.Account) { relink(t, d, p, 0o777, 0) }, "is writable by group and others (mode 0777)"},
		"missing":                 {func(t *testing.T, _, p string, _ site.Account) { testutil.Must(t, os.Remove(p)) }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			for _, d := range site.Deployments() {
				t.Run(d.Name, func(t *testing.T) {
					s := d.Open(t)
					bob, err := site.LookupAccount(s.Accounts.Bob)
					testutil.Must(t, err)
					dir := filepath.Join(s.Dir, "programs")
					program, marker := filepath.Join(dir, "jacamar"), filepath.Join(s.Dir, "tmp", "marker")
					// The program would leave a mark as any account.
					testutil.Must(t, os.Mkdir(dir, 0o755))
					testutil.Must(t, os.Chmod(filepath.Dir(marker), 0o777))
					testutil.Must(t, os.WriteFile(program, []byte("#!/bin/sh\n: >"+marker+"\n"), 0o755))
					tc.setup(t, dir, program, bob)
					testutil.Must(t, s.Reconfigure(func(c site.Config) { c.Set("auth", "jacamar_path", program) }))
					r := s.Runner()
					if d.Name != "no-auth" {
						r = unobfuscated(s)
					}
					r.Judge = nil // the program here is no jacamar
					res := r.Run(s.Job("true"))
					site.Want(t, res, fakerunner.SystemFailure, 0)
					_, err = os.Stat(marker)
					// sudo's rule is for another path.
					if runs := tc.why == "" && name != "missing" && d.Name != "sudo"; (err == nil) != runs {
						t.Errorf("it ran: %v", err == nil)
					}
					if (tc.why != "" || name == "missing") && !strings.Contains(all(res), "cannot run jobs: ") || !strings.Contains(all(res), tc.why) {
						t.Errorf("no %q in\n%s", tc.why, all(res))
					}
				})
			}
		})
	}
}

// relink makes the program a link to one in a directory of that mode; the link belongs
// to uid.
func relink(t *testing.T, dir, program string, mode os.FileMode, uid int) {
	t.Helper()
	elsewhere := filepath.Join(dir, "elsewhere")
	testutil.Must(t, os.Mkdir(elsewhere, 0o755))
	testutil.Must(t, os.Chmod(elsewhere, mode))
	testutil.Must(t, os.Rename(program, filepath.Join(elsewhere, "jacamar")))
	testutil.Must(t, os.Symlink(filepath.Join(elsewhere, "jacamar"), program))
	testutil.Must(t, os.Lchown(program, uid, -1))
}
