package main

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"jacamar-ci/test/harness/fakerunner"
	"jacamar-ci/test/harness/site"
)

// usage is what calls of one stage have used, those of their children included.
type usage struct{ cpu, faults sample }

// costs compares the processor time and the page faults of stages of two sites, in turns:
// unlike the wall clock, they hardly depend on what else the machine does.
func costs(own, base *site.Site, rounds int) error {
	fmt.Printf("\nProcessor time of a stage, and that of the other build; %d rounds, taking turns\n\n", rounds)
	for _, stage := range []string{"config", "prepare", "build_script"} {
		one, two := &benchmark{site: own}, &benchmark{site: base}
		err := one.during(stage, "true\n", func(first fakerunner.Call) error {
			return two.during(stage, "true\n", func(second fakerunner.Call) error {
				return compareCosts(stage, [2]*site.Site{own, base}, [2]fakerunner.Call{first, second}, rounds)
			})
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func compareCosts(stage string, sites [2]*site.Site, calls [2]fakerunner.Call, rounds int) error {
	var used [2]usage
	var restore [2]func() error
	for i, s := range sites {
		restore[i] = keepSizes(s)
	}
	for range rounds {
		for i, c := range calls {
			if err := restore[i](); err != nil {
				return err
			}
			cmd := again(c)()
			if out, err := cmd.CombinedOutput(); err != nil {
				return fmt.Errorf("%s: %w: %s", stage, err, out)
			}
			state := cmd.ProcessState
			used[i].cpu = append(used[i].cpu, state.UserTime()+state.SystemTime())
			used[i].faults = append(used[i].faults, time.Duration(state.SysUsage().(*syscall.Rusage).Minflt))
		}
	}
	own, other := used[0], used[1]
	fmt.Printf("%-13s %s (%s)  %s (%s), %.2f x; page faults %d and %d\n", stage, millis(own.cpu.median()), own.cpu.spread(), millis(other.cpu.median()), other.cpu.spread(),
		own.cpu.median().Seconds()/other.cpu.median().Seconds(), own.faults.median(), other.faults.median())
	return nil
}

// keepSizes returns a function that gives the files that each stage extends, the journal
// and the operator's log, their size of now: a stage that is repeated would otherwise
// become more expensive.
func keepSizes(s *site.Site) func() error {
	files, _ := filepath.Glob(filepath.Join(s.StateDir, "journal", "*", "live", "*")) // the pattern is valid
	sizes := map[string]int64{}
	for _, file := range append(files, filepath.Join(s.StateDir, "operator.log")) {
		if info, err := os.Stat(file); err == nil {
			sizes[file] = info.Size()
		}
	}
	return func() error {
		for file, size := range sizes {
			if err := os.Truncate(file, size); err != nil {
				return err
			}
		}
		return nil
	}
}
