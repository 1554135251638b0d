// Command tally reads what `go test -v` prints and shows it as plain `go test`
// would, followed by how many tests were skipped, and for which reasons: plain
// `go test` keeps silent about them; and how many of those that passed drive the
// built programs.
//
//	go test -v ./... | go run ./tools/testsummary
//
// Whether the tests passed is go test's exit status to tell (set -o pipefail).
package main

import (
	"fmt"
	"os"
)

func main() {
	var t tally
	if err := t.read(os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "tally:", err)
		os.Exit(1)
	}
	t.summarize(os.Stdout)
}
