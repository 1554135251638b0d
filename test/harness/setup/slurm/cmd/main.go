// Command cmd starts and stops a Slurm cluster on loopback:
//
//	go run ./test/harness/setup/slurm/cmd up [-accounting] [-dir DIR]    prints SLURM_CONF=…
//	go run ./test/harness/setup/slurm/cmd down [-dir DIR]
package main

import (
	"flag"
	"fmt"
	"os"

	"jacamar-ci/test/harness/setup/slurm"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "slurm:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) == 0 {
		return fmt.Errorf("usage: up|down [-dir DIR] [-accounting]")
	}
	flags := flag.NewFlagSet("slurm", flag.ContinueOnError)
	dir := flags.String("dir", "/srv/jacamar-slurm", "directory of the cluster")
	accounting := flags.Bool("accounting", false, "with MariaDB and slurmdbd")
	if err := flags.Parse(args[1:]); err != nil {
		return err
	}
	switch args[0] {
	case "up":
		c, err := slurm.Up(*dir, slurm.Options{Accounting: *accounting})
		if err == nil {
			fmt.Println(c.Env())
		}
		return err
	case "down":
		return slurm.Down(*dir)
	}
	return fmt.Errorf("%q is neither up nor down", args[0])
}
