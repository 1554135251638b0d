package account

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"strings"

	"jacamar-ci/internal/failure"
	"jacamar-ci/internal/job"
	"jacamar-ci/internal/passwd"
)

// LoginsOff reports whether logins are disabled, as before a shutdown. Source:
// nologin(5), pam_nologin(8). A file whose existence cannot be determined counts as
// present.
func (n Names) LoginsOff() bool {
	for _, p := range n.nologin {
		if _, err := os.Lstat(p); !errors.Is(err, fs.ErrNotExist) {
			return true
		}
	}
	return false
}

// shellsLimit bounds /etc/shells in bytes; real ones have a few hundred.
const shellsLimit = 64 << 10

// Shells returns the login shells of shells(5). A missing file is an error: the defaults of
// getusershell(3) would refuse all accounts that have Bash.
func (n Names) Shells() ([]job.AbsPath, error) {
	text, err := readAtMost(n.shells, shellsLimit)
	if err != nil {
		return nil, failure.Privatef("cannot read the list of login shells: %w", err)
	}
	var shells []job.AbsPath
	for line := range strings.Lines(text) {
		line, _, _ = strings.Cut(line, "#")
		// Other lines are ignored, as by getusershell(3).
		if p, err := job.ParseAbsPath(strings.TrimSpace(line)); err == nil {
			shells = append(shells, p)
		}
	}
	return shells, nil
}

func readAtMost(path string, limit int64) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, limit+1))
	switch {
	case err != nil:
		return "", err
	case int64(len(b)) > limit:
		return "", fmt.Errorf("%s is longer than %d bytes", path, limit)
	}
	return string(b), nil
}

// Files are the machine's own files of accounts and groups (passwd(5), group(5)).
// Reading them needs no helper process and no name service, so that the account of
// the helper itself can be looked up here.
type Files struct{ passwd, group string }

// LocalFiles returns the files of this machine.
func LocalFiles() Files { return Files{passwd: "/etc/passwd", group: "/etc/group"} }

// filesLimit bounds each file in bytes: sites that copy a directory into them have
// some ten thousand lines.
const filesLimit = 64 << 20

// ErrNotLocal reports that the machine's own files do not have an account.
var ErrNotLocal = errors.New("there is no such account in /etc/passwd")

// Lookup returns the account with the name, and the groups that it is a member of.
func (f Files) Lookup(name job.Username) (job.Account, error) {
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

// ByUID returns the account with the user id, without its groups.
func (f Files) ByUID(uid job.UID) (job.Account, error) {
	return f.entry(strconv.FormatUint(uint64(uid), 10), 2)
}

// ByPrimaryGroup returns an account with the primary group, without its groups.
func (f Files) ByPrimaryGroup(gid job.GID) (job.Account, error) {
	return f.entry(strconv.FormatUint(uint64(gid), 10), 3)
}

// entry reads the first entry of passwd(5) whose field with this index has the value.
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

// Helper is how jacamar-auth can use auth.helper_account.
type Helper struct {
	Name job.Username
	// UID is meaningful where it is in use: helpers run as it, and with file
	// capabilities the state belongs to it.
	UID   job.UID
	InUse bool
	// Required reports that jobs need it, as with file capabilities.
	Required bool
	// Lost is the error where capabilities are missing that the configuration needs.
	Lost error
	// Problem is why it cannot be used, "" for none, and Fix what to do.
	Problem, Fix string
}
