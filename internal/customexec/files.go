package customexec

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"jacamar-ci/internal/failure"
	"jacamar-ci/internal/job"
)

// Script reads what a run stage runs, nil for the other stages, and clears the file
// for its exit code. It is called before any privilege is given up: the job's user
// cannot enter the runner's directories.
func (e Environ) Script(stage job.Stage, file string) ([]byte, error) {
	if stage != job.Run {
		return nil, nil
	}
	if err := removeExitCode(e.CodeFile); err != nil {
		return nil, err
	}
	var text []byte
	p, err := job.ParseAbsPath(file)
	if err == nil {
		text, err = readRunnerFile(p, job.MaxScript)
	}
	if err != nil {
		return nil, failure.Privatef("cannot read the script: %w", err)
	}
	return text, nil
}

// SubStage reads the runner's name of a run stage's script; the other stages have
// none.
func SubStage(stage job.Stage, name string) (job.SubStage, error) {
	if stage != job.Run {
		return "", nil
	}
	sub, err := job.ParseSubStage(name)
	if err != nil {
		return "", failure.Privatef("cannot run the script: %w", err)
	}
	return sub, nil
}

// readRunnerFile reads a file that the runner made for this call: a regular file
// of this process's own user that no other account can write.
func readRunnerFile(p job.AbsPath, limit int64) ([]byte, error) {
	file, err := os.OpenFile(p.String(), os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	owner := info.Sys().(*syscall.Stat_t).Uid
	switch {
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("%s is not a regular file", p)
	case owner != uint32(os.Geteuid()):
		return nil, fmt.Errorf("%s is owned by uid %d, not by the runner's uid %d", p, owner, os.Geteuid())
	case info.Mode().Perm()&0o022 != 0:
		return nil, fmt.Errorf("%s can be written by others (mode %04o)", p, info.Mode().Perm())
	case info.Size() > limit:
		return nil, fmt.Errorf("%s has %d bytes, over the limit of %d", p, info.Size(), limit)
	}
	return readWhole(file, info.Size(), limit)
}

// readWhole reads a file of the expected size, and refuses one that grows over the
// limit.
func readWhole(file io.Reader, size, limit int64) ([]byte, error) {
	var text bytes.Buffer
	text.Grow(int(size) + bytes.MinRead)
	_, err := text.ReadFrom(io.LimitReader(file, limit+1))
	if int64(text.Len()) > limit {
		return nil, fmt.Errorf("the file grew over the limit of %d bytes", limit)
	}
	return text.Bytes(), err
}

// removeExitCode removes the exit code of an earlier stage: the runner never does,
// and would take it for this one's.
func removeExitCode(p job.AbsPath) error {
	if p.IsZero() {
		return nil
	}
	if err := os.Remove(p.String()); err != nil && !os.IsNotExist(err) {
		return failure.Privatef("cannot remove an earlier exit code: %w", err)
	}
	return nil
}

// WriteExitCode passes the exit code of a failed script to the runner.
func WriteExitCode(p job.AbsPath, code int) error {
	if p.IsZero() {
		return nil
	}
	file, err := os.OpenFile(p.String(), os.O_WRONLY|os.O_CREATE|os.O_EXCL|unix.O_NOFOLLOW, 0o600)
	if err == nil {
		_, err = file.WriteString(strconv.Itoa(code) + "\n")
		err = errors.Join(err, file.Close())
	}
	if err != nil {
		return failure.Privatef("cannot write the script's exit code: %w", err)
	}
	return nil
}

// ConfigOutput is the only text that the config stage writes to standard output. Source: executors/custom/api/config.go of GitLab Runner.
type ConfigOutput struct {
	BuildsDir job.AbsPath `json:"builds_dir"`
	CacheDir  job.AbsPath `json:"cache_dir"`
	// BuildsDirIsShared stays false: every concurrent job of a runner and
	// account has a builds directory of its own.
	BuildsDirIsShared bool   `json:"builds_dir_is_shared"`
	Hostname          string `json:"hostname"`
	Driver            Driver `json:"driver"`
	// JobEnv becomes part of the environment of the later stages.
	JobEnv map[string]string `json:"job_env"`
	// Shell is the kind of shell that the runner writes its scripts for.
	Shell string `json:"shell"`
}

// Driver is the name of the driver that the runner prints in the job's log.
type Driver struct {
	Name    string `json:"name"`
	Version string `json:"version"`
}

// processors limits Go's runtime, which prepares for every processor before the first line
// of a program runs: on a node with hundreds of them, many times as long as the rest of
// its start. The config stage is too early for it. Source: package runtime of Go.
const processors = "GOMAXPROCS"

// NewConfigOutput is the output of a config stage that made the directories; state is
// for the later stages.
func NewConfigOutput(builds, cache job.AbsPath, version, state string) ConfigOutput {
	host, _ := os.Hostname()
	return ConfigOutput{
		BuildsDir: builds, CacheDir: cache, Hostname: host,
		Driver: Driver{Name: "jacamar", Version: strings.TrimPrefix(version, "v")},
		JobEnv: map[string]string{stateVariable: state, processors: "1"},
		Shell:  "bash",
	}
}

// Write writes the output in one piece.
func (a ConfigOutput) Write(w io.Writer) error {
	return json.NewEncoder(w).Encode(a)
}
