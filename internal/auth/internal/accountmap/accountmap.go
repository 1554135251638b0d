// Package accountmap reads the file that maps GitLab users to local accounts.
//
// A line has the user's number at GitLab, white space, and the account's name:
//
//	# number  account
//	1042      alice
//	1043      bob       # since March
//
// Empty lines and text after a "#" are ignored. Each user has at most one line;
// several users may have the same account. The number of a user never changes, so
// the map is safe if users can rename themselves.
//
// One malformed line makes the whole file invalid: other lines may depend on it.
package accountmap

import (
	"fmt"
	"strings"

	"github.com/hashicorp/go-multierror"

	"jacamar-ci/internal/job"
)

// MaxSize is the longest file in bytes: some hundred thousand users.
const MaxSize = 8 << 20

// maxFaults bounds how many faults the error lists: a file of another kind has one in
// every line.
const maxFaults = 20

// Parse reads the text of a map. Its error lists the faults with their lines.
func Parse(text []byte) (map[job.ID]job.Username, error) {
	users := map[job.ID]job.Username{}
	faults := &multierror.Error{ErrorFormat: listed}
	number := 0
	for line := range strings.Lines(string(text)) {
		number++
		id, account, err := parseLine(line)
		if err == nil && users[id] != (job.Username{}) {
			err = fmt.Errorf("user %s has an account already", id)
		}
		switch {
		case err != nil:
			faults = multierror.Append(faults, fmt.Errorf("line %d: %w", number, err))
		case id != 0:
			users[id] = account
		}
		if faults.Len() == maxFaults {
			break
		}
	}
	if err := faults.ErrorOrNil(); err != nil {
		return nil, err
	}
	return users, nil
}

// parseLine returns the id 0 for a line without an entry.
func parseLine(line string) (job.ID, job.Username, error) {
	line, _, _ = strings.Cut(line, "#")
	fields := strings.Fields(line)
	if len(fields) == 0 {
		return 0, job.Username{}, nil
	}
	if len(fields) != 2 {
		return 0, job.Username{}, fmt.Errorf("%d fields, want two: a user number and an account", len(fields))
	}
	id, err := job.ParseID(fields[0])
	if err != nil {
		return 0, job.Username{}, err
	}
	account, err := job.ParseUsername(fields[1])
	return id, account, err
}

func listed(errs []error) string {
	lines := make([]string, len(errs))
	for i, err := range errs {
		lines[i] = err.Error()
	}
	return strings.Join(lines, "; ")
}
