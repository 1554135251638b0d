package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"jacamar-ci/test/harness/fakerunner"
	"jacamar-ci/test/harness/site"
)

// logins compares the calls of whole jobs of 12 stages, in turns: with the login that the
// runner's own scripts share, with a login in every script, and where base is the
// directory of other programs, with those.
func logins(install *site.Install, rounds int, base string) error {
	ways := []struct{ name, mode, programs string }{{"login_shells = \"job\"", "job", ""}, {"login_shells = \"stage\"", "stage", ""}}
	if base != "" {
		ways = append(ways, struct{ name, mode, programs string }{base, "", base})
	}
	var sites []*site.Site
	for _, w := range ways {
		s, err := install.Open()
		if err != nil {
			return err
		}
		defer s.Close()
		if err := s.Reconfigure(func(c site.Config) { c.Set("general", "login_shells", w.mode) }); err != nil {
			return err
		}
		if w.programs != "" {
			if err := useOlder(s, w.programs); err != nil {
				return err
			}
		}
		sites = append(sites, s)
	}
	for _, lines := range []int{0, 300} {
		took, used := make([]sample, len(ways)), make([]sample, len(ways))
		err := withProfile(sites[0].Account.Home, lines, func() error {
			for range max(rounds/10, 3) {
				for i, s := range sites {
					before := usedByChildren()
					total, err := wholeJob(s)
					if err != nil {
						return err
					}
					took[i], used[i] = append(took[i], total), append(used[i], usedByChildren()-before)
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
		fmt.Printf("\nAll calls of a job of 12 stages, each script `true`; a profile of %d lines, Lmod: %s; %d rounds, taking turns\n\n", lines, lmod(), len(took[0]))
		for i, w := range ways {
			fmt.Printf("%-24s %s (%s), %.2f x; processor time %s, %.2f x\n", w.name, millis(took[i].median()), took[i].spread(), relative(took, i), millis(used[i].median()), relative(used, i))
		}
	}
	return nil
}

// relative is the median of a sample as a part of that of the last one.
func relative(all []sample, i int) float64 {
	return all[i].median().Seconds() / all[len(all)-1].median().Seconds()
}

// usedByChildren is the processor time of all that this process has started and waited for:
// unlike the wall clock, it hardly depends on what else the machine does.
func usedByChildren() time.Duration {
	var u unix.Rusage
	_ = unix.Getrusage(unix.RUSAGE_CHILDREN, &u) // it cannot fail
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// lmodInit is what Debian's package has login shells read.
const lmodInit = "/usr/share/lmod/lmod/init/profile"

const fromProfile = "from the account's profile in every login"

// lmod reports how logins of this machine load Lmod.
func lmod() string {
	if files, _ := filepath.Glob("/etc/profile.d/*lmod*"); len(files) > 0 {
		return "in every login"
	}
	if _, err := os.Stat(lmodInit); err == nil {
		return fromProfile
	}
	return "not installed"
}

// withProfile calls work while the account has a profile of so many lines of the kinds
// that people write, and Lmod, where it is installed.
func withProfile(home string, lines int, work func() error) (err error) {
	file := filepath.Join(home, ".bash_profile")
	before, failed := os.ReadFile(file)
	var text strings.Builder
	if lmod() == fromProfile {
		fmt.Fprintln(&text, ".", lmodInit)
	}
	for n := range lines / 6 {
		fmt.Fprintf(&text, "if [ -d /opt/tool%[1]d/bin ]; then\n  PATH=/opt/tool%[1]d/bin:$PATH\nfi\nexport TOOL_%[1]d_HOME=/opt/tool%[1]d\n"+
			"alias tool%[1]d='tool --number %[1]d'\ntool_%[1]d() { local all=\"$*\"; echo \"${all:-none}\"; }\n", n)
	}
	if err := os.WriteFile(file, []byte(text.String()), 0o644); err != nil {
		return err
	}
	defer func() {
		if failed != nil {
			err = errors.Join(err, os.Remove(file))
			return
		}
		err = errors.Join(err, os.WriteFile(file, before, 0o644))
	}()
	return work()
}

// wholeJob runs a job of 12 stages and returns the time of all calls of the driver.
func wholeJob(s *site.Site) (total time.Duration, err error) {
	j := s.Job("true")
	j.Raw = map[string][]byte{}
	for _, stage := range runStages {
		j.Raw[stage] = []byte("true\n")
	}
	result := s.Runner().Run(j)
	if result.Outcome != fakerunner.Success {
		return 0, fmt.Errorf("the job ended as %s: %s\n%s", result.Outcome, result.Reason, result.Trace)
	}
	if len(result.Calls) != len(runStages)+3 {
		return 0, fmt.Errorf("the job had the stages %v", result.Stages())
	}
	for _, c := range result.Calls {
		total += c.Duration
	}
	return total, nil
}
