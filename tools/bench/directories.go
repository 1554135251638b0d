package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"jacamar-ci/test/harness/fakerunner"
	"jacamar-ci/test/harness/site"
)

// directories measures the times to claim and to clear build directories.
func directories(install *site.Install, rounds int) error {
	plain, err := install.Open()
	if err != nil {
		return err
	}
	limited, err := install.Open(limits)
	if err != nil {
		return errors.Join(err, plain.Close())
	}
	err = claims(plain, limited, rounds)
	if err == nil {
		err = clearing(limited)
	}
	return errors.Join(err, plain.Close(), limited.Close())
}

func limits(c site.Config) {
	c.Set("general", "limit_build_dir", true)
	c.Set("general", "max_build_dir", 1)
}

// claims compares the config stage of two sites.
func claims(plain, limited *site.Site, rounds int) error {
	one, two := &benchmark{site: plain}, &benchmark{site: limited}
	return one.during("config", "true\n", func(without fakerunner.Call) error {
		return two.during("config", "true\n", func(with fakerunner.Call) error {
			samples, err := takeTurns(limited, []subject{{"config", again(without)}, {"config", again(with)}}, rounds)
			if err != nil {
				return err
			}
			fmt.Printf("\nThe config stage; %d rounds, taking turns\n\n", rounds)
			fmt.Printf("without limit_build_dir   %s (%s)\n", millis(samples[0].median()), samples[0].spread())
			fmt.Printf("with limit_build_dir      %s (%s), %s more\n", millis(samples[1].median()), samples[1].spread(), millis(samples[1].median()-samples[0].median()))
			return nil
		})
	})
}

// The tree that is cleared has this many directories with this many files each.
const trees, leaves = 1000, 100

// memory is a file system without waits for other users of the machine's disks.
const memory = "/dev/shm"

// clearing compares the cleanup of a job that finds a build directory too many
// with rm.
func clearing(s *site.Site) error {
	dir, err := os.MkdirTemp(memory, "jacamar-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if err := errors.Join(os.Chmod(dir, os.ModeSticky|0o777), s.Reconfigure(limits, func(c site.Config) { c.Set("general", "data_dir", dir) })); err != nil {
		return err
	}
	const rounds = 10
	var cleanup, rm sample
	for range rounds {
		took, err := cleanupOf(s, dir)
		if err != nil {
			return err
		}
		cleanup = append(cleanup, took)
		if took, err = rmOf(s, dir); err != nil {
			return err
		}
		rm = append(rm, took)
	}
	fmt.Printf("\nA build directory of %d files, in memory; %d rounds, taking turns\n\n", trees*leaves, rounds)
	fmt.Printf("rm -rf                  %s (%s)\n", millis(rm.median()), rm.spread())
	fmt.Printf("jacamar-auth cleanup    %s (%s), %.2f x\n", millis(cleanup.median()), cleanup.spread(), cleanup.median().Seconds()/rm.median().Seconds())
	return nil
}

// cleanupOf runs a job and creates, right before its cleanup, another build directory
// beyond max_build_dir.
func cleanupOf(s *site.Site, dir string) (took time.Duration, err error) {
	surplus := filepath.Join(dir, s.Account.Name, "builds/project_12/001")
	r := s.Runner()
	r.Hooks.Ended = func(c fakerunner.Call) {
		if c.Stage == "cleanup_file_variables" {
			err = makeTree(surplus, s.Account)
		}
	}
	result := r.Run(s.Job("true"))
	call, _ := result.Call("cleanup")
	if _, left := os.Lstat(surplus); err == nil && (result.Outcome != fakerunner.Success || call.Err != nil || left == nil) {
		err = fmt.Errorf("the job ended as %s, its cleanup as %v; %s: %v\n%s", result.Outcome, call.Err, surplus, left, result.Trace)
	}
	return call.Duration, err
}

// rmOf removes the same tree with rm, as the same account.
func rmOf(s *site.Site, dir string) (time.Duration, error) {
	dir = filepath.Join(dir, "surplus")
	if err := makeTree(dir, s.Account); err != nil {
		return 0, err
	}
	return subject{"rm -rf", as(s.Account, "rm", "-rf", dir)}.run()
}

// makeTree makes the tree, as the account's own.
func makeTree(dir string, a site.Account) error {
	text := `mkdir -p -m 700 "$1" && cd "$1" && for ((i = 0; i < $2; i++)); do mkdir $i; (cd $i && for ((j = 0; j < $3; j++)); do >$j; done); done`
	cmd := as(a, "bash", "-c", text, "-", dir, strconv.Itoa(trees), strconv.Itoa(leaves))()
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("cannot make %s: %w: %s", dir, err, out)
	}
	return nil
}
