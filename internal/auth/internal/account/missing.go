package account

import (
	"context"
	"strings"
)

// Missing returns those of the names that the name services do not know, in their
// order. The database is passwd or group.
func (n Names) Missing(ctx context.Context, database string, names []string) ([]string, error) {
	if len(names) == 0 {
		return nil, nil
	}
	out, _, err := n.ask(ctx, database, names...)
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
