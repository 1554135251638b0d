// Command posture shows what a process inherits from its parent, for tests that compare
// a job with a login, and starts others with attributes that a job must not have.
//
//	posture look                     the attributes of the parent, a shell, as JSON
//	posture keys add|find|own|revoke of the session keyring
//	posture keys fill|clear          of the user keyring
//	posture service UID GID GROUPS LOGIN COMMAND…
//	                                 become a service that passes on all it can, with the
//	                                 login uid LOGIN unless that is empty, and run COMMAND
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"runtime"
)

func main() {
	runtime.LockOSThread() // what is set on a thread must be the one that executes
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "posture:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	switch {
	case len(args) == 1 && args[0] == "look":
		text, err := json.Marshal(look(os.Getppid()))
		if err != nil {
			return err
		}
		_, err = fmt.Printf("posture %s\n", text)
		return err
	case len(args) == 2 && args[0] == "keys":
		return keys(args[1])
	case len(args) > 5 && args[0] == "service":
		return serve(args[1], args[2], args[3], args[4], args[5:])
	}
	return fmt.Errorf("there is no %q", args)
}
