package journal

import (
	"reflect"
	"strings"
	"testing"

	"jacamar-ci/internal/job"
	"jacamar-ci/internal/proctree"
	"jacamar-ci/test/harness/testutil"
)

// TestEveryEventFits: whatever the texts of an event are, it is recorded, on one line that readers
// accept, and no text that is not whole looks whole.
func TestEveryEventFits(t *testing.T) {
	largest := proctree.Process{PID: 1 << 22, Start: 1<<64 - 1, Boot: "00000000-0000-0000-0000-000000000000"}
	uid := job.UID(1<<32 - 1)
	for _, part := range []string{"x", "<", "&", `"`, `\`, "ü", "\U0001f600", "\u2028", "\x00", "\xff", "…", "\t", "\x7f"} {
		for _, count := range []int{1, 60, maxField - 1, maxField, maxField + 1, 4096} {
			c := Context{Owner: &largest, Process: &largest, UID: &uid, Job: 1<<63 - 1, ProjectID: 1<<63 - 1, Pipeline: 1<<63 - 1, Until: 1<<63 - 1, Seconds: 1e300, CPU: 1e300, Peak: 1<<63 - 1}
			fields := reflect.ValueOf(&c).Elem()
			for _, f := range fields.Fields() {
				if f.Kind() == reflect.String {
					f.SetString(strings.Repeat(part, count))
				}
			}
			line, err := At(start, Granted, c).line()
			testutil.Must(t, err)
			read := parseEvents(line)
			if len(read) != 1 || read[0].Name != Granted || read[0].Context.Job != c.Job || *read[0].Context.Owner != largest {
				t.Fatalf("%d times %q: %d bytes are %d events: %s", count, part, len(line), len(read), line)
			}
			for f, was := range reflect.ValueOf(read[0].Context).Fields() {
				if f.Type.Kind() == reflect.String && !Shortened(was.String()) && was.String() != job.Printable(strings.Repeat(part, count)) {
					t.Errorf("%d times %q: %s is %q", count, part, f.Name, was)
				}
			}
		}
	}
}

// TestTextsOfOneEvent: what needs no shortening to fit is not shortened.
func TestTextsOfOneEvent(t *testing.T) {
	ref := strings.Repeat("<", maxField)
	line, err := At(start, Granted, Context{Project: strings.Repeat("p", maxField), Ref: ref, Login: strings.Repeat(`"`, maxField)}).line()
	testutil.Must(t, err)
	if read := parseEvents(line); len(read) != 1 || read[0].Context.Ref != ref {
		t.Errorf("%s", line)
	}
}
