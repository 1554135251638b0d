package account

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"time"

	"jacamar-ci/internal/auth/internal/subprocess"
	"jacamar-ci/internal/auth/internal/thread"
	"jacamar-ci/internal/failure"
	"jacamar-ci/internal/job"
	"jacamar-ci/internal/passwd"
)

// Names queries the name services of the machine.
type Names struct {
	getent []string // paths of getent; the first that exists is used
	// limit is the timeout of a query for an account, groupLimit of one for groups
	// and for the groups of an account.
	limit, groupLimit time.Duration
	nologin           []string
	shells            string
	runAs, shadowAs   *thread.IDs
}

// System returns the name services of this machine. getent runs with the ids runAs, for
// shadow(5) with the ids shadowAs; nil are those of this process.
func System(runAs, shadowAs *thread.IDs) Names {
	return Names{
		runAs: runAs, shadowAs: shadowAs,
		getent:     []string{"/usr/bin/getent", "/bin/getent"},
		limit:      10 * time.Second,
		groupLimit: time.Minute,
		nologin:    []string{"/etc/nologin", "/run/nologin"},
		shells:     "/etc/shells",
	}
}

// The databases of groups: by account, and with the members of each group.
const (
	initgroupsDatabase = "initgroups"
	groupDatabase      = "group"
)

// maxOutput bounds the output of getent in bytes: 65536 groups with ten digits each,
// or the member lists of a large site's groups.
const maxOutput = 16 << 20

// notFound is getent's exit status if a key has no entry. Source: getent(1).
const notFound = 2

// query runs getent and returns its output. found is false if at least one of the keys
// has no entry; for the database shadow also if this process may not read it.
func (n Names) query(ctx context.Context, database string, keys ...string) (out string, found bool, err error) {
	program, err := n.program()
	if err != nil {
		return "", false, err
	}
	r, err := subprocess.Command{
		Path: program, Args: append([]string{database, "--"}, keys...),
		Env: []string{"PATH=/usr/bin:/bin", "LC_ALL=C"}, As: n.idsFor(database), NoNewPrivs: true,
		Limit: n.limitOf(database), MaxOutput: maxOutput, MaxErrors: 4 << 10,
	}.Run(ctx)
	switch {
	case err != nil:
		return "", false, fmt.Errorf("getent %s: %w", database, err)
	case r.Code != 0 && r.Code != notFound:
		return "", false, fmt.Errorf("getent %s: exit status %d: %s", database, r.Code, firstLine(r.Stderr))
	}
	return string(r.Stdout), r.Code == 0, nil
}

// limitOf is the timeout of a query: a name service may search or list every group.
func (n Names) limitOf(database string) time.Duration {
	if database == groupDatabase || database == initgroupsDatabase {
		return n.groupLimit
	}
	return n.limit
}

func (n Names) idsFor(database string) *thread.IDs {
	if database == "shadow" {
		return n.shadowAs
	}
	return n.runAs
}

func (n Names) program() (string, error) {
	for _, p := range n.getent {
		if _, err := os.Stat(p); !errors.Is(err, fs.ErrNotExist) {
			return p, nil
		}
	}
	return "", fmt.Errorf("cannot find getent at %s", strings.Join(n.getent, " or "))
}

func firstLine(b []byte) string {
	line, _, _ := strings.Cut(string(b), "\n")
	return job.Printable(job.Clip(line))
}

// lookupError is the class of every failed query: a retry of the job may succeed.
func lookupError(name job.Username, err error) error {
	return failure.Privatef("cannot look up the account %s: %w", name, err)
}

// parseInitgroups reads "name  gid gid …", the output of getent initgroups: the name
// padded to 21 columns and a space before each id.
func parseInitgroups(out string, name job.Username) ([]job.GID, error) {
	line, err := passwd.Line(out)
	if err != nil {
		return nil, err
	}
	list, ok := strings.CutPrefix(line, name.String())
	if !ok || (list != "" && list[0] != ' ') {
		return nil, fmt.Errorf("the entry has another name")
	}
	var gids []job.GID
	for _, field := range strings.FieldsFunc(list, func(r rune) bool { return r == ' ' }) {
		gid, err := job.ParseGID(field)
		if err != nil {
			return nil, fmt.Errorf("group id: %w", err)
		}
		gids = append(gids, gid)
	}
	return gids, nil
}
