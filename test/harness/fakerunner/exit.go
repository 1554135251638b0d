package fakerunner

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
)

// The exit statuses of the contract.
const (
	buildFailure  = 1
	systemFailure = 2
)

// BuildError is a failure that the runner attributes to the job.
type BuildError struct {
	// Code is the script's exit code, 0 when the code file contains 0 or the
	// failure has none.
	Code int
	Text string
}

// Error implements error.
func (e *BuildError) Error() string { return e.Text }

// UnknownFailure is an exit status outside the contract, or a code file that
// has no number.
type UnknownFailure struct {
	Code   int
	Reason string
}

// Error implements error.
func (e *UnknownFailure) Error() string {
	return fmt.Sprintf("unknown Custom executor executable exit code %d; executable execution terminated with: %s", e.Code, e.Reason)
}

// CodeFile is what BUILD_EXIT_CODE_FILE held after a call.
type CodeFile struct {
	Present bool
	Text    string
	// Code is the number on the first line; Valid reports whether it is one.
	Code  int
	Valid bool
}

func readCodeFile(path string) CodeFile {
	b, err := os.ReadFile(path)
	if err != nil {
		return CodeFile{Present: !errors.Is(err, fs.ErrNotExist)}
	}
	c := CodeFile{Present: true, Text: string(b)}
	first, _, _ := strings.Cut(c.Text, "\n")
	c.Code, err = strconv.Atoi(strings.TrimSuffix(first, "\r"))
	c.Valid = err == nil
	return c
}

// judge returns the runner's interpretation of a driver's end.
func judge(err error, file CodeFile) error {
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		return err
	}
	switch code := exit.ExitCode(); code {
	case buildFailure:
		return judgeBuildFailure(err, file)
	case systemFailure:
		return err
	default:
		return &UnknownFailure{Code: code, Reason: err.Error()}
	}
}

func judgeBuildFailure(err error, file CodeFile) error {
	switch {
	case !file.Present:
		return &BuildError{Code: buildFailure, Text: err.Error()}
	case !file.Valid:
		return &UnknownFailure{Code: buildFailure, Reason: "the code file is not a number"}
	}
	return &BuildError{Code: file.Code, Text: fmt.Sprintf("exit status %d", file.Code)}
}

// status splits what Wait returned into exit status and signal; -1 is a
// process that did not exit by itself or never started.
func status(err error) (int, syscall.Signal) {
	var exit *exec.ExitError
	switch {
	case err == nil:
		return 0, 0
	case errors.As(err, &exit):
		if ws, ok := exit.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
			return -1, ws.Signal()
		}
		return exit.ExitCode(), 0
	}
	return -1, 0
}
