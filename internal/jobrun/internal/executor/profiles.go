package executor

import (
	"errors"
	"time"

	"golang.org/x/sys/unix"

	"jacamar-ci/internal/ipc"
	"jacamar-ci/internal/job"
	"jacamar-ci/internal/jobrun/internal/loginshell"
	"jacamar-ci/internal/jobrun/internal/safedir"
)

// Profiles is how the login profiles are treated.
type Profiles struct {
	// Read is what of them is read.
	Read loginshell.Profiles
	// Hide keeps what they print out of the job's log, unless something is wrong
	// with them. Otherwise it is in a section that GitLab folds.
	Hide bool
	// Warned claims the job's one warning of profiles that end the shell. It
	// returns true where the job has had it.
	Warned func() bool
	// WarnAfter is how long they may take without a word in the job's log.
	WarnAfter time.Duration
	// Saved is what an earlier login of the job has left, nil for none. The script then
	// runs without a login of its own, if that works.
	Saved []byte
	// Save keeps what a login leaves, for later stages; nil to keep nothing.
	Save func(saved []byte)
}

// order lists what is read before the script, in the order in which it is tried.
func (p Profiles) order() (all []loginshell.Profiles) {
	if p.Saved != nil {
		all = append(all, loginshell.Saved)
	}
	if p.Read != loginshell.None {
		all = append(all, p.Read)
	}
	return append(all, loginshell.None)
}

// warnAfter is the usual WarnAfter.
const warnAfter = 15 * time.Second

// The sub-stages that every job begins with; see RunStages in GitLab Runner's
// executors/custom. The first one only prints the name of the host. The second one has a
// command of the job's author where the job has hooks:pre_get_sources_script.
const (
	firstScript  job.SubStage = "prepare_script"
	secondScript job.SubStage = "get_sources"
)

// newProfiles returns how a request's stage treats profiles.
func newProfiles(b ipc.Request) Profiles {
	warned := ownFile(b.Dirs, loginshell.WarnedFile)
	p := Profiles{
		Read: profiles(b.Job), WarnAfter: warnAfter,
		Warned: func() bool { return claimed(warned) },
	}
	reader := firstScript
	if b.Settings.LoginShells.OncePerJob() && p.Read == loginshell.Login {
		reader = secondScript
		p.share(b)
	}
	p.Hide = b.SubStage != reader
	return p
}

// claimed makes a file, and reports whether it existed.
func claimed(f safedir.FileBelow) bool {
	file, err := f.Create()
	if err == nil {
		file.Close()
	}
	return errors.Is(err, unix.EEXIST)
}

func profiles(j ipc.Job) loginshell.Profiles {
	if j.NoProfile {
		return loginshell.Environment
	}
	return loginshell.Login
}
