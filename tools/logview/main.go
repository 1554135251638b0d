// Command logview renders the log of a job from standard input as a page of HTML, as
// GitLab shows it.
package main

import (
	"fmt"
	"io"
	"os"

	"jacamar-ci/test/harness/logview"
)

func main() {
	log, err := io.ReadAll(os.Stdin)
	if err == nil {
		_, err = fmt.Printf("<!DOCTYPE html>\n<meta charset=\"utf-8\">\n<title>A job's log</title>\n%s\n%s", logview.Style, logview.HTML(string(log)))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "logview:", err)
		os.Exit(1)
	}
}
