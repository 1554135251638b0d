package admin

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"jacamar-ci/internal/admin/status"
	"jacamar-ci/internal/job"
	"jacamar-ci/internal/journal"
)

// JobsOptions are those of `jacamar-admin jobs`.
type JobsOptions struct {
	Journals Journals
	Filter   Filter
	Ended    bool // the ended jobs instead of the live ones
	Refused  bool // the refused ones
	JSON     bool
}

// Jobs prints a table of jobs.
func Jobs(w io.Writer, o JobsOptions, now time.Time) error {
	if s := journal.State(o.Filter.State); s != "" && !slices.Contains(journal.States(), s) {
		return fmt.Errorf("--state: %q is not known: write one of %s", job.Clip(o.Filter.State), StateNames())
	}
	read := o.Journals.input
	if !o.Ended && !o.Refused {
		read = func(_ Filter, now time.Time) (status.Input, error) { return o.Journals.live(now) }
	}
	in, err := read(o.Filter, now)
	if err != nil {
		return err
	}
	switch {
	case o.Refused:
		return errors.Join(refusals(w, in, o), in.Unread)
	case o.Ended && !o.JSON:
		return errors.Join(endedTable(w, o.Filter.apply(in.Past.Ended()), now), in.Unread)
	case o.Ended:
		return errors.Join(json.NewEncoder(w).Encode(o.Filter.apply(in.Past.Ended())), in.Unread)
	case o.JSON:
		return json.NewEncoder(w).Encode(o.Filter.apply(status.NewSnapshot(in).Live))
	}
	return liveTable(w, o.Filter.apply(status.NewSnapshot(in).Live), now)
}

// StateNames are the states of live jobs for a sentence: "waiting, running … or unread".
func StateNames() string { return job.Either(journal.States()) }

// Watch prints the table in each period until ctx ends. With JSON each table is one
// line.
func Watch(ctx context.Context, w io.Writer, o JobsOptions, period time.Duration) error {
	err := poll(ctx, period, func() (bool, error) {
		if !o.JSON {
			fmt.Fprintf(w, "\n%s\n", time.Now().Format(time.DateTime))
		}
		return false, Jobs(w, o, time.Now())
	})
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// table aligns columns. Cells are untrusted text and made printable; an empty one is a
// dash, so that columns can be counted.
func table(w io.Writer, header []string, rows [][]string) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, strings.Join(header, "\t"))
	for _, row := range rows {
		for i := range row {
			row[i] = cmp.Or(job.Printable(row[i]), "-")
		}
		fmt.Fprintln(t, strings.Join(row, "\t"))
	}
	return t.Flush()
}

func liveTable(w io.Writer, jobs []status.Job, now time.Time) error {
	var rows [][]string
	for _, j := range jobs {
		rows = append(rows, []string{
			j.ID, j.Project, j.Account, j.Executor, string(j.State), j.Stage, status.Duration(now.Sub(j.Began)), j.BatchID, j.Phase, seconds(j.Waited), j.Node,
			seconds(j.CPU), status.Bytes(j.Peak), j.Directory,
		})
	}
	return table(w, []string{"JOB", "PROJECT", "ACCOUNT", "EXECUTOR", "STATE", "STAGE", "SINCE", "BATCH-ID", "PHASE", "WAITED", "NODE", "CPU", "MEMORY", "DIRECTORY"}, rows)
}

func endedTable(w io.Writer, jobs []status.Job, now time.Time) error {
	var rows [][]string
	for _, j := range jobs {
		result := j.Exit
		if j.Code != 0 {
			result = fmt.Sprintf("%s %d", j.Exit, j.Code)
		}
		rows = append(rows, []string{
			j.ID, j.Project, j.Account, j.Executor, result, status.Duration(j.Last.Sub(j.Began)), seconds(j.Waited), seconds(j.CPU),
			status.Bytes(j.Peak), disk(j.Disk, j.Partial), status.Duration(now.Sub(j.Last)),
		})
	}
	return table(w, []string{"JOB", "PROJECT", "ACCOUNT", "EXECUTOR", "RESULT", "TOOK", "WAITED", "CPU", "MEMORY", "DISK", "AGO"}, rows)
}

