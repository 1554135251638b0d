package evidence

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"jacamar-ci/test/harness/fakerunner"
)

// record has the fields that show whether a record is missing.
type record struct {
	Event, Account, Call, Stage string
	Job, Seq                    int64
	CallSeq                     int `json:"call_seq"`
	UID                         *uint32
}

// parse reads a log's text. Each line must be one record.
func parse(t *testing.T, text string) (all []record) {
	t.Helper()
	for line := range strings.Lines(text) {
		var r record
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			t.Fatalf("the line %q is no record: %v", line, err)
		}
		all = append(all, r)
	}
	return all
}

// checkComplete checks that the records are exactly those that the calls of a job wrote: none of
// another job, no gap, and each call to its end.
func checkComplete(t *testing.T, all []record, j fakerunner.Job, r fakerunner.Result) {
	t.Helper()
	calls := map[string][]record{}
	numbers := make([]int64, 0, len(all))
	for _, rec := range all {
		if rec.Job != j.ID {
			t.Errorf("a record of job %d among those of job %d: %+v", rec.Job, j.ID, rec)
		}
		numbers = append(numbers, rec.Seq)
		calls[rec.Call] = append(calls[rec.Call], rec)
	}
	slices.Sort(numbers)
	for i, n := range numbers {
		if n != numbers[0]+int64(i) {
			t.Errorf("the numbers %v have a gap, or one occurs twice", numbers)
			break
		}
	}
	if len(calls) != len(r.Calls) {
		t.Errorf("records of %d calls, and %d were made", len(calls), len(r.Calls))
	}
	ended := 0
	for call, records := range calls {
		for i, rec := range records {
			if rec.CallSeq != i+1 || (rec.Event == "stage_end") != (i == len(records)-1) {
				t.Errorf("call %s has the records %+v", call, records)
				break
			}
			if rec.Event == "job_end" {
				ended++
			}
		}
	}
	if ended != 1 {
		t.Errorf("%d calls recorded the end of the job, want one", ended)
	}
}

// recordsOf is how many records a job writes that runs: a decision and an end in each
// call, and the end of the job.
func recordsOf(r fakerunner.Result) int { return 2*len(r.Calls) + 1 }

// readLog reads a file of the operator's.
func readLog(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func defaultLog(stateDir string) string { return filepath.Join(stateDir, "operator.log") }
