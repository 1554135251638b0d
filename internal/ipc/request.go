package ipc

import (
	"encoding/binary"
	"fmt"
	"time"

	"jacamar-ci/internal/image"
	"jacamar-ci/internal/inherit"
	"jacamar-ci/internal/job"
	"jacamar-ci/internal/proctree"
	"jacamar-ci/internal/settings"
)

// Version of the messages. Both programs come from one package; a difference means a
// half-finished upgrade, and is refused.
const Version = 10

// Request is everything that jacamar receives about a job. It never sees the site's
// configuration file, the runner's environment or the token.
type Request struct {
	Version  int          `json:"version"`
	Stage    job.Stage    `json:"stage"`
	SubStage job.SubStage `json:"sub_stage,omitempty"`
	Account  job.Account  `json:"account"`
	Job      Job          `json:"job"`
	Settings Settings     `json:"settings"`
	// Dirs are those that the config stage made; zero in config itself and in a cleanup
	// that follows a failed config.
	Dirs Dirs `json:"dirs,omitzero"`
	// Start is the state of the new process, which jacamar verifies.
	Start inherit.Start `json:"start,omitzero"`
	// Reap is no stage: jacamar ends processes that outlived an earlier jacamar and that
	// only their account may signal, as jacamar-auth names them.
	Reap bool `json:"reap,omitempty"`
	// Measure is how long jacamar may measure the build directory in cleanup; 0 for not
	// at all.
	Measure time.Duration `json:"measure,omitempty"`
	// LiveJobs is how many jobs of this host were live when a script of the author's began,
	// this one included; 0 where that is not known.
	LiveJobs int `json:"live_jobs,omitempty"`
	// Ghost means that the job was abandoned by its runner: cleanup waits for the end of
	// a stage that still runs.
	Ghost bool `json:"ghost,omitempty"`
	// MayRun means that processes of ended stages may run: one may have been killed together
	// with what ends its processes, or could not end them. Cleanup looks for them.
	MayRun bool `json:"may_run,omitempty"`
}

// Misspelt is a variable of the job, and the name that is probably meant.
type Misspelt struct {
	Name  string `json:"name"`
	Meant string `json:"meant"`
}

// Job is what the runner and the job's author specify. Texts of the author's are
// bytes: they need not be what a JSON string can contain.
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
	// StepRunner is the same for step-runner, for a job that is written with "run:".
	StepRunner bool `json:"step_runner,omitempty"`
	// Image and Services report that the job names them. Without Settings.Container they
	// have no effect.
	Image    bool `json:"image,omitempty"`
	Services bool `json:"services,omitempty"`
	// Path is the job's own variable PATH, empty when it sets none.
	Path []byte `json:"path,omitempty"`
	// CustomBuilds is the job's CUSTOM_CI_BUILDS_DIR, empty when it sets none.
	CustomBuilds []byte `json:"custom_builds,omitempty"`
	// Misspelt are variables of the job that probably have the name of one that is read.
	Misspelt []Misspelt `json:"misspelt,omitempty"`
	// Login is what the job's shell has from the runner's environment.
	Login []job.Env `json:"login,omitempty"`
	// NoProfile leaves out the login profiles, as the job's author requests.
	NoProfile bool `json:"no_profile,omitempty"`
	// Timeout of the job as GitLab gave it, in seconds.
	Timeout int `json:"timeout"`
	// Owner is the process that calls the driver: while it lives, the job may.
	Owner proctree.Process `json:"owner"`
}

// Settings are those of the site that jacamar uses.
type Settings struct {
	settings.General
	// DataDir is the base directory for the job's files, and Message the text at the
	// top of prepare: the site's own, or those that its RunAs script returned.
	DataDir string `json:"data_dir"`
	Message string `json:"message,omitempty"`
	// Downscope is how the account was reached.
	Downscope   settings.Downscope   `json:"downscope"`
	Confinement settings.Confinement `json:"confinement,omitzero"`
	// Batch is set for the executors that submit to a scheduler.
	Batch *Batch `json:"batch,omitempty"`
	// Container is set where the site runs scripts in containers.
	Container *Container `json:"container,omitempty"`
}

