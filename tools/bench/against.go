package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"jacamar-ci/test/harness/fakerunner"
	"jacamar-ci/test/harness/site"
)

// against compares the stages of a small job with those of another build, whose programs
// are in a directory, in turns.
func against(install *site.Install, programs string, rounds int) error {
	var sites [2]*site.Site
	for i := range sites {
		s, err := install.Open()
		if err != nil {
			return err
		}
		defer s.Close()
		sites[i] = s
	}
	if err := useOlder(sites[1], programs); err != nil {
		return err
	}
	stages := []string{"config", "prepare", "build_script", "cleanup"}
	took := map[string]*[2]sample{}
	for _, stage := range stages {
		took[stage] = &[2]sample{}
	}
	for range rounds {
		for i, s := range sites {
			if err := timed(s, func(stage string, d time.Duration) {
				if of := took[stage]; of != nil {
					of[i] = append(of[i], d)
				}
			}); err != nil {
				return err
			}
		}
	}
	fmt.Printf("Stages of a job, and those of %s; %d rounds, taking turns\n\n", programs, rounds)
	for _, stage := range stages {
		own, base := took[stage][0], took[stage][1]
		fmt.Printf("%-13s %s (%s)  %s (%s)  %s more, %.2f x\n", stage, millis(own.median()), own.spread(), millis(base.median()), base.spread(),
			millis(own.median()-base.median()), own.median().Seconds()/base.median().Seconds())
	}
	return costs(sites[0], sites[1], rounds)
}

// useOlder makes a site use the programs of an older build in a directory.
func useOlder(s *site.Site, programs string, change ...func(site.Config)) error {
	s.Auth = filepath.Join(programs, "jacamar-auth")
	text, err := os.ReadFile(s.Auth)
	if err != nil {
		return err
	}
	return s.Reconfigure(append(change, func(c site.Config) {
		c.Set("auth", "jacamar_path", filepath.Join(programs, "jacamar"))
		if !bytes.Contains(text, []byte("helper_account")) {
			delete(c["auth"], "helper_account") // which older builds refuse
		}
	})...)
}

// timed runs one small job and reports how long each call took.
func timed(s *site.Site, report func(stage string, took time.Duration)) error {
	j := s.Job("true")
	j.Bare, j.Raw = true, map[string][]byte{"build_script": []byte("true\n")}
	r := s.Runner()
	result := r.Run(j)
	if result.Outcome != fakerunner.Success {
		return errors.New(result.Reason + "\n" + result.Trace)
	}
	for _, c := range slices.Clone(result.Calls) {
		report(c.Stage, c.Duration)
	}
	return nil
}

// useBuild makes a site use the programs in a directory, "" for those of this build.
func useBuild(s *site.Site, programs string, change ...func(site.Config)) error {
	if programs == "" {
		return nil
	}
	return useOlder(s, programs, change...)
}
