package account

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"jacamar-ci/internal/failure"
	"jacamar-ci/internal/job"
	"jacamar-ci/internal/passwd"
)

// Files are the machine's own files of accounts and groups (passwd(5), group(5)).
// What is read there needs no helper and no name service: it is known before it is
// known whom to ask as.
type Files struct{ passwd, group string }

// Local returns the machine's.
func Local() Files { return Files{passwd: "/etc/passwd", group: "/etc/group"} }

// filesLimit bounds each of them in bytes: sites that copy a directory into them
// have some ten thousand lines.
const filesLimit = 64 << 20

// ErrNotLocal says that the machine's own files do not have an account.
var ErrNotLocal = errors.New("there is no such account in /etc/passwd")

// Named returns the account of that name, with the groups whose member it is.
func (f Files) Named(name job.Username) (job.Account, error) {
	a, err := f.entry(name.String(), 0)
	if err != nil {
		return job.Account{}, err
	}
	groups, err := f.groupsOf(name)
	if err != nil {
		return job.Account{}, err
	}
	a.Groups, err = job.SortGIDs(append(groups, a.GID)...)
	return a, err
}

// Owner returns the account that has the user id, without its groups.
func (f Files) Owner(uid job.UID) (job.Account, error) {
	return f.entry(strconv.FormatUint(uint64(uid), 10), 2)
}

// Primary returns an account that has the primary group, without its groups.
func (f Files) Primary(gid job.GID) (job.Account, error) {
	return f.entry(strconv.FormatUint(uint64(gid), 10), 3)
}

// entry reads the first entry of passwd(5) whose field of that number is the value.
func (f Files) entry(value string, field int) (job.Account, error) {
	text, err := readAtMost(f.passwd, filesLimit)
	if err != nil {
		return job.Account{}, failure.Privatef("cannot read accounts: %w", err)
	}
	for line := range strings.Lines(text) {
		if parts := strings.SplitN(line, ":", 5); len(parts) < 5 || parts[field] != value {
			continue
		}
		a, err := passwd.Parse(strings.TrimSuffix(line, "\n") + "\n")
		if err != nil {
			return job.Account{}, failure.Privatef("cannot read accounts: %s: %w", f.passwd, err)
		}
		return a, nil
	}
	return job.Account{}, ErrNotLocal
}

func (f Files) groupsOf(name job.Username) (all []job.GID, err error) {
	text, err := readAtMost(f.group, filesLimit)
	if err != nil {
		return nil, failure.Privatef("cannot read groups: %w", err)
	}
	for line := range strings.Lines(text) {
		parts := strings.Split(strings.TrimSuffix(line, "\n"), ":")
		if len(parts) != 4 || !slices.Contains(strings.Split(parts[3], ","), name.String()) {
			continue
		}
		gid, err := job.ParseGID(parts[2])
		if err != nil {
			return nil, failure.Privatef("cannot read groups: %s: %w", f.group, fmt.Errorf("group %q: %w", job.Clip(parts[0]), err))
		}
		all = append(all, gid)
	}
	return all, nil
}
