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
)

// Names answers from the name services of the machine.
type Names struct {
	getent []string // where getent may be; the first that exists is asked
	// limit is how long an answer about an account may take, groupLimit one about
	// groups.
	limit, groupLimit time.Duration
	nologin           []string
	shells            string
	as                *thread.IDs
}

// System returns the machine's own name services. getent runs with the given ids,
// nil for this process's own.
func System(as *thread.IDs) Names {
	return Names{
		as:         as,
		getent:     []string{"/usr/bin/getent", "/bin/getent"},
		limit:      10 * time.Second,
		groupLimit: time.Minute, // a directory looks up every member of a group
		nologin:    []string{"/etc/nologin", "/run/nologin"},
		shells:     "/etc/shells",
	}
}

// groupDatabase is the one whose entries have members.
const groupDatabase = "group"

// maxAnswer bounds an answer in bytes: 65536 groups with ten digits each, or the
// member lists of a large site's groups.
const maxAnswer = 16 << 20

// notFound is getent's exit status when a key has no entry. Source: getent(1).
const notFound = 2

// ask runs one query and returns getent's output. found is false when at least
// one of the keys has no entry; for database shadow also when this process may
// not read it.
func (n Names) ask(ctx context.Context, database string, keys ...string) (out string, found bool, err error) {
	program, err := n.program()
	if err != nil {
		return "", false, err
	}
	limit := n.limit
	if database == groupDatabase {
		limit = n.groupLimit
	}
	r, err := subprocess.Command{
		Path: program, Args: append([]string{database, "--"}, keys...),
		Env: []string{"PATH=/usr/bin:/bin", "LC_ALL=C"}, As: n.idsFor(database), NoNewPrivs: true,
		Limit: limit, MaxOutput: maxAnswer, MaxErrors: 4 << 10,
	}.Run(ctx)
	switch {
	case err != nil:
		return "", false, fmt.Errorf("getent %s: %w", database, err)
	case r.Signal != 0:
		return "", false, fmt.Errorf("getent %s: ended by signal %d", database, int(r.Signal))
	case r.Code != 0 && r.Code != notFound:
		return "", false, fmt.Errorf("getent %s: exit status %d: %s", database, r.Code, firstLine(r.Stderr))
	}
	return string(r.Stdout), r.Code == 0, nil
}

// idsFor keeps root's own rights for shadow(5), which is root's to read.
func (n Names) idsFor(database string) *thread.IDs {
	if database == "shadow" && os.Geteuid() == 0 {
		return nil
	}
	return n.as
}

func (n Names) program() (string, error) {
	for _, p := range n.getent {
		if _, err := os.Stat(p); !errors.Is(err, fs.ErrNotExist) {
			return p, nil
		}
	}
	return "", fmt.Errorf("there is no getent at %s", strings.Join(n.getent, " or "))
}

func firstLine(b []byte) string {
	line, _, _ := strings.Cut(string(b), "\n")
	return job.Printable(job.Clip(line))
}

// cannot is the class of every failure to get an answer: the job could be run
// later, but not as a guess.
func cannot(name job.Username, err error) error {
	return failure.Privatef("cannot look up the account %s: %w", name, err)
}
