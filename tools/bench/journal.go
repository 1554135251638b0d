package main

import (
	"fmt"
	"os"
	"path/filepath"
	"time"

	"jacamar-ci/test/harness/fakerunner"
	"jacamar-ci/test/harness/site"
)

// journal compares a stage with the journal on and off, in turns.
func (b *benchmark) journal() error {
	var took, cpu [2]sample
	err := b.during("build_script", "true\n", func(c fakerunner.Call) error {
		live, err := filepath.Glob(filepath.Join(b.site.StateDir, "journal", "*", "live", "*"))
		if err != nil || len(live) != 1 {
			return fmt.Errorf("the journal has the live jobs %q: %v", live, err)
		}
		info, err := os.Stat(live[0])
		if err != nil {
			return err
		}
		for range b.rounds {
			for on := range took {
				// A full file takes no more events, which would be cheaper.
				if err := os.Truncate(live[0], info.Size()); err != nil {
					return err
				}
				if err := b.site.Reconfigure(func(c site.Config) { c.Set("auth", "journal", site.Table{"enabled": on == 1}) }); err != nil {
					return err
				}
				begin := time.Now()
				used, err := processorTime(again(c), 0)
				if err != nil {
					return err
				}
				took[on], cpu[on] = append(took[on], time.Since(begin)), append(cpu[on], used)
			}
		}
		return b.site.Reconfigure()
	})
	if err != nil {
		return err
	}
	fmt.Printf("\nA stage with and without the journal; %d rounds, taking turns\n\n", b.rounds)
	for _, s := range []struct {
		name string
		of   [2]sample
	}{{"wall clock", took}, {"processor", cpu}} {
		fmt.Printf("%s  without  %s (%s)\n", s.name, millis(s.of[0].median()), s.of[0].spread())
		fmt.Printf("%s  with     %s (%s), %s more\n", s.name, millis(s.of[1].median()), s.of[1].spread(), millis(s.of[1].median()-s.of[0].median()))
	}
	return nil
}
