package main

import (
	"fmt"
	"os"

	"jacamar-ci/test/harness/setup/slurm"
	"jacamar-ci/test/harness/site"
)

// startScheduler starts the executor's batch system. It returns the site's settings for
// it and a function that stops it.
func startScheduler(executor string) (use func(site.Config), stop func() error, err error) {
	switch executor {
	case "slurm", "sbatch":
		return startSlurm()
	}
	return func(c site.Config) { c.Set("general", "executor", executor) }, func() error { return nil }, nil
}

func startSlurm() (use func(site.Config), stop func() error, err error) {
	if os.Geteuid() != 0 {
		return nil, nil, fmt.Errorf("only root can start a Slurm cluster: slurmd starts jobs as other users")
	}
	fmt.Println("Starting a Slurm cluster of two nodes on loopback ...")
	dir, err := slurm.NewDir()
	if err != nil {
		return nil, nil, err
	}
	cluster, err := slurm.Up(dir, slurm.Options{})
	if err != nil {
		return nil, nil, err
	}
	use = func(c site.Config) {
		site.Slurm(cluster.Conf(), "")(c)
		c.Set("batch", "default_args", []string{"--time=10"})
	}
	return use, func() error { return slurm.Down(dir) }, nil
}
