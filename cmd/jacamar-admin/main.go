// Command jacamar-admin shows administrators what runs, for whom, and how it ended.
// It has the rights of the person who calls it and none of its own.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := app().RunContext(ctx, os.Args); err != nil {
		fmt.Fprintln(os.Stderr, "jacamar-admin:", err)
		os.Exit(2)
	}
}
