// Package accountmap reads the file that says which local account a user of
// GitLab has.
//
// A line is the user's number at GitLab, white space, and the account's name:
//
//	# number  account
//	1042      alice
//	1043      bob       # since March
//
// Empty lines and what follows a "#" mean nothing. A user stands in the file
// once; an account may stand in it for several users. The number is the user's
// permanently, so the map is safe where users can rename themselves.
//
// One line that cannot be read makes the whole file useless: the account that it
// was to give may be the reason why another line was written.
package accountmap

import (
	"fmt"
	"strings"

	"github.com/hashicorp/go-multierror"

	"jacamar-ci/internal/job"
)

// MaxSize is the longest file in bytes: some hundred thousand users.
const MaxSize = 8 << 20

// maxFaults bounds how many faults are told: a file of another kind has a fault
// in every line.
const maxFaults = 20

// Parse reads the text of a map. Its error names every fault with its line.
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
	words := strings.Fields(line)
	if len(words) == 0 {
		return 0, job.Username{}, nil
	}
	if len(words) != 2 {
		return 0, job.Username{}, fmt.Errorf("it has %d words, not a number and an account", len(words))
	}
	id, err := job.ParseID(words[0])
	if err != nil {
		return 0, job.Username{}, err
	}
	account, err := job.ParseUsername(words[1])
	return id, account, err
}

func listed(errs []error) string {
	lines := make([]string, len(errs))
	for i, err := range errs {
		lines[i] = err.Error()
	}
	return strings.Join(lines, "; ")
}
