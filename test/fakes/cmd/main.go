// Command cmd is the fake Slurm: install it under the names sbatch, squeue,
// scontrol, sacct and scancel.
package main

import (
	"os"

	"jacamar-ci/test/fakes"
)

func main() { os.Exit(fakes.Main(os.Args)) }
