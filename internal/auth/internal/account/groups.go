package account

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"jacamar-ci/internal/job"
)

// Groups are an account's groups by name.
type Groups struct {
	// Names are in the order of the ids that were asked for. Of several names for
	// one id this is the one that the name service gives for the id.
	Names []string
	// Unnamed are the ids without a name here.
	Unnamed []job.GID
}

// Groups returns the names of the account's groups.
func (n Names) Groups(ctx context.Context, a job.Account) (Groups, error) {
	keys := make([]string, len(a.Groups))
	for i, gid := range a.Groups {
		keys[i] = strconv.FormatUint(uint64(gid), 10)
	}
	if len(keys) == 0 {
		return Groups{}, nil
	}
	out, _, err := n.ask(ctx, "group", keys...)
	if err != nil {
		return Groups{}, cannot(a.Name, err)
	}
	g, err := parseGroups(out, a.Groups)
	if err != nil {
		return Groups{}, cannot(a.Name, fmt.Errorf("getent group: %w", err))
	}
	return g, nil
}

// parseGroups reads entries of group(5), which come in the order of the keys,
// those without an entry left out.
func parseGroups(out string, asked []job.GID) (Groups, error) {
	var g Groups
	rest := asked
	for line := range strings.Lines(out) {
		name, gid, err := parseGroup(line)
		if err != nil {
			return Groups{}, err
		}
		i := slices.Index(rest, gid)
		if i < 0 {
			return Groups{}, fmt.Errorf("the answer has group %d, which was not asked for", gid)
		}
		g.Names = append(g.Names, name)
		g.Unnamed = append(g.Unnamed, rest[:i]...)
		rest = rest[i+1:]
	}
	g.Unnamed = append(g.Unnamed, rest...)
	return g, nil
}

// parseGroup reads one entry of group(5). Its list of members means nothing here.
func parseGroup(line string) (name string, gid job.GID, err error) {
	line, ok := strings.CutSuffix(line, "\n")
	f := strings.SplitN(line, ":", 4)
	switch {
	case !ok:
		return "", 0, fmt.Errorf("the answer is cut off")
	case len(f) != 4:
		return "", 0, fmt.Errorf("the entry has %d fields, not 4", len(f))
	case f[0] == "" || job.Printable(f[0]) != f[0]:
		return "", 0, fmt.Errorf("%q is not the name of a group", job.Clip(f[0]))
	}
	gid, err = job.ParseGID(f[2])
	return f[0], gid, err
}
