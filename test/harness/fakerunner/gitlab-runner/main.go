// Command gitlab-runner replaces the program of that name on a job's PATH,
// which the runner's generated scripts call for caches and artifacts.
package main

import (
	"flag"
	"fmt"
	"os"
	"strings"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "ERROR:", err)
		os.Exit(1)
	}
}

type paths []string

func (p *paths) String() string     { return strings.Join(*p, " ") }
func (p *paths) Set(s string) error { *p = append(*p, s); return nil }

// ignored are options that the runner's scripts pass and that change nothing
// here.
var ignored = []string{
	"timeout", "response-header-timeout", "artifact-format", "artifact-type", "name", "expire-in", "exclude",
	"alternate-file", "env-file", "max-uploaded-archive-size",
}

// call is one command line; the flags of all commands together.
type call struct {
	file, url, token, id string
	paths                paths
}

func run(argv []string) error {
	if len(argv) == 0 {
		return fmt.Errorf("no command")
	}
	if argv[0] == "--version" {
		fmt.Println("Version:      19.4.0 (stand-in)")
		return nil
	}
	c, err := parse(argv[0], argv[1:])
	if err != nil {
		return err
	}
	switch argv[0] {
	case "cache-archiver":
		return c.archiveCache()
	case "cache-extractor":
		return c.extractCache()
	case "artifacts-uploader":
		return c.upload()
	case "artifacts-downloader":
		return c.download()
	}
	return fmt.Errorf("unknown command %q", argv[0])
}

func parse(command string, argv []string) (call, error) {
	var c call
	flags := flag.NewFlagSet(command, flag.ContinueOnError)
	flags.StringVar(&c.file, "file", "", "the cache archive")
	flags.StringVar(&c.url, "url", "", "GitLab's address")
	flags.StringVar(&c.token, "token", "", "the job token")
	flags.StringVar(&c.id, "id", "", "the job")
	flags.Var(&c.paths, "path", "a file or directory")
	for _, name := range ignored {
		flags.String(name, "", "accepted")
	}
	return c, flags.Parse(argv)
}
