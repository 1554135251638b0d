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

// jobRecord is the file in a job's scripts directory that lists what the job uses: all
// that a cleanup needs, also the cleanup of another job if the job's own does not run.
type jobRecord struct {
	reservation
	// Custom is the directory for builds that the user chose, zero for the default.
	Custom job.AbsPath `json:"custom,omitzero"`
	Static bool        `json:"static,omitempty"`
	Pool   string      `json:"pool,omitempty"`
	Slot   int         `json:"slot"`
	// Temp is the path of the runner's directory for the job's secrets, relative to the
	// build directory.
	Temp string `json:"temp,omitempty"`
}

const (
	jobRecordFile  = "lease"
	jobRecordLimit = 16 << 10 // bytes
)

var errCorrupt = errors.New("it is corrupt")

func readJobRecord(scripts *safedir.Dir) (rec jobRecord, err error) {
	text, err := scripts.Read(jobRecordFile, jobRecordLimit)
	if err != nil {
		return jobRecord{}, err
	}
	if err := json.Unmarshal(text, &rec); err != nil || rec.Slot < 0 || rec.Slot >= maxSlots {
		return jobRecord{}, fmt.Errorf("cannot read the job's record in %s: %w", scripts.Path(), errCorrupt)
	}
	return rec, nil
}

func (rec jobRecord) write(scripts *safedir.Dir) error {
	text, err := json.Marshal(rec)
	if err != nil {
		return err
	}
	return scripts.Write(jobRecordFile, text)
}

// buildPath is the path of the build directory, relative to the root of builds.
func (rec jobRecord) buildPath() []string {
	if rec.Static {
		return []string{staticDir, rec.Runner, rec.Job.String()}
	}
	return []string{rec.Pool, slotName(rec.Slot)}
}

// rootOf opens the root of builds of a job. The error is unix.ENOENT when it does not
// exist.
func (w *Workspace) rootOf(rec jobRecord) (*safedir.Dir, error) {
	if rec.Custom.IsZero() {
		return w.base.Open("builds")
	}
	return safedir.OpenExisting(rec.Custom, w.rules)
}

func (w *Workspace) scriptsName() []string {
	return []string{"scripts", w.request.Job.Runner, w.request.Job.ID.String()}
}

// ownFiles are the job's scripts directory, its record, and its root of builds.
type ownFiles struct {
	scripts, root *safedir.Dir
	rec           jobRecord
}

// openOwn opens the job's files. The error is unix.ENOENT when one of them does not exist.
func (w *Workspace) openOwn() (*ownFiles, error) {
	scripts, err := w.base.Open(w.scriptsName()...)
	if err != nil {
		return nil, err
	}
	own := &ownFiles{scripts: scripts}
	if own.rec, err = readJobRecord(scripts); err == nil {
		own.root, err = w.rootOf(own.rec)
	}
	if err != nil {
		scripts.Close()
		return nil, err
	}
	return own, nil
}

func (o *ownFiles) close() {
	if o != nil {
		o.scripts.Close()
		o.root.Close()
	}
}

// tempBelow is the runner's directory of secrets, relative to the build directory, ""
// when it is not in there. The runner adds ".tmp" to the name of the project's
// directory; a job can move that one with GIT_CLONE_PATH, but a cleanup never removes
// anything outside the job's build directory.
func tempBelow(temp, builds job.AbsPath) string {
	rest, ok := strings.CutPrefix(temp.String(), builds.String()+"/")
	if !ok || builds.IsZero() || !strings.HasSuffix(rest, ".tmp") {
		return ""
	}
	return rest
}

// removeSecrets removes what the runner leaves next to a project after a timeout or an
// abort: file variables, and git's configuration with the job's token.
func (w *Workspace) removeSecrets(rec jobRecord, root *safedir.Dir, until time.Time) error {
	if rec.Temp == "" {
		return nil
	}
	path := append(rec.buildPath(), strings.Split(rec.Temp, "/")...)
	last := len(path) - 1
	parent, err := root.OpenUnchecked(path[:last]...)
	if errors.Is(err, unix.ENOENT) || errors.Is(err, safedir.ErrNotDirectory) {
		return nil // a link or a file there is its user's decision, as in renew
	}
	if err != nil {
		return err
	}
	defer parent.Close()
	err = parent.Remove(path[last], until)
	w.noteLeftover(parent.PathOf(path[last]), err)
	return err
}
