// Command bench compares Jacamar with other ways to become a user on this machine, in
// one run so that the numbers can be compared:
//
//	go run ./tools/bench [-rounds 200] [-only start|journal|local|directories|batch] [-against DIR]
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

	"jacamar-ci/test/harness/fakerunner"
	"jacamar-ci/test/harness/site"
)

func main() {
	rounds := flag.Int("rounds", 200, "how often each short command is run")
	base := flag.String("against", "", "compare the stages with those of the programs in `DIR` instead")
	only := flag.String("only", "", "measure only the \"start\" of jacamar-auth, the \"journal\", what is \"local\", build \"directories\", or \"batch\" jobs")
	flag.Parse()
	if err := bench(*rounds, *only, *base); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func bench(rounds int, only, base string) error {
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
	if base != "" {
		return errors.Join(against(install, base, rounds), install.Remove())
	}
	for _, part := range []struct {
		name string
		work func() error
	}{
		{"start", func() error { return starts(rounds) }},
		{"journal", func() error { return alone(install, rounds, (*benchmark).journal) }},
		{"local", func() error { return measure(install, rounds) }},
		{"directories", func() error { return directories(install, rounds) }},
		{"batch", func() error { return batch(install) }},
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

func measure(install *site.Install, rounds int) error {
	s, err := install.Open()
	if err != nil {
		return err
	}
	b := &benchmark{site: s, rounds: rounds}
	for _, part := range []func() error{b.stages, b.decision, b.wholeJobs, b.memory, b.jobLog} {
		if err = part(); err != nil {
			break
		}
	}
	return errors.Join(err, s.Close())
}

// benchmark is one run.
type benchmark struct {
	site   *site.Site
	rounds int
	// shells is the median time of a stage's shells without Jacamar.
	shells sample
}

// during runs a job and calls work when the given stage has ended, with all files of the
// job still there to repeat that call.
func (b *benchmark) during(stage string, script string, work func(fakerunner.Call) error) error {
	j := b.site.Job("true")
	j.Raw = map[string][]byte{"build_script": []byte(script)}
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
