package container

import (
	"errors"

	"jacamar-ci/internal/failure"
)

// killed is the exit code of a process that SIGKILL has ended, as a shell reports it.
const killed = 128 + 9

// Outcome returns the error of a start that ended by itself, nil for a successful script.
// code is the exit code of the engine's command; signalled reports that a signal ended it.
func Outcome(e Engine, p Progress, code int, signalled bool) error {
	switch {
	case p.Ended && p.Code == 0:
		return nil
	case p.Ended:
		return failure.Exit(p.Code)
	case p.Inside && !p.Began:
		return failure.Buildf("the image has no shell: jobs need sh or bash in it")
	case signalled || code == killed:
		return failure.Systemf("%s was killed before the job's script ended", e.Name())
	case p.Began:
		return failure.Buildf("the image's entrypoint ended (exit code %d) before the job's script", code).WithHint(entrypointHint)
	case code == 0:
		return failure.Buildf("the image's entrypoint ended (exit code 0) without starting the job's script").WithHint(entrypointHint)
	}
	return notStarted(e, code)
}

const entrypointHint = `an entrypoint must execute its arguments; to leave it out, write in .gitlab-ci.yml: image: {name: …, entrypoint: [""]}`

// ExplainDash adds a hint to the failure of a script that dash(1) could not read.
func ExplainDash(err error) error {
	if f, ok := errors.AsType[*failure.Error](err); ok && f.Kind == failure.Build && (f.Code == 2 || f.Code == 127) {
		return f.WithHint(`the image's shell is dash: if the script failed at once, set the variable FF_POSIXLY_CORRECT_ESCAPES to "true", or use an image with bash`)
	}
	return err
}

// notStarted explains an engine that failed before the script.
func notStarted(e Engine, code int) error {
	if e.Fault(code) == failure.Build {
		return failure.Buildf("%s cannot start the job's script in the image (exit code %d)", e.Name(), code).
			WithHint("see the lines above; " + entrypointHint)
	}
	return failure.Systemf("%s failed to start the container (exit code %d)", e.Name(), code).
		WithHint("see the lines above; administrators: jacamar-admin check")
}

// ExplainRunner is the outcome of a script of the runner's in the image that the site has
// for them: a start that failed before the script is no fault of the job.
func ExplainRunner(e Engine, p Progress, err error) error {
	if err == nil || p.Ended {
		return err
	}
	return failure.Systemf("cannot run a script of GitLab Runner in its container: %w", err).
		WithHint("administrators: general.%s.runner_image and runner_entry_point", e.Name())
}
