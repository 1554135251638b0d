package loginshell

import (
	"time"

	"jacamar-ci/internal/joblog"
)

// What the profiles print is a section of the job's log: the end of it, at most MaxOutput
// bytes.
const (
	OutputSection = "jacamar_profiles"
	OutputTitle   = "output of your login profiles"
	MaxOutput     = 64 << 10
)

// WarnedFile is made in the job's own directory by whichever shell first warns of
// profiles that end it: one warning a job.
const WarnedFile = "profiles-warned"

// WarnEnded reports profiles that ended the shell; how is its exit code or signal.
func WarnEnded(log joblog.Writer, how string) {
	log.Warn("a login profile of yours ended or replaced the shell (%s) before the job's script; it runs without your profiles. "+
		"Correct the profile, or set the variable JACAMAR_CI_NO_PROFILE to true", how)
}

// NoteSlow reports profiles that have run for some time.
func NoteSlow(log joblog.Writer, after time.Duration) {
	log.Note("your login profiles have not ended after %v; the job waits for them (JACAMAR_CI_NO_PROFILE=true leaves them out)", after)
}

// NoteStopped reports a job that was stopped while its profiles ran.
func NoteStopped(log joblog.Writer) {
	log.Note("the job was stopped before your login profiles had ended: see what in them waits, or set the variable JACAMAR_CI_NO_PROFILE to true")
}
