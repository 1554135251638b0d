package journal

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"time"
)

// maxFaults bounds how many files Check names.
const maxFaults = 3

// Check returns why files of the journal cannot be used: jobs are not recorded in them,
// readers leave them out, and marks have no effect.
func (j *Journal) Check() error {
	var faults []string
	note := func(err error) {
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			faults = append(faults, err.Error())
		}
	}
	note(j.try("", admissionFile))
	note(j.try(dayDir, dayFile(time.Now())))
	for _, dir := range []string{liveDir, waitDir} {
		keys, err := j.keysIn(dir)
		note(err)
		for _, k := range keys {
			note(j.try(dir, k.String()))
		}
	}
	marks, err := list(j.dir, markDir)
	note(err)
	for _, m := range marks {
		if strings.HasPrefix(m.Name(), ".") {
			continue // of Replace
		}
		_, _, err := GetMark(j.dir, MarkName(m.Name()))
		note(err)
	}
	if more := len(faults) - maxFaults; more > 0 {
		faults = append(faults[:maxFaults], fmt.Sprintf("and %d more", more))
	}
	if len(faults) == 0 {
		return nil
	}
	return errors.New(strings.Join(faults, "; "))
}

// try opens a file as a stage does, and creates none.
func (j *Journal) try(dir, name string) error {
	file, err := j.file(dir, name, 0)
	if err == nil {
		err = file.Close()
	}
	return err
}
