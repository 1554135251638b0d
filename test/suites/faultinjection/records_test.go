package faultinjection

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// reader follows the operator's log over the jobs of a harness.
type reader struct {
	offset  int64
	numbers map[int64]bool
}

// records checks what a job has added to the operator's log: whatever failed, a line is
// one record, and no number occurs twice.
func (r *harness) records() (wrong []string) {
	file, err := os.Open(filepath.Join(r.site.StateDir, "operator.log"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return []string{err.Error()}
	}
	defer file.Close()
	text, err := io.ReadAll(io.NewSectionReader(file, r.log.offset, 1<<40))
	if err != nil {
		return []string{err.Error()}
	}
	r.log.offset += int64(len(text))
	if r.log.numbers == nil {
		r.log.numbers = map[int64]bool{}
	}
	for line := range strings.Lines(string(text)) {
		var record struct{ Seq int64 }
		if err := json.Unmarshal([]byte(line), &record); err != nil {
			wrong = append(wrong, fmt.Sprintf("the line %q of the operator's log is no record: %v", line, err))
		}
		if record.Seq != 0 && r.log.numbers[record.Seq] {
			wrong = append(wrong, fmt.Sprintf("two records have the number %d", record.Seq))
		}
		r.log.numbers[record.Seq] = true
	}
	return wrong
}
