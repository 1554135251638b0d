// Package own has the commands of jacamar for the person whose jobs run: what of theirs
// runs, what it occupies, and what of it can be removed. It uses the locks of the jobs'
// own cleanup, so that it can run at the same time.
package own

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"jacamar-ci/internal/job"
	"jacamar-ci/internal/jobrun/internal/batch"
	"jacamar-ci/internal/jobrun/internal/workspace"
)

// Commands are the names of the commands.
func Commands() []string { return []string{"jobs", "du", "clean"} }

// basesFile lists base directories of a host, one in each line, with $HOME and $USER.
const basesFile = "/etc/jacamar/bases"

// Run runs a command with its arguments. home and user are those of the caller's login.
func Run(out io.Writer, args []string, home, user string) error {
	if os.Geteuid() == 0 {
		return errors.New("this command is about the jobs of the account that runs it, and root has none; see jacamar-admin")
	}
	o, err := parse(args)
	if err != nil {
		return err
	}
	if len(o.bases) == 0 {
		o.bases = bases(home, user)
	}
	spaces, err := open(o.bases)
	if err != nil {
		return err
	}
	defer func() {
		for _, w := range spaces {
			w.Close()
		}
	}()
	if len(spaces) == 0 {
		_, err := fmt.Fprintf(out, "no job of yours has run here: there is no %s (another directory: --base DIRECTORY)\n", strings.Join(o.bases, " and no "))
		return err
	}
	switch o.command {
	case "jobs":
		return jobs(out, spaces, o)
	case "du":
		return du(out, spaces, o)
	}
	return clean(out, spaces, o)
}

// bases are the base directories of the caller on this host.
func bases(home, user string) []string {
	list := []string{filepath.Join(home, ".jacamar-ci")}
	text, err := os.ReadFile(basesFile)
	if err != nil {
		return list
	}
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		line = strings.NewReplacer("$HOME", home, "$USER", user).Replace(line)
		if filepath.IsAbs(line) && !slices.Contains(list, line) {
			list = append(list, line)
		}
	}
	return list
}

// open opens the directories that exist.
func open(dirs []string) (spaces []*workspace.Workspace, err error) {
	for _, dir := range dirs {
		full, err := filepath.Abs(dir)
		if err != nil {
			return spaces, err
		}
		p, err := job.ParseAbsPath(full)
		if err != nil {
			return spaces, fmt.Errorf("cannot use %q: %w", dir, err)
		}
		w, err := workspace.OpenExisting(p, job.Account{UID: job.UID(os.Geteuid())}, batch.HasOrphans)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return spaces, err
		}
		spaces = append(spaces, w)
	}
	return spaces, nil
}

// options are those of the command line.
type options struct {
	command      string
	bases        []string
	json         bool
	older        time.Duration
	project      string
	caches, logs bool
	dryRun       bool
}

// defaultAge is how long something must not have been used to be removed.
const defaultAge = 48 * time.Hour

func parse(args []string) (o options, err error) {
	o = options{command: args[0], older: defaultAge}
	for args = args[1:]; len(args) > 0; args = args[1:] {
		name, value, joined := strings.Cut(args[0], "=")
		takesValue := name == "--base" || o.command == "clean" && (name == "--older" || name == "--project")
		switch {
		case takesValue && !joined && len(args) == 1:
			return o, fmt.Errorf("%s needs a value", name)
		case takesValue && !joined:
			value, args = args[1], args[1:]
		case !takesValue && joined:
			return o, fmt.Errorf("no such option of %s: %q", o.command, job.Clip(args[0]))
		}
		if err := o.set(name, value); err != nil {
			return o, err
		}
	}
	return o, nil
}

func (o *options) set(name, value string) (err error) {
	clean := o.command == "clean"
	switch {
	case name == "--base":
		o.bases = append(o.bases, value)
	case name == "--json" && !clean:
		o.json = true
	case name == "--older" && clean:
		o.older, err = age(value)
	case name == "--project" && clean:
		if strings.Trim(value, "/") == "" {
			return errors.New("--project needs the path of a project, as in group/project")
		}
		o.project = strings.Trim(value, "/")
	case name == "--caches" && clean:
		o.caches = true
	case name == "--logs" && clean:
		o.logs = true
	case (name == "-n" || name == "--dry-run") && clean:
		o.dryRun = true
	default:
		return fmt.Errorf("no such option of %s: %q", o.command, job.Clip(name))
	}
	return err
}

// age parses a time such as 2d or 12h.
func age(text string) (time.Duration, error) {
	if days, ok := strings.CutSuffix(text, "d"); ok {
		if n, err := strconv.Atoi(days); err == nil && n >= 0 && n <= 36500 {
			return time.Duration(n) * 24 * time.Hour, nil
		}
	}
	d, err := time.ParseDuration(text)
	if err != nil || d < 0 {
		return 0, fmt.Errorf("--older: %q is not a time, such as 2d or 12h", job.Clip(text))
	}
	return d, nil
}
