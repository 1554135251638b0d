// Command fakeapptainer imitates apptainer(1) for tests: it fetches images from registries
// and runs commands in them, in namespaces of its own, and it refuses options that it does
// not know. Its image files have a format of their own.
package main

import (
	"errors"
	"fmt"
	"os"
)

// fatal is the exit code of Apptainer's own failures.
const fatal = 255

func main() {
	if len(os.Args) > 1 && os.Args[1] == initArgument {
		fail(inside(os.Args[2:]))
	}
	code, err := run(os.Args[1:])
	if err != nil {
		fail(err)
	}
	os.Exit(code)
}

func fail(err error) {
	fmt.Fprintf(os.Stderr, "FATAL:   %v\n", err)
	if unknown := (unknownOption{}); errors.As(err, &unknown) {
		os.Exit(1)
	}
	os.Exit(fatal)
}

func run(args []string) (int, error) {
	for len(args) > 0 && (args[0] == "--quiet" || args[0] == "-q") {
		args = args[1:]
	}
	if len(args) == 0 {
		return 0, errors.New("no command")
	}
	switch args[0] {
	case "--version":
		fmt.Println("apptainer version 1.4.0-fake")
		return 0, nil
	case "build":
		return 0, build(args[1:])
	case "sif":
		return 0, dump(args[1:])
	case "exec":
		return execute(args[1:])
	}
	return 0, unknownOption{args[0]}
}

func dump(args []string) error {
	if len(args) != 3 || args[0] != "dump" || args[1] != "3" {
		return fmt.Errorf("sif: %q", args)
	}
	config, _, file, err := open(args[2])
	if err != nil {
		return err
	}
	defer file.Close()
	_, err = os.Stdout.Write(config)
	return err
}
