package batch

import (
	"context"
	"fmt"
	"time"

	"jacamar-ci/internal/jobrun/internal/scheduler"
)

const (
	// usageTries and usagePause bound the wait for an accounting record, which
	// arrives a little after the end.
	usageTries = 3
	usagePause = 300 * time.Millisecond
	usageLimit = 2 * time.Second
)

// summarize says at the end what the job took, as far as that is known.
func (r *run) summarize() {
	lines := []string{"submitted: " + commandLine(r.command)}
	if r.began {
		lines = append(lines, r.summary(r.usage())...)
	}
	r.Voice.Section("jacamar_batch", fmt.Sprintf("%s job %s", r.Scheduler.Name(), r.id), lines)
}

// usage asks the accounting, where the site has one.
func (r *run) usage() scheduler.Usage {
	accountant, ok := r.Scheduler.(scheduler.Accountant)
	if !ok || !r.Settings.Accounting || closed(r.stop.Terminate) {
		return scheduler.Usage{}
	}
	ctx, cancel := context.WithTimeout(context.Background(), usageLimit)
	defer cancel()
	var u scheduler.Usage
	for range usageTries {
		u = accountant.ParseUsage(r.run(ctx, accountant.Usage(r.id), usageLimit))
		if u.CPU > 0 || !sleep(ctx, usagePause) {
			break
		}
	}
	return u
}

// summary writes the lines; what is not known is left out.
func (r *run) summary(u scheduler.Usage) []string {
	var lines []string
	add := func(known bool, format string, args ...any) {
		if known {
			lines = append(lines, fmt.Sprintf(format, args...))
		}
	}
	nodes := first(u.Nodes, r.state.Nodes, r.start.node)
	add(nodes != "", "nodes: %s", nodes)
	if r.mark != nil && !r.start.at.IsZero() {
		add(true, "ran: %v", r.mark.at.Sub(r.start.at))
	} else {
		add(u.Elapsed > 0, "ran: %v", u.Elapsed)
	}
	waited := r.start.at.Sub(r.submitted.Truncate(time.Second))
	add(!r.start.at.IsZero() && waited >= 0, "waited: %v", waited)
	part, ok := u.Efficiency()
	add(ok, "CPU efficiency: %.0f %% of %d CPUs", 100*part, u.CPUs)
	add(u.Memory > 0, "peak memory of a task: %.1f MiB", float64(u.Memory)/(1<<20))
	return lines
}

func first(texts ...string) string {
	for _, t := range texts {
		if t != "" {
			return t
		}
	}
	return ""
}
