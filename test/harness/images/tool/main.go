// Command tool is the only program of images without a shell, and an entrypoint that is a
// program of its own: it refuses arguments that it does not know, as such tools do.
package main

import (
	"fmt"
	"os"
)

func main() {
	if len(os.Args) == 2 && os.Args[1] == "version" {
		fmt.Println("tool 1.0")
		return
	}
	fmt.Fprintf(os.Stderr, "tool: unknown command %q\n", os.Args[1:])
	os.Exit(3)
}
