package ipc

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"time"

	"jacamar-ci/internal/inherit"
	"jacamar-ci/internal/job"
	"jacamar-ci/internal/proctree"
	"jacamar-ci/internal/rlimit"
	"jacamar-ci/internal/seccomp"
)

// Version of the message. Both binaries come from one package; a difference
// means a half-finished upgrade, and is refused.
const Version = 2

// Request is all that jacamar knows of a job. It never sees the site's
// configuration file, the runner's environment or the token.
type Request struct {
	Version  int          `json:"version"`
	Stage    job.Stage    `json:"stage"`
	SubStage job.SubStage `json:"sub_stage,omitempty"`
	Account  job.Account  `json:"account"`
	Job      Job          `json:"job"`
	Settings Settings     `json:"settings"`
	// Dirs are what the config stage settled; empty in config itself and in a
	// cleanup that follows a failed config.
	Dirs Dirs `json:"dirs,omitzero"`
	// Start is what was promised of this start.
	Start inherit.Start `json:"start,omitzero"`
	// Reap asks for no stage: jacamar ends processes that outlived an earlier jacamar
	// and that only their account may signal, as jacamar-auth names them.
	Reap bool `json:"reap,omitempty"`
}

// Job is what the unprivileged side may know of the job.
type Job struct {
	ID job.ID `json:"id"`
	// Runner is the short token of the runner, as in its build paths.
	Runner string `json:"runner"`
	// Project is the project's path as the runner lays it out, "group/project".
	Project   string `json:"project"`
	ProjectID job.ID `json:"project_id,omitempty"`
	// Temp is where the runner keeps the job's secrets, its file variables among
	// them; zero before the prepare stage.
	Temp job.AbsPath `json:"temp,omitzero"`
	// Helper reports that the job's scripts will look for gitlab-runner in PATH, for
	// caches or artifacts.
	Helper bool `json:"helper,omitempty"`
	// StepRunner is the same of step-runner, for a job that is written with "run:".
	StepRunner bool `json:"step_runner,omitempty"`
	// Image and Services report that the job names them; they have no effect here.
	Image    bool `json:"image,omitempty"`
	Services bool `json:"services,omitempty"`
	// Path is the job's own variable PATH, empty when it sets none. It is bytes,
	// since a user's text need not be what a JSON string can carry.
	Path []byte `json:"path,omitempty"`
	// Timeout of the job as GitLab gave it, in seconds.
	Timeout int `json:"timeout"`
	// Owner is the process that calls the driver: while it lives, the job may.
	Owner proctree.Process `json:"owner"`
}

// Settings are the keys of the configuration that concern the unprivileged side.
type Settings struct {
	Executor  string      `json:"executor"`
	DataDir   string      `json:"data_dir"`
	ShellPath job.AbsPath `json:"shell_path"`
	BashEnv   []job.Env   `json:"bash_env,omitempty"`
	// Login is what the job's shell has from the runner's environment.
	Login []job.Env `json:"login,omitempty"`
	// NoProfile leaves out the login profiles, as the job's author asked.
	NoProfile bool `json:"no_profile,omitempty"`
	// Downscope is how the account was reached, for the job log.
	Downscope string `json:"downscope"`
	// Message is the site's text for the top of prepare.
	Message string `json:"message,omitempty"`
	// KillTimeout is how long the job has between TERM and KILL.
	KillTimeout time.Duration `json:"kill_timeout"`
	RetainLogs  bool          `json:"retain_logs,omitempty"`
	Storage     Storage       `json:"storage,omitzero"`
	Confinement Confinement   `json:"confinement,omitzero"`
	// Batch is set for the executors that submit to a scheduler.
	Batch *Batch `json:"batch,omitempty"`
}

// ConfinesJacamar reports whether what confines the job confines jacamar as a whole,
// from its first instruction: not where it talks to a batch system.
func (s Settings) ConfinesJacamar() bool { return s.Confinement.NoNewPrivs && s.Batch == nil }

// Confinement is what the job's processes on this host may do and have.
type Confinement struct {
	NoNewPrivs bool `json:"no_new_privs,omitempty"`
	// Filter is nil for none. It takes NoNewPrivs to set it.
	Filter *seccomp.Filter `json:"filter,omitempty"`
	Limits []rlimit.Limit  `json:"limits,omitempty"`
	// RaiseStack raises the soft limit of the stack to the hard one.
	RaiseStack bool `json:"raise_stack,omitempty"`
}

// decodeRequest reads a brief strictly: an unknown field or a second value is an
// error, and every typed value checks itself.
func decodeRequest(b []byte) (Request, error) {
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	var brief Request
	if err := d.Decode(&brief); err != nil {
		return Request{}, fmt.Errorf("cannot read the brief: %w", err)
	}
	if _, err := d.Token(); err != io.EOF {
		return Request{}, fmt.Errorf("cannot read the brief: it has more than one value")
	}
	if brief.Version != Version {
		return Request{}, fmt.Errorf("jacamar-auth speaks version %d of the handoff and jacamar version %d: install both from one package", brief.Version, Version)
	}
	return brief, nil
}
