// Command standalone is the fake runner in a process of its own, for tests in
// which the runner itself is killed. It reads a fakerunner.Order as JSON from
// standard input, copies the job's output to standard error as it arrives, and
// prints a fakerunner.Result as JSON at the end.
package main

import (
	"encoding/json"
	"fmt"
	"os"

	"jacamar-ci/test/harness/fakerunner"
)

func main() {
	var order fakerunner.Order
	if err := json.NewDecoder(os.Stdin).Decode(&order); err != nil {
		fmt.Fprintln(os.Stderr, "standalone: cannot read the order:", err)
		os.Exit(2)
	}
	order.Runner.Credential = nil // the process itself was started as that account
	order.Runner.Hooks.Output = func(_ string, _ fakerunner.Stream, p []byte) { _, _ = os.Stderr.Write(p) }
	if err := json.NewEncoder(os.Stdout).Encode(order.Runner.Run(order.Job)); err != nil {
		fmt.Fprintln(os.Stderr, "standalone: cannot write the result:", err)
		os.Exit(2)
	}
}
