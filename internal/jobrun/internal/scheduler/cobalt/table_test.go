package cobalt

import (
	"strings"
	"testing"

	"jacamar-ci/internal/jobrun/internal/scheduler"
)

// TestParseTable: without the requested columns, or the line below them, nothing is known.
func TestParseTable(t *testing.T) {
	head := strings.ReplaceAll(columns, ":", "  ") + "\n"
	for name, tt := range map[string]struct {
		text string
		rows int // -1 for an error
	}{
		"a job":         {head + "=====\n12 ci-1 running n1\n", 1},
		"a blank in it": {head + "=====\n12 ci 1 running n1\n", 0},
		"no jobs":       {head + "=====\n", 0},
		"no line":       {head + "12 ci-1 running n1\n", -1},
		"other columns": {"JobID  User\n=====\n12 alice\n", -1},
		"nothing":       {"", -1},
	} {
		rows, err := parseTable(scheduler.Reply{Stdout: tt.text})
		if (err != nil) != (tt.rows < 0) || err == nil && len(rows) != tt.rows {
			t.Errorf("%s: %v, %v", name, rows, err)
		}
	}
}
