package account

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"

	"jacamar-ci/internal/crash"
	"jacamar-ci/internal/failure"
	"jacamar-ci/internal/job"
)

// GroupIDs returns the ids of those names that are groups here. An entry with another
// spelling of a name does not count.
func (n Names) GroupIDs(ctx context.Context, names []string) (map[string]job.GID, error) {
	entries, err := n.groups(ctx, names)
	if err != nil {
		return nil, err
	}
	requested := map[string]bool{}
	for _, name := range names {
		requested[name] = true
	}
	ids := map[string]job.GID{}
	for _, e := range entries {
		if requested[e.name] {
			ids[e.name] = e.gid
		}
	}
	return ids, nil
}

// MaxGroupNames is the maximum number of groups for GroupNames. Active Directory gives
// an account at most 1024, and the time for each grows with the list of its members.
const MaxGroupNames = 1024

// GroupNames are the names of groups.
type GroupNames struct {
	// Names has one name for each id: of several, the one that the name service
	// returns.
	Names []string
	// Unnamed are the ids without a name or with an unprintable one.
	Unnamed job.GIDs
}

// GroupNames returns the names of at most MaxGroupNames groups.
func (n Names) GroupNames(ctx context.Context, ids job.GIDs) (GroupNames, error) {
	if len(ids) > MaxGroupNames {
		return GroupNames{}, failure.Privatef("cannot look up the names of %d groups: more than %d", len(ids), MaxGroupNames)
	}
	keys := make([]string, len(ids))
	for i, gid := range ids {
		keys[i] = strconv.FormatUint(uint64(gid), 10)
	}
	entries, err := n.groups(ctx, keys)
	if err != nil {
		return GroupNames{}, err
	}
	return matchNames(entries, ids)
}

// matchNames assigns the entries, which are in the order of the ids, to the ids.
func matchNames(entries []group, ids job.GIDs) (g GroupNames, err error) {
	rest := ids
	for _, e := range entries {
		i := slices.Index(rest, e.gid)
		if i < 0 {
			return GroupNames{}, failure.Privatef("cannot look up groups: getent returned group %d, which was not requested", e.gid)
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

// group is an entry of group(5). Its name can have any encoding.
type group struct {
	name string
	gid  job.GID
}

// One call of getent gets keysPerCall keys, and parallelCalls calls run in parallel:
// the output of each has the members of all its groups.
const (
	keysPerCall   = 256
	parallelCalls = 4
)

// groups returns the entries of the keys that have one, in their order.
func (n Names) groups(ctx context.Context, keys []string) ([]group, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	chunks := slices.Collect(slices.Chunk(keys, keysPerCall))
	results, errs := make([][]group, len(chunks)), make(chan error, len(chunks))
	free := make(chan struct{}, parallelCalls)
	var calls sync.WaitGroup
	for i, chunk := range chunks {
		calls.Go(func() {
			free <- struct{}{}
			defer func() { <-free }()
			err := crash.Recovered(func() (err error) { results[i], err = n.groupEntries(ctx, chunk); return err })
			if err != nil {
				errs <- err
				cancel()
			}
		})
	}
	calls.Wait()
	select {
	case err := <-errs: // the first error; it cancels the other calls
		return nil, err
	default:
		return slices.Concat(results...), nil
	}
}

func (n Names) groupEntries(ctx context.Context, keys []string) ([]group, error) {
	out, _, err := n.query(ctx, groupDatabase, keys...)
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

// parseGroup reads one entry of group(5) without its members.
func parseGroup(line string) (group, error) {
	line, ok := strings.CutSuffix(line, "\n")
	f := strings.SplitN(line, ":", 4)
	switch {
	case !ok:
		return group{}, fmt.Errorf("the output is cut off")
	case len(f) != 4:
		return group{}, fmt.Errorf("the entry has %d fields, not 4", len(f))
	}
	gid, err := job.ParseGID(f[2])
	return group{f[0], gid}, err
}

// Missing returns those of the names that the name services do not have, in the given
// order. The database is passwd or group.
func (n Names) Missing(ctx context.Context, database string, names []string) ([]string, error) {
	if len(names) == 0 {
		return nil, nil
	}
	out, _, err := n.query(ctx, database, names...)
	if err != nil {
		return nil, err
	}
	found := map[string]bool{}
	for line := range strings.Lines(out) {
		name, _, _ := strings.Cut(line, ":")
		found[name] = true
	}
	var missing []string
	for _, name := range names {
		if !found[name] {
			missing = append(missing, name)
		}
	}
	return missing, nil
}
