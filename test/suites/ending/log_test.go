package ending

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"jacamar-ci/test/harness/site"
)

func logFile(s *site.Site) string { return filepath.Join(s.Dir, "operator.log") }

// logged gives a site an operator's log that the test can read.
func logged(t *testing.T, s *site.Site, change ...func(site.Config)) {
	t.Helper()
	owner := s.StateOwner()
	if owner == nil {
		owner = s.Service()
	}
	if owner == nil {
		owner = &site.Account{} // root's
	}
	err := errors.Join(
		os.WriteFile(logFile(s), nil, 0o600), os.Chown(logFile(s), int(owner.UID), int(owner.GID)),
		s.Reconfigure(append(change, func(c site.Config) { c.Set("auth", "logging", site.Table{"location": logFile(s)}) })...),
	)
	if err != nil {
		t.Fatal(err)
	}
}

// record is a record of the operator's log.
type record struct {
	Event, Level, Stage, Reason, Exit string
	Decision, Rule                    string
	SubStage                          string `json:"sub_stage"`
	Job                               int64
}

// records are those of one job and one kind of event.
func records(t *testing.T, s *site.Site, job int64, event string) (all []record) {
	t.Helper()
	text, err := os.ReadFile(logFile(s))
	if err != nil {
		t.Fatal(err)
	}
	whole := string(text[:bytes.LastIndexByte(text, '\n')+1]) // another job may be writing its record
	for line := range strings.Lines(whole) {
		var r record
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		if r.Job == job && r.Event == event {
			all = append(all, r)
		}
	}
	return all
}
