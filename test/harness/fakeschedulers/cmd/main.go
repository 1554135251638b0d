// Command cmd is the fake Slurm: install it under the names sbatch, squeue,
// scontrol, sacct and scancel.
package main

import (
	"os"

	"jacamar-ci/test/harness/fakeschedulers"
)

func main() { os.Exit(fakeschedulers.Main(os.Args)) }
