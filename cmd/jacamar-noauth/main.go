// The runtime would keep the file with the cgroup's processor limit open and read it again
// while it runs, without use here. It looks for it once at its start in any case.
//
//go:debug containermaxprocs=0
//go:debug updatemaxprocs=0

// Command jacamar-noauth is what `jacamar --no-auth` becomes: it runs the stages
// of a job for an account that has a runner of its own, without authorization.
package main

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"

	"jacamar-ci/internal/driver"
	"jacamar-ci/internal/job"
	"jacamar-ci/internal/noauth"
)

func main() {
	// A stage has one thing to do at a time. Goroutines that take turns on one processor
	// need fewer threads, and fewer switches between them, than the default.
	runtime.GOMAXPROCS(1)
	call, err := parse(os.Args)
	if err != nil {
		session, _ := driver.Open(call)
		status, _ := session.Misuse("jacamar", err)
		os.Exit(status)
	}
	os.Exit(noauth.Main(call))
}

// parse reads `jacamar --no-auth STAGE …`, with the flag or, called by its own
// name, without it.
func parse(args []string) (call driver.Call, err error) {
	if len(args) > 1 && args[1] == "--no-auth" {
		args = args[1:]
	}
	if len(args) < 2 {
		return call, errors.New("it takes a stage (see jacamar --help)")
	}
	if call.Stage, err = job.ParseStage(args[1]); err != nil {
		return call, fmt.Errorf("%w (see jacamar --help)", err)
	}
	rest := args[2:]
	switch call.Stage {
	case job.Config, job.Cleanup:
		if call.Configuration, rest = configuration(rest); call.Configuration == "" {
			return call, fmt.Errorf("%s takes --configuration FILE", call.Stage)
		}
	case job.Run:
		if len(rest) != 2 {
			return call, fmt.Errorf("run takes a script and the name of its stage, not %d arguments", len(rest))
		}
		call.Script, call.SubStage, rest = rest[0], rest[1], nil
	case job.Prepare:
	}
	if len(rest) != 0 {
		return call, fmt.Errorf("%s takes no argument %q", call.Stage, job.Clip(rest[0]))
	}
	return call, nil
}

// configuration takes the one option, in both of its spellings.
func configuration(args []string) (file string, rest []string) {
	if len(args) == 0 {
		return "", nil
	}
	if value, ok := strings.CutPrefix(args[0], "--configuration="); ok {
		return value, args[1:]
	}
	if len(args) > 1 && args[0] == "--configuration" {
		return args[1], args[2:]
	}
	return "", args
}
