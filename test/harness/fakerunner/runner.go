package fakerunner

import (
	"os"
	"sync"
	"syscall"
	"time"
)

// Custom is the table [runners.custom] of the runner's config.toml. Each
// command is the program followed by its configured arguments; a nil one is
// not configured. Only Run is required.
type Custom struct {
	Config  []string
	Prepare []string
	Run     []string
	Cleanup []string

	// The timeouts of one call; 0 means the runner's default of one hour.
	ConfigTimeout, PrepareTimeout, CleanupTimeout time.Duration
	// GracefulKill is the time from SIGTERM to SIGKILL, 0 for 10 minutes, and
	// ForceKill from SIGKILL to giving up, 0 for 10 seconds.
	GracefulKill, ForceKill time.Duration
}

// Credential is the account that the runner's service has. The zero value of
// a pointer to it is the account of the calling process.
type Credential struct {
	UID, GID uint32
	Groups   []uint32
}

// Runner is one [[runners]] entry together with the process that serves it.
// Fields are set before the first job and not changed after.
type Runner struct {
	Custom Custom

	// BuildsDir and CacheDir have no default here: unless the driver's config
	// stage names them, a job is a configuration error.
	BuildsDir, CacheDir string
	// Shell is the shell scripts are written for, "bash" when empty.
	Shell string
	// ShortToken is in the build directory's path when it is shared.
	ShortToken string
	// Environment are the [[runners]] "environment" entries, KEY=value.
	Environment []string
	// Scripts that the site adds to get_sources and build_script.
	PreGetSources, PostGetSources, PreBuild, PostBuild string
	// ServerCA is the PEM chain of an https GitLab: CI_SERVER_TLS_CA_FILE.
	ServerCA string
	// CustomBuildDir allows GIT_CLONE_PATH.
	CustomBuildDir bool

	// Environ is the environment of the runner's process; nil is this process's.
	Environ []string
	// Credential starts the driver, and sends signals to it, as this account.
	Credential *Credential
	// TempRoot is the runner's TMPDIR, os.TempDir() when empty.
	TempRoot string

	// RetryPause is the time between two tries of config and prepare (3 s), StagePause
	// before the first retry of a stage, doubling after it (5 s). A negative
	// value is no pause.
	RetryPause, StagePause time.Duration
	// FinishWait is how long a stage that does not end delays cleanup (5 min).
	FinishWait time.Duration
	// Longest is how long a call may take before the test has failed: it is killed, and the
	// processes of the machine are its error. 0 is no limit.
	Longest time.Duration
	// TraceLimit drops the trace beyond that many bytes (4 MiB); CaptureLimit
	// does it for what is kept of each call's output (64 MiB).
	TraceLimit, CaptureLimit int

	// Hooks let a test observe and interfere.
	Hooks Hooks `json:"-"`
	// Judge, unless it is nil, is called with the result of each job, before anything
	// that waits for the job continues: it checks the conditions for every job.
	Judge func(Result) `json:"-"`
	// Given, unless it is nil, is called when the config stage has given a job its
	// directory for builds.
	Given func(jobID int64, buildsDir string) `json:"-"`

	slots slots
}

// Process is a started driver.
type Process struct {
	Stage string
	PID   int
}

// Hooks are called from the goroutine that runs the job (Output: from those
// that copy the streams); each may be nil.
type Hooks struct {
	// TempDir is called when a try's directory is complete, before config.
	TempDir func(dir string)
	// Launch names a program that starts the call, with its own arguments, or nil
	// for none. It is started as this process's account, and must itself become the
	// runner's.
	Launch func(stage string) []string
	// Started is called when a driver process runs.
	Started func(Process)
	// Output is called with each piece of a driver's output as it arrives.
	Output func(stage string, stream Stream, piece []byte)
	// Trace is called with each piece of the job log, masked, as it is written.
	Trace func(piece []byte)
	// Ended is called when a call is over.
	Ended func(Call)
}

func orDefault(d, standard time.Duration) time.Duration {
	switch {
	case d < 0:
		return 0
	case d == 0:
		return standard
	}
	return d
}

func orSize(n, standard int) int {
	if n <= 0 {
		return standard
	}
	return n
}

func (r *Runner) environ() []string {
	if r.Environ != nil {
		return r.Environ
	}
	return os.Environ()
}

func (r *Runner) shell() string {
	if r.Shell == "" {
		return "bash"
	}
	return r.Shell
}

func (c *Credential) syscall() *syscall.Credential {
	if c == nil {
		return nil
	}
	return &syscall.Credential{Uid: c.UID, Gid: c.GID, Groups: c.Groups}
}

// own gives a path to the runner's account.
func (c *Credential) own(path string) error {
	if c == nil {
		return nil
	}
	return os.Lchown(path, int(c.UID), int(c.GID))
}

// slots assigns the lowest free number, once for the whole runner
// (CI_CONCURRENT_ID) and once for each project (CI_CONCURRENT_PROJECT_ID).
type slots struct {
	mu   sync.Mutex
	used map[int64]map[int]bool
}

const wholeRunner = 0 // no project has the id 0

func (s *slots) take(key int64) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.used == nil {
		s.used = map[int64]map[int]bool{}
	}
	if s.used[key] == nil {
		s.used[key] = map[int]bool{}
	}
	n := 0
	for s.used[key][n] {
		n++
	}
	s.used[key][n] = true
	return n
}

func (s *slots) free(key int64, n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.used[key], n)
}
