package batch

import (
	"os"
	"time"

	"jacamar-ci/internal/job"
)

// Submission is a batch job whose end is not confirmed.
type Submission struct {
	Name   string    `json:"name"`
	System string    `json:"system"`
	ID     string    `json:"id,omitempty"` // "" while it is unknown
	Host   string    `json:"host"`         // where it was submitted
	Time   time.Time `json:"time"`
	// Abandoned means that the process which follows it has ended on this host.
	Abandoned bool `json:"abandoned,omitempty"`
}

// Submissions lists the batch jobs of a CI job whose end is not confirmed.
func Submissions(scripts job.AbsPath) []Submission {
	list := []Submission{}
	host, _ := os.Hostname()
	for _, o := range findOrphans(scripts.String()) {
		list = append(list, Submission{o.Name, o.Scheduler, string(o.ID), o.Host, o.Time, o.Host == host && o.Process.Gone()})
	}
	return list
}

// String names the batch job.
func (s Submission) String() string {
	if s.ID == "" {
		return s.System + " job " + s.Name
	}
	return s.System + " job " + s.ID
}

// CancelCommand is the command by which a user cancels the batch job, as far as the id
// is known.
func (s Submission) CancelCommand() string {
	program := map[string]string{"Slurm": "scancel", "Flux": "flux cancel", "PBS": "qdel", "LSF": "bkill", "Grid Engine": "qdel", "Cobalt": "qdel"}[s.System]
	if program == "" || s.ID == "" {
		return "look for the job " + s.Name + " and cancel it"
	}
	return program + " " + s.ID
}
