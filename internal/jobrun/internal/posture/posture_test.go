package posture

import (
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"jacamar-ci/internal/job"
)

// own is the account that this process runs as, by its ids.
func own(t *testing.T) job.Account {
	t.Helper()
	groups, err := unix.Getgroups()
	if err != nil {
		t.Fatal(err)
	}
	a := job.Account{UID: job.UID(os.Getuid()), GID: job.GID(os.Getgid())}
	for _, g := range groups {
		a.Groups = append(a.Groups, job.GID(g))
	}
	return a
}

func TestVerifyComparesEveryID(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*job.Account)
		want   string
	}{
		{"another user", func(a *job.Account) { a.UID++ }, "user ids are"},
		{"another group", func(a *job.Account) { a.GID++ }, "group ids are"},
		{"a group too many", func(a *job.Account) { a.Groups = append(a.Groups, 4294967294) }, "groups are"},
		{"two groups in place of what there is", func(a *job.Account) { a.Groups = []job.GID{4294967293, 4294967294} }, "groups are"},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := own(t)
			c.change(&a)
			if err := Verify(a, true); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}

func TestVerifyOfAKeptAccountLooksAtTheUserAlone(t *testing.T) {
	a := own(t)
	a.GID, a.Groups = a.GID+1, nil
	if err := Verify(a, false); err != nil {
		t.Error(err)
	}
	a.UID++
	if err := Verify(a, false); err == nil {
		t.Error("another user was accepted")
	}
}

// TestVerifyTriesTheWayBack: for root the ids are to be had, and for an ordinary
// user they are not.
func TestVerifyTriesTheWayBack(t *testing.T) {
	err := Verify(own(t), true)
	switch root := os.Getuid() == 0; {
	case root && (err == nil || !strings.Contains(err.Error(), "root's ids can be had back")):
		t.Errorf("as root: %v", err)
	case !root && err != nil:
		t.Error(err)
	}
}
