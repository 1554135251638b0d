package ipc

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"jacamar-ci/internal/failure"
)

// TestNotes: notes arrive in their order before the result, with printable and bounded
// texts, and those beyond the limit are not sent.
func TestNotes(t *testing.T) {
	auth, _, conn := conversation(t)
	hostile := strings.Repeat("<\x1b\xff", 2000)
	sent := []Note{
		{Batch: &BatchNote{System: "Slurm", ID: "7", Phase: Submitted}},
		{Batch: &BatchNote{System: hostile, ID: hostile, Phase: Pending, Reason: hostile, Node: hostile}},
		{Batch: &BatchNote{System: "Slurm", ID: "7", Phase: Ended, Waited: 1.5, CPU: 2, Peak: 3}},
		{Disk: &DiskNote{Bytes: 4096, Files: 2, Partial: true}},
	}
	errs := make(chan error, 1)
	go func() {
		end := NewChildConn(conn)
		for _, n := range sent {
			if err := end.Note(n); err != nil {
				errs <- err
				return
			}
		}
		for range 10 * maxNotes {
			if err := end.Note(sent[0]); err != nil {
				errs <- err
				return
			}
		}
		errs <- end.Report(ResultOf(failure.Exit(7), Dirs{}))
	}()
	var got []Note
	r, err := auth.Result(func(n Note) { got = append(got, n) })
	if err != nil || <-errs != nil || r.Code != 7 || len(got) != maxNotes {
		t.Fatalf("%d notes, %+v, %v", len(got), r, err)
	}
	for i := range sent {
		text := fmt.Sprintf("%+v %+v", got[i].Batch, got[i].Disk)
		if strings.Contains(text, "\x1b") || strings.Contains(text, "\xff") || len(text) > 5*noteText {
			t.Errorf("%q", text)
		}
	}
	if *got[2].Batch != *sent[2].Batch || *got[3].Disk != *sent[3].Disk {
		t.Errorf("%+v, %+v", got[2].Batch, got[3].Disk)
	}
}

// TestHostileNotes: a jacamar that sends a flood, lies in the wrong form, or other
// frames, gets no result.
func TestHostileNotes(t *testing.T) {
	note := func(n Note) string { return framed(t, noteFrame, n) }
	batch := func(b BatchNote) string { return note(Note{Batch: &b}) }
	good := batch(BatchNote{System: "Slurm", ID: "7", Phase: Started})
	end := result(t, Result{Kind: "build", Code: 7, Reason: "x"})
	for name, tt := range map[string]struct {
		text string
		want string
	}{
		"good":            {good + end, ""},
		"as many as may":  {strings.Repeat(good, maxNotes) + end, ""},
		"a flood":         {strings.Repeat(good, maxNotes+1) + end, "more than 64 notes"},
		"no message":      {frame('N', 1, "x") + end, "cannot read a note"},
		"nothing":         {note(Note{}) + end, "cannot read a note"},
		"both":            {note(Note{Batch: &BatchNote{ID: "7", Phase: Started}, Disk: &DiskNote{}}) + end, "cannot read a note"},
		"another phase":   {batch(BatchNote{ID: "7", Phase: "x"}) + end, "cannot read a note"},
		"no id":           {batch(BatchNote{Phase: Started}) + end, "cannot read a note"},
		"negative":        {note(Note{Disk: &DiskNote{Bytes: -1}}) + end, "cannot read a note"},
		"negative wait":   {batch(BatchNote{ID: "7", Phase: Started, Waited: -1}) + end, "cannot read a note"},
		"an age of ages":  {batch(BatchNote{ID: "7", Phase: Started, Waited: 1e300}) + end, "cannot read a note"},
		"no number":       {batch(BatchNote{ID: "7", Phase: Started, CPU: math.NaN()}) + end, "cannot read a note"},
		"too long":        {frame('N', 1<<20, "x") + end, "begins no frame"},
		"a second hello":  {good + frame('H', 2, "{}") + end, "not its result"},
		"a second script": {good + frame('S', 0, "") + end, "not its result"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := NewParentConn(rw(tt.text)).Result(nil)
			if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want) && !strings.Contains(err.Error(), "crashed")) {
				t.Errorf("%v, want %q", err, tt.want)
			}
		})
	}
}
