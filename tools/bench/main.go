// Command bench compares Jacamar with other ways to become a user on this machine, in
// one run so that the numbers can be compared:
//
//	go run ./tools/bench [-rounds 200] [-only PART] [-jobs 500] [-age 40s] [-against DIR]
//
// It needs root, and uses the account jci-alice, which it creates. Times are wall-clock
// times; the measurements take turns, so that other work of the machine affects all of
// them equally.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"time"

	"jacamar-ci/test/harness/fakerunner"
	"jacamar-ci/test/harness/setup/containers"
	"jacamar-ci/test/harness/site"
)

// realJobs is how many jobs of a real Slurm a small machine can start in some minutes.
const realJobs = 60

func main() {
	if err := containers.Enter(); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
	rounds := flag.Int("rounds", 200, "how often each short command is run")
	base := flag.String("against", "", "compare the stages with those of the programs in `DIR` instead; with -only storage, count what those do")
	only := flag.String("only", "", "measure only one `PART`: start, logins, journal, page, stages, waiting, log, directories, storage, containers, batch, load or slurm-load")
	jobs := flag.Int("jobs", 500, "how many batch jobs run at once under load")
	age := flag.Duration("age", 40*time.Second, "how old the youngest of these jobs is when they are measured")
	flag.Parse()
	if err := bench(*rounds, *jobs, *age, *only, *base); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func bench(rounds, jobs int, age time.Duration, only, base string) error {
	if only == "start" {
		return starts(rounds)
	}
	if os.Geteuid() != 0 {
		return errors.New("only root can compare ways to become another user")
	}
	install, err := site.NewInstall()
	if err != nil {
		return err
	}
	if base != "" && only == "storage" {
		return errors.Join(storage(install, base), install.Remove())
	}
	if base != "" {
		err := against(install, base, rounds)
		if err == nil {
			err = logins(install, rounds, base)
		}
		return errors.Join(err, install.Remove())
	}
	for _, part := range []struct {
		name string
		work func() error
	}{
		{"start", func() error { return starts(rounds) }},
		{"journal", func() error { return alone(install, rounds, (*benchmark).journal) }},
		{"page", func() error { return alone(install, rounds, (*benchmark).page) }},
		{"stages", func() error { return alone(install, rounds, (*benchmark).local) }},
		{"logins", func() error { return logins(install, rounds, "") }},
		{"waiting", func() error { return alone(install, rounds, (*benchmark).memory) }},
		{"log", func() error { return alone(install, rounds, (*benchmark).jobLog) }},
		{"directories", func() error { return directories(install, rounds) }},
		{"storage", func() error { return storage(install, "") }},
		{"containers", func() error { return contained(install, rounds) }},
		{"batch", func() error { return withSlurm(install, compareWays) }},
		{"load", func() error { return underFake(install, jobs, age) }},
		{"slurm-load", func() error { return underSlurm(install, min(jobs, realJobs), age) }},
	} {
		if err == nil && (only == "" || only == part.name) {
			err = part.work()
		}
	}
	return errors.Join(err, install.Remove())
}

// alone runs one part of the measurements on a site of its own.
func alone(install *site.Install, rounds int, part func(*benchmark) error) error {
	s, err := install.Open()
	if err != nil {
		return err
	}
	return errors.Join(part(&benchmark{site: s, rounds: rounds}), s.Close())
}

// local measures single stages and whole jobs.
func (b *benchmark) local() error {
	for _, part := range []func() error{b.stages, b.decision, b.wholeJobs} {
		if err := part(); err != nil {
			return err
		}
	}
	return nil
}

// benchmark is one run.
type benchmark struct {
	site   *site.Site
	rounds int
	// shells is the median time of a stage's shells without Jacamar.
	shells sample
	// image is that of jobs, "" for none.
	image string
}

// during runs a job and calls work when the given stage has ended, with all files of the
// job still there to repeat that call.
func (b *benchmark) during(stage string, script string, work func(fakerunner.Call) error) error {
	j := b.site.Job("true")
	j.Image, j.Raw = b.image, map[string][]byte{"build_script": []byte(script)}
	r := b.site.Runner()
	var err error
	r.Hooks.Ended = func(c fakerunner.Call) {
		if c.Stage == stage && err == nil {
			err = work(c)
		}
	}
	result := r.Run(j)
	if err == nil && result.Outcome != fakerunner.Success {
		err = fmt.Errorf("the job ended as %s: %s\n%s", result.Outcome, result.Reason, result.Trace)
	}
	return err
}
