package ipc

import (
	"time"

	"jacamar-ci/internal/job"
)

// Batch is what a batch executor needs: the keys of [batch], and the job's own
// scheduler arguments. jacamar splits and judges the arguments, as the user who
// could call the scheduler himself; jacamar-auth only carries them.
type Batch struct {
	// SchedulerBin is the directory of the scheduler's commands; zero means the
	// system's own.
	SchedulerBin job.AbsPath `json:"scheduler_bin"`
	Env          []job.Env   `json:"env,omitempty"`

	CommandDelay   time.Duration `json:"command_delay"`
	NFSTimeout     time.Duration `json:"nfs_timeout"`
	PendingTimeout time.Duration `json:"pending_timeout,omitempty"` // 0 = no limit
	CancelGrace    time.Duration `json:"cancel_grace"`

	WaitForImpossible bool `json:"wait_for_impossible,omitempty"`
	AllowIllegalArgs  bool `json:"allow_illegal_args,omitempty"`
	// Accounting reports that the scheduler keeps records of finished jobs.
	Accounting bool `json:"accounting,omitempty"`

	DefaultArgs []string    `json:"default_args,omitempty"`
	Rules       []BatchRule `json:"rules,omitempty"`
	// Arguments are the job's own, one for each variable that is set.
	Arguments []BatchArguments `json:"arguments,omitempty"`
}

// BatchRule is a [[batch.rule]] that matches the job.
type BatchRule struct {
	Name     string   `json:"name"` // as error messages call it
	Args     []string `json:"args"`
	Required bool     `json:"required,omitempty"`
}

// BatchArguments is the text of one CI variable. It is bytes, since a user's
// text need not be what a JSON string can carry.
type BatchArguments struct {
	Variable string `json:"variable"`
	Text     []byte `json:"text"`
}
