package account

import (
	"fmt"
	"strings"

	"jacamar-ci/internal/job"
	"jacamar-ci/internal/passwd"
)

// parseInitgroups reads "name  gid gid …", the form of getent's initgroups_keys:
// the name padded to 21 columns and a space before each id.
func parseInitgroups(out string, name job.Username) ([]job.GID, error) {
	line, err := passwd.Line(out)
	if err != nil {
		return nil, err
	}
	list, ok := strings.CutPrefix(line, name.String())
	if !ok || (list != "" && list[0] != ' ') {
		return nil, fmt.Errorf("the answer is about another name")
	}
	var gids []job.GID
	for _, word := range strings.FieldsFunc(list, func(r rune) bool { return r == ' ' }) {
		gid, err := job.ParseGID(word)
		if err != nil {
			return nil, fmt.Errorf("group id: %w", err)
		}
		gids = append(gids, gid)
	}
	return gids, nil
}
