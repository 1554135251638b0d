// Package dropcheck verifies what jacamar-auth did: before anything of the job
// is touched, it verifies that it has become exactly the account of the request
// and cannot become another account again.
package dropcheck

import (
	"fmt"
	"slices"

	"golang.org/x/sys/unix"

	"jacamar-ci/internal/capability"
	"jacamar-ci/internal/inherit"
	"jacamar-ci/internal/job"
)

// Verify refuses on any surprise. changed is false when the account was to be
// kept as it was; then of the ids only the user's is compared.
func Verify(a job.Account, changed bool, s inherit.Start) error {
	if err := verifyUser(a); err != nil {
		return err
	}
	if changed {
		for _, verify := range []func(job.Account) error{verifyGroup, verifyGroups, verifyNoWayBack} {
			if err := verify(a); err != nil {
				return err
			}
		}
	}
	return inherit.Verify(s, a.UID)
}

func verifyUser(a job.Account) error {
	r, e, s := unix.Getresuid()
	return same("user", []int{r, e, s}, int(a.UID))
}

func verifyGroup(a job.Account) error {
	r, e, s := unix.Getresgid()
	return same("group", []int{r, e, s}, int(a.GID))
}

func same(what string, ids []int, want int) error {
	for _, id := range ids {
		if id != want {
			return fmt.Errorf("the change of account failed: %s ids are %v, not %d", what, ids, want)
		}
	}
	return nil
}

// verifyGroups compares as sets: the kernel sorts the list, and the primary
// group may or may not be in it.
func verifyGroups(a job.Account) error {
	have, err := unix.Getgroups()
	if err != nil {
		return fmt.Errorf("cannot read the groups of this process: %w", err)
	}
	want := []int{int(a.GID)}
	for _, g := range a.Groups {
		want = append(want, int(g))
	}
	if have = distinct(append(have, int(a.GID))); !slices.Equal(have, distinct(want)) {
		return fmt.Errorf("the change of account failed: groups are %v, not %v", have, distinct(want))
	}
	return nil
}

func distinct(ids []int) []int {
	slices.Sort(ids)
	return slices.Compact(ids)
}

// regains tries to set all three ids to root's, on this thread alone: one that
// may is proof enough, and to have every thread try means to stop them all.
func regains(setres uintptr) bool {
	_, _, errno := unix.RawSyscall(setres, 0, 0, 0)
	return errno == 0
}

// verifyNoWayBack tries to become root again, and looks for capabilities that
// would allow it later.
func verifyNoWayBack(job.Account) error {
	if regains(unix.SYS_SETRESUID) || regains(unix.SYS_SETRESGID) {
		return fmt.Errorf("the change of account failed: root ids can be regained")
	}
	data, err := capability.ThreadSets()
	if err != nil {
		return fmt.Errorf("cannot read the capabilities of this process: %w", err)
	}
	for _, d := range data {
		if held := d.Effective | d.Permitted | d.Inheritable; held != 0 {
			return fmt.Errorf("the change of account failed: capabilities %#x are left", held)
		}
	}
	return nil
}
