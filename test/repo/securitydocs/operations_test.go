package securitydocs

import (
	"strings"
	"testing"
)

// TestEveryOperationalRequirementHasItsTests: each row of docs/developing/operations.md
// names tests that exist and that name the row.
func TestEveryOperationalRequirementHasItsTests(t *testing.T) {
	rows := read(t, "../developing/operations.md")
	for _, name := range []string{
		"RQ/RUNNING", "RQ/ALLJOBS", "RQ/SPECS", "RT/KILL", "RT/QSTOP", "RR/TIMEOUT", "RR/MULTI", "MON/STATIC", "MON/DU", "RUNBOAT/MAX-DEPLOYED",
		"RUNBOAT/IDEMPOTENT", "LORRY/REMOVE-GHOST-JOBS", "LORRY/REMOVE-JOB", "HEPTAPOD/STATE", "HEPTAPOD/GRACEFUL-STOP", "HEPTAPOD/NAMESPACES", "SEC/API",
		"OPS/CHARGEBACK", "OPS/QUEUE-WAITS", "OPS/METRICS", "OPS/TRACES",
	} {
		if len(rows[name]) == 0 {
			t.Errorf("%s has no test", name)
		}
	}
	for name, all := range rows {
		for _, n := range exist(t, name, all) {
			if !strings.Contains(n.source, name) {
				t.Errorf("row %s names the test %s, which does not name the row", name, n.test)
			}
		}
	}
}
