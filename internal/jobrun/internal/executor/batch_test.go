package executor

import (
	"slices"
	"testing"

	"jacamar-ci/internal/executors"
)

// TestTableAndSchedulers: every batch system of the table has its package, and the
// programs that the table names are those that the package calls.
func TestTableAndSchedulers(t *testing.T) {
	rows := executors.All()
	if len(schedulers) != len(rows)-1 {
		t.Errorf("%d schedulers for %d rows without the shell", len(schedulers), len(rows)-1)
	}
	for _, row := range rows {
		s := schedulers[row.Name]
		if s == nil {
			if row.Name != executors.Shell {
				t.Errorf("%s has no scheduler", row.Name)
			}
			continue
		}
		for _, accounting := range []bool{false, true} {
			want := row.Programs
			if accounting {
				want = slices.Concat(want, row.Accounting)
			}
			got := programs(s, accounting)
			slices.Sort(got)
			if want = slices.Sorted(slices.Values(want)); !slices.Equal(got, want) {
				t.Errorf("%s (accounting %v) calls %q, and the table has %q", row.Name, accounting, got, want)
			}
		}
	}
}
