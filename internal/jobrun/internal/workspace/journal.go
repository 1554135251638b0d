package workspace

import (
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"jacamar-ci/internal/ipc"
	"jacamar-ci/internal/job"
	"jacamar-ci/internal/jobrun/internal/safedir"
)

// journal writes down what is done with claims, where a site looks for a fault
// (file_lock_debug). A nil one writes nothing.
type journal struct{ who string }

const journalFile = ".claims.log"

func newJournal(on bool, j ipc.Job, stage job.Stage, here place) *journal {
	if !on {
		return nil
	}
	return &journal{fmt.Sprintf("%s pid %d job %s of runner %s %s", here.Host, os.Getpid(), j.ID, j.Runner, stage)}
}

// note adds a line to the pool's file, which is locked like its claims. A journal
// that cannot be written stops nothing.
func (l *journal) note(dir *safedir.Folder, slot int, what string) {
	if l == nil {
		return
	}
	file, err := dir.File(journalFile, unix.O_WRONLY|unix.O_CREAT|unix.O_APPEND)
	if err != nil {
		return
	}
	defer file.Close()
	_, _ = fmt.Fprintf(file, "%s %s: %s %s\n", time.Now().UTC().Format("2006-01-02T15:04:05.000Z"), l.who, slotName(slot), what)
}
