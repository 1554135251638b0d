// The runtime would keep the file with the cgroup's processor limit open and read it again
// while it runs, without use here. It looks for it once at its start in any case.
//
//go:debug containermaxprocs=0
//go:debug updatemaxprocs=0

// Command jacamar-keys fetches GitLab's public keys and prints the result for
// jacamar-auth, which starts it: it has HTTP and TLS, and no privileges.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"

	"jacamar-ci/internal/failure"
	"jacamar-ci/internal/jwks/fetch"
	"jacamar-ci/internal/lockdown"
	"jacamar-ci/internal/version"
)

const help = `jacamar-keys fetches a server's public keys; jacamar-auth starts it.

  jacamar-keys URL [PROXY] <CA-FILE
  jacamar-keys --version
  jacamar-keys --help
`

func main() {
	// dropPrivileges sets the parent-death signal of this thread, which must not end
	// before the process.
	runtime.LockOSThread()
	if err := call(os.Args); err != nil {
		fmt.Fprintln(os.Stderr, "jacamar-keys:", err)
		os.Exit(failure.DefaultCodes().System)
	}
}

func call(args []string) error {
	if len(args) < 2 || len(args) > 3 || args[1] == "" {
		return errors.New("usage: jacamar-keys URL [PROXY] (see jacamar-keys --help)")
	}
	proxy := ""
	switch {
	case len(args) == 3:
		proxy = args[2]
	case args[1] == "--version":
		return write(version.Text())
	case args[1] == "--help", args[1] == "-h":
		return write(help)
	}
	if strings.HasPrefix(args[1], "-") {
		return fmt.Errorf("no such option: %q (see jacamar-keys --help)", args[1])
	}
	if _, err := lockdown.Enter(); err != nil {
		return err
	}
	if err := dropPrivileges(); err != nil {
		return err
	}
	return fetch.KeySet(context.Background(), args[1], proxy, os.Stdin).Write(os.Stdout)
}

func write(text string) error {
	_, err := io.WriteString(os.Stdout, text)
	return err
}
