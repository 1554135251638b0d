package workspace

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"jacamar-ci/internal/job"
	"jacamar-ci/internal/jobrun/internal/safedir"
)

// jobRecord is the file in a job's scripts directory that says what the job has: all
// that is needed to clear it away, also for another job when its own cleanup
// never comes.
type jobRecord struct {
	reservation
	// Custom is the user's own directory for builds, zero for the usual one.
	Custom job.AbsPath `json:"custom,omitzero"`
	Static bool        `json:"static,omitempty"`
	Pool   string      `json:"pool,omitempty"`
	Slot   int         `json:"slot"`
	// Temp is where the runner keeps the job's secrets, below the build directory.
	Temp string `json:"temp,omitempty"`
}

const (
	leaseFile  = "lease"
	leaseLimit = 16 << 10 // bytes
)

func readLease(scripts *safedir.Folder) (l jobRecord, err error) {
	text, err := scripts.Read(leaseFile, leaseLimit)
	if err != nil {
		return jobRecord{}, err
	}
	if err := json.Unmarshal(text, &l); err != nil || l.Slot < 0 || l.Slot >= maxSlots {
		return jobRecord{}, fmt.Errorf("cannot read the lease in %s", scripts.Path())
	}
	return l, nil
}

func (l jobRecord) write(scripts *safedir.Folder) error {
	text, err := json.Marshal(l)
	if err != nil {
		return err
	}
	return scripts.Write(leaseFile, text)
}

// path is the build directory below the root of builds.
func (l jobRecord) path() []string {
	if l.Static {
		return []string{staticDir, l.Runner, l.Job.String()}
	}
	return []string{l.Pool, slotName(l.Slot)}
}

// root opens the directory that the lease's build directory is below. Its error
// is unix.ENOENT when it is gone.
func (w *Workspace) root(l jobRecord) (*safedir.Folder, error) {
	if l.Custom.IsZero() {
		return w.base.Open("builds")
	}
	return safedir.OpenExisting(l.Custom, w.rules)
}

// tempBelow is the runner's directory of secrets as a path below the build
// directory, "" when it is not there. The runner calls it as the project's
// directory with ".tmp" behind it; a job can move that one, by GIT_CLONE_PATH,
// but nothing outside its own build directory is ever cleared.
func tempBelow(temp, builds job.AbsPath) string {
	rest, ok := strings.CutPrefix(temp.String(), builds.String()+"/")
	if !ok || builds.IsZero() || !strings.HasSuffix(rest, ".tmp") {
		return ""
	}
	return rest
}

// removeSecrets clears what the runner leaves beside a project after a timeout or
// an abort: file variables, and git's configuration with the job's token.
func (w *Workspace) removeSecrets(l jobRecord, root *safedir.Folder, until time.Time) error {
	if l.Temp == "" {
		return nil
	}
	way := append(l.path(), strings.Split(l.Temp, "/")...)
	last := len(way) - 1
	parent, err := root.Find(way[:last]...)
	if errors.Is(err, unix.ENOENT) {
		return nil
	}
	if err != nil {
		return err
	}
	defer parent.Close()
	err = parent.Remove(way[last], until)
	w.note(parent.Path().String()+"/"+way[last], err)
	return err
}