// ConfinesJacamar reports whether the confinement of the job also applies to jacamar
// as a whole, from its first instruction: not where it calls a batch system.
func (s Settings) ConfinesJacamar() bool { return s.Confinement.NoNewPrivs && s.Batch == nil }

// Batch is what a batch executor needs. jacamar splits and judges the job's arguments,
// as the user, who can call the scheduler anyway; jacamar-auth only passes them on.
type Batch struct {
	settings.Batch
	Rules []BatchRule `json:"rules,omitempty"`
	// Arguments are the job's own, one for each variable that is set.
	Arguments []BatchArguments `json:"arguments,omitempty"`
}

// Container is what a job in a container needs. The image has been compared with the
// site's rules; jacamar resolves the job's options, as for Batch.
type Container struct {
	settings.Container
	Mechanism settings.Mechanism `json:"mechanism"`
	Engine    settings.Engine    `json:"engine"`
	// Image is nil for a job that runs on the host.
	Image *image.Request `json:"image,omitempty"`
	// LocalImages is set for an image that is a path: where its links may lead.
	LocalImages []image.Paths `json:"local_images,omitempty"`
	// Policies are those to try, in order.
	Policies  []image.PullPolicy `json:"policies,omitempty"`
	Arguments []BatchArguments   `json:"arguments,omitempty"`
	// Runner is the site's image of the runner's own scripts, nil where they run on the
	// host, and RunnerPolicies are those to try for it.
	Runner         *image.Request     `json:"runner,omitempty"`
	RunnerPolicies []image.PullPolicy `json:"runner_policies,omitempty"`
	// Modules are those of the job, in the order in which they apply.
	Modules []Module `json:"modules,omitempty"`
	// Services run with the script; none where the job runs on the host.
	Services []Service `json:"services,omitempty"`
	// DebugServices copies what services print into the job's log.
	DebugServices bool `json:"debug_services,omitempty"`
	// Registries and AuthConfig are in the request for prepare only: GitLab's own logins,
	// and the text of the job's DOCKER_AUTH_CONFIG.
	Registries []Registry `json:"registries,omitempty"`
	AuthConfig []byte     `json:"auth_config,omitempty"`
}

// Module is a [[container.module]] with the options of the site's engine.
type Module struct {
	settings.Module
	Options []string `json:"options,omitempty"`
}

// Service is one of `services:` of a job, of which the image has been compared with the
// site's rules.
type Service struct {
	image.Service
	// Env are the job's public variables and then the service's own, with no name twice.
	Env []job.Env `json:"env,omitempty"`
	// Policies are those to try for its image, in order.
	Policies []image.PullPolicy `json:"policies"`
}

// Registry is a login for a registry.
type Registry struct {
	URL      string `json:"url"`
	User     string `json:"user"`
	Password []byte `json:"password"`
}

// BatchRule is a [[batch.rule]] that matches the job.
type BatchRule struct {
	Name string `json:"name"` // as error messages have it
	settings.RuleArgs
}

// BatchArguments is the text of one CI variable.
type BatchArguments struct {
	Variable string `json:"variable"`
	Text     []byte `json:"text"`
}

// Dirs are the directories of one job. All are below Base but for Builds, which is
// elsewhere where the job chose that.
type Dirs struct {
	// Base is the account's directory for all jobs.
	Base    job.AbsPath `json:"base"`
	Builds  job.AbsPath `json:"builds"`
	Cache   job.AbsPath `json:"cache"`
	Scripts job.AbsPath `json:"scripts"`
}

// decodeRequest decodes a request. The version is the first field.
func decodeRequest(b []byte) (Request, error) {
	if version, n := binary.Varint(b); n > 0 && version != Version {
		return Request{}, fmt.Errorf("jacamar-auth uses another version of the messages than jacamar, which uses version %d: install both from one package", Version)
	}
	var r Request
	if err := decode(b, &r); err != nil {
		return Request{}, fmt.Errorf("cannot read the request: %w", err)
	}
	return r, nil
}
