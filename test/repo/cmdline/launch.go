package cmdline

import (
	"errors"
	"flag"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
)

// launch replaces this process by the program. It returns only on an error.
func launch(args []string) error {
	flags := flag.NewFlagSet("launch", flag.ContinueOnError)
	argc0 := flags.Bool("argc0", false, "execute it with an empty list of arguments")
	closed := flags.String("close", "", "descriptors to close")
	if err := flags.Parse(args); err != nil {
		return err
	}
	argv := flags.Args()
	if len(argv) == 0 {
		return errors.New("no program is given")
	}
	path, err := exec.LookPath(argv[0])
	if err != nil {
		return err
	}
	if *argc0 {
		argv = nil
	}
	for _, text := range strings.FieldsFunc(*closed, func(c rune) bool { return c == ',' }) {
		fd, err := strconv.Atoi(text)
		if err != nil {
			return err
		}
		if err := syscall.Close(fd); err != nil {
			return err
		}
	}
	return syscall.Exec(path, argv, os.Environ())
}
