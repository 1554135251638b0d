package check

import (
	"context"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
)

// manyProcessors is from where on Go's runtime takes more than a millisecond to prepare
// for the processors of a node, in every stage.
const manyProcessors = 32

// processors looks at the limit that jacamar-auth inherits from the runner.
func processors(context.Context, Site) []Line {
	return judgeProcessors(runtime.NumCPU(), runnerLimits("/proc"))
}

// judgeProcessors judges the values of GOMAXPROCS of the runners that run now, "" where
// one has none.
func judgeProcessors(node int, limits []string) []Line {
	if node <= manyProcessors || len(limits) == 0 {
		return nil
	}
	for _, text := range limits {
		if n, err := strconv.Atoi(text); err != nil || n < 1 || n > manyProcessors {
			return []Line{warn("add Environment=GOMAXPROCS=4 to the [Service] section of a drop-in of the runner's unit, as the supplied one has it, and restart the runner",
				"this node has %d processors, and the runner has no small GOMAXPROCS: every stage takes longer to start", node)}
		}
	}
	return []Line{ok("the runner limits the processors that a stage prepares for")}
}

// runnerLimits returns the GOMAXPROCS of every process that is a gitlab-runner, as far as
// this account may read its environment.
func runnerLimits(proc string) (limits []string) {
	entries, _ := os.ReadDir(proc)
	for _, entry := range entries {
		dir := filepath.Join(proc, entry.Name())
		if comm, err := os.ReadFile(filepath.Join(dir, "comm")); err != nil || strings.TrimSpace(string(comm)) != "gitlab-runner" {
			continue
		}
		if environ, err := os.ReadFile(filepath.Join(dir, "environ")); err == nil {
			limits = append(limits, limitIn(string(environ)))
		}
	}
	return limits
}

func limitIn(environ string) (limit string) {
	for pair := range strings.SplitSeq(environ, "\x00") {
		if value, found := strings.CutPrefix(pair, "GOMAXPROCS="); found {
			limit = value
		}
	}
	return limit
}
