package account

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"

	"jacamar-ci/internal/failure"
	"jacamar-ci/internal/job"
)

// GroupIDs returns the ids of those of the names that are groups here. A directory
// that answers with another spelling of a name does not know the name.
func (n Names) GroupIDs(ctx context.Context, names []string) (map[string]job.GID, error) {
	entries, err := n.groups(ctx, names)
	if err != nil {
		return nil, err
	}
	asked := map[string]bool{}
	for _, name := range names {
		asked[name] = true
	}
	ids := map[string]job.GID{}
	for _, e := range entries {
		if asked[e.name] {
			ids[e.name] = e.gid
		}
	}
	return ids, nil
}

// MaxNamed is for how many groups GroupNames asks. Active Directory gives an account
// no more than 1024, and each can take the name service as long as the list of its
// members is.
const MaxNamed = 1024

// GroupNames are the names of groups.
type GroupNames struct {
	// Names has one name for each id: of several, the one that the name service
	// gives.
	Names []string
	// Unnamed are the ids without a name, and those whose name is not readable text.
	Unnamed job.GIDs
}

// GroupNames returns the names of at most MaxNamed groups.
func (n Names) GroupNames(ctx context.Context, ids job.GIDs) (GroupNames, error) {
	if len(ids) > MaxNamed {
		return GroupNames{}, failure.Privatef("cannot look up the names of %d groups: they are more than %d", len(ids), MaxNamed)
	}
	keys := make([]string, len(ids))
	for i, gid := range ids {
		keys[i] = strconv.FormatUint(uint64(gid), 10)
	}
	entries, err := n.groups(ctx, keys)
	if err != nil {
		return GroupNames{}, err
	}
	return named(entries, ids)
}

// named assigns entries, which come in the order of the ids, those without an entry
// left out.
func named(entries []group, ids job.GIDs) (g GroupNames, err error) {
	rest := ids
	for _, e := range entries {
		i := slices.Index(rest, e.gid)
		if i < 0 {
			return GroupNames{}, failure.Privatef("cannot look up groups: getent answers with group %d, which was not asked for", e.gid)
		}
		g.Unnamed = append(g.Unnamed, rest[:i]...)
		if e.name == "" || job.Printable(e.name) != e.name {
			g.Unnamed = append(g.Unnamed, e.gid)
		} else {
			g.Names = append(g.Names, e.name)
		}
		rest = rest[i+1:]
	}
	g.Unnamed = append(g.Unnamed, rest...)
	return g, nil
}

// group is an entry of group(5). Its name is what the name service says, in any
// encoding.
type group struct {
	name string
	gid  job.GID
}

// One call of getent is for so many keys, and so many calls run at once: an answer
// has the members of all its groups.
const (
	keysAtOnce  = 256
	callsAtOnce = 4
)

// groups returns the entries of the keys that have one, in their order.
func (n Names) groups(ctx context.Context, keys []string) ([]group, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	chunks := slices.Collect(slices.Chunk(keys, keysAtOnce))
	answers, errs := make([][]group, len(chunks)), make(chan error, len(chunks))
	free := make(chan struct{}, callsAtOnce)
	var calls sync.WaitGroup
	for i, chunk := range chunks {
		calls.Go(func() {
			free <- struct{}{}
			defer func() { <-free }()
			var err error
			if answers[i], err = n.groupEntries(ctx, chunk); err != nil {
				errs <- err
				cancel()
			}
		})
	}
	calls.Wait()
	select {
	case err := <-errs: // the first; the others are only stopped by it
		return nil, err
	default:
		return slices.Concat(answers...), nil
	}
}

func (n Names) groupEntries(ctx context.Context, keys []string) ([]group, error) {
	out, _, err := n.ask(ctx, groupDatabase, keys...)
	if err != nil {
		return nil, failure.Privatef("cannot look up groups: %w", err)
	}
	var entries []group
	for line := range strings.Lines(out) {
		e, err := parseGroup(line)
		if err != nil {
			return nil, failure.Privatef("cannot look up groups: getent group: %w", err)
		}
		entries = append(entries, e)
	}
	return entries, nil
}

// parseGroup reads one entry of group(5). Its list of members means nothing here.
func parseGroup(line string) (group, error) {
	line, ok := strings.CutSuffix(line, "\n")
	f := strings.SplitN(line, ":", 4)
	switch {
	case !ok:
		return group{}, fmt.Errorf("the answer is cut off")
	case len(f) != 4:
		return group{}, fmt.Errorf("the entry has %d fields, not 4", len(f))
	}
	gid, err := job.ParseGID(f[2])
	return group{f[0], gid}, err
}