// seconds formats a time, "" for none.
func seconds(s float64) string {
	if s == 0 {
		return ""
	}
	return status.Duration(time.Duration(s * float64(time.Second)))
}

// disk formats the size of build directories; a part of it has ">".
func disk(bytes int64, partial bool) string {
	if partial {
		return ">" + status.Bytes(bytes)
	}
	return status.Bytes(bytes)
}

func refusals(w io.Writer, in status.Input, o JobsOptions) error {
	var rows [][]string
	list := []journal.Event{}
	for _, e := range in.Past.Refused {
		if !o.Filter.matchesWho(e.Context.Account, e.Context.Project) {
			continue
		}
		list = append(list, e)
		rows = append(rows, []string{e.Context.Job.String(), e.Context.Project, e.Context.Login, e.Context.Rule, e.When().Format(time.DateTime), e.Context.Reason})
	}
	if o.JSON {
		return json.NewEncoder(w).Encode(list)
	}
	return table(w, []string{"JOB", "PROJECT", "LOGIN", "RULE", "TIME", "REASON"}, rows)
}

// Show prints every event of one job, live or ended.
func Show(w io.Writer, js Journals, id job.ID, since time.Duration, asJSON bool, now time.Time) error {
	in, err := js.live(now)
	if err != nil {
		return err
	}
	past, unread, err := js.pastRecords(now.Add(-since), func(r journal.Record) bool { return isOf(r, id) })
	if err != nil {
		return err
	}
	in.Unread = unread
	found := false
	for _, r := range append(in.Live, past...) {
		if !isOf(r, id) {
			continue
		}
		found = true
		switch {
		case r.Unread != nil:
			err = r.Unread
		case asJSON:
			err = json.NewEncoder(w).Encode(r.Events)
		default:
			err = events(w, r)
		}
		if err != nil {
			return err
		}
	}
	switch {
	case found:
	case in.Unread != nil:
		return fmt.Errorf("the journal has no job %s in what can be read of the last %s: %w", id, status.Duration(since), in.Unread)
	default:
		return fmt.Errorf("the journal has no job %s in the last %s: use a longer --since", id, status.Duration(since))
	}
	return nil
}

func isOf(r journal.Record, id job.ID) bool {
	return r.Live && r.Key.Job == id || len(r.Events) > 0 && r.Events[0].Context.Job == id
}

// events prints a record's events with the time between them.
func events(w io.Writer, r journal.Record) error {
	var rows [][]string
	last := 0.0
	for _, e := range r.Events {
		after := ""
		if last != 0 {
			after = "+" + status.Duration(time.Duration((e.Time-last)*float64(time.Second)))
		}
		last = e.Time
		rows = append(rows, []string{e.When().Format(time.DateTime), after, string(e.Name), details(e.Context)})
	}
	fmt.Fprintf(w, "host %s\n", job.Printable(r.Host))
	return table(w, []string{"TIME", "AFTER", "EVENT", "DETAILS"}, rows)
}

// details is an event's context as NAME=value pairs. A text that could be taken for several
// of them is quoted: accounts and their programs choose some.
func details(c journal.Context) string {
	text, err := json.Marshal(c)
	if err != nil {
		return err.Error()
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(text, &fields); err != nil {
		return err.Error()
	}
	var pairs []string
	for _, name := range []string{
		"project", "ref", "login", "account", "uid", "executor", "rule", "reason", "stage", "exit", "code", "seconds", "cpu", "peak",
		"system", "batch_id", "phase", "node", "bytes", "files", "partial", "base", "builds", "scripts",
	} {
		if value, ok := fields[name]; ok {
			pairs = append(pairs, name+"="+detail(value))
		}
	}
	return strings.Join(pairs, " ")
}

// detail is a value in JSON: a text that is one word as it is, any other quoted.
func detail(value json.RawMessage) string {
	var text string
	switch {
	case json.Unmarshal(value, &text) != nil:
		return string(value)
	case strings.ContainsAny(text, " =\"\\"):
		return strconv.Quote(text)
	}
	return text
}
