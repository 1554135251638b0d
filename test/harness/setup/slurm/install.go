package slurm

import (
	"fmt"
	"os/exec"

	"jacamar-ci/test/harness/setup/debian"
)

// Programs are what a cluster runs, each with the Debian package that has it.
func Programs(accounting bool) map[string]string {
	p := map[string]string{
		"/usr/sbin/slurmctld": "slurmctld",
		"/usr/sbin/slurmd":    "slurmd",
		"/usr/bin/sbatch":     "slurm-client",
		"/usr/sbin/munged":    "munge",
	}
	if accounting {
		p["/usr/sbin/slurmdbd"], p["/usr/sbin/mariadbd"] = "slurmdbd", "mariadb-server"
	}
	return p
}

// Missing returns the Debian packages that a cluster needs and this machine
// lacks.
func Missing(accounting bool) []string { return debian.Missing(Programs(accounting)) }

func install(accounting bool) error {
	pkgs := Missing(accounting)
	if len(pkgs) == 0 {
		return nil
	}
	if _, err := exec.LookPath("apt-get"); err != nil {
		return fmt.Errorf("cannot install Slurm (%v): this machine has no apt-get", pkgs)
	}
	return debian.Install(pkgs)
}
