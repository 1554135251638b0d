// Command testsummary reads the output of `go test -v` and prints it as plain `go test`
// would, followed by the number of skipped tests with the reasons, which plain `go test`
// does not print, and the number of passed tests that drive the built programs.
//
//	go test -v ./... | go run ./tools/testsummary
//
// The exit status of go test reports whether the tests passed (set -o pipefail).
package main

import (
	"fmt"
	"os"
)

func main() {
	var t tally
	if err := t.read(os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "testsummary:", err)
		os.Exit(1)
	}
	t.summarize(os.Stdout)
}
