package admin

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"jacamar-ci/internal/auth"
	"jacamar-ci/internal/auth/admin/bugreport"
	"jacamar-ci/internal/auth/admin/setup"
	"jacamar-ci/internal/version"
)

// BugReportOptions are what the command line of bugreport gives.
type BugReportOptions struct {
	Configuration, RunnerConfig string
	// Output is the archive, "" for one in the working directory.
	Output string
}

const reportExplanation = `This archive was made by jacamar-admin bugreport for the maintainers of Jacamar CI.

  version        of the programs, the kernel and the distribution
  check.json     the findings of jacamar-admin check
  settings       the configuration with its defaults; values of variables are removed
  runner         the runner's config.toml; tokens, environments and unknown keys are removed
  log            the last records of the operator's log, without names of users and projects
  units          of the runner's service, without their environment
  files          owners and modes of the installation

Read it before you send it: paths and host names are in it, and reasons of records can name
accounts.
`

// BugReport writes an archive and prints its name.
func BugReport(o BugReportOptions) int {
	if o.Output == "" {
		o.Output = fmt.Sprintf("jacamar-bugreport-%s.tar.gz", time.Now().UTC().Format("20060102-150405"))
	}
	output, err := filepath.Abs(o.Output) // before the installation leaves this directory
	if err == nil {
		o.Output = output
		err = writeReport(context.Background(), o)
	}
	if err != nil {
		return fail(err, 1)
	}
	fmt.Fprintf(os.Stdout, "wrote %s: read it before you send it\n", o.Output)
	return 0
}

func writeReport(ctx context.Context, o BugReportOptions) error {
	if err := refuseClosed(); err != nil {
		return err
	}
	files, secrets, err := collect(ctx, o)
	if err != nil {
		return err
	}
	for i := range files {
		files[i].Text = secrets.Scrub(files[i].Text)
	}
	f, err := os.OpenFile(o.Output, os.O_WRONLY|os.O_CREATE|os.O_EXCL|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return err
	}
	name := strings.TrimSuffix(path.Base(o.Output), ".tar.gz")
	return errors.Join(bugreport.Write(f, name, files, time.Now()), f.Close())
}

// collect reads everything. What cannot be read is described instead: a report is made
// where something is broken.
func collect(ctx context.Context, o BugReportOptions) (files []bugreport.File, secrets bugreport.Secrets, err error) {
	i, err := open(o.Configuration, &o.Configuration, &o.RunnerConfig)
	if err != nil {
		return nil, secrets, err
	}
	add := func(name, text string) { files = append(files, bugreport.File{Name: name, Text: text}) }
	add("README", reportExplanation)
	add("version", versions())
	add("settings", settingsOf(i, &secrets))
	add("check.json", reportOf(ctx, o))
	runner := o.RunnerConfig
	if runner == "" {
		runner = setup.UsualRunnerConfig
	}
	add("runner", readable(runner, func(text string) string { return bugreport.Runner(text, &secrets) }))
	add("log", logOf(ctx, i))
	for _, unit := range setup.UnitFiles("/", "gitlab-runner.service") {
		add("units/"+strings.ReplaceAll(strings.TrimPrefix(unit, "/"), "/", "_"), readable(unit, func(text string) string { return bugreport.Unit(text, &secrets) }))
	}
	add("files", listing(i))
	return files, secrets, nil
}

// orReason is a text, or why there is none.
func orReason(text string, err error) string {
	if err != nil {
		return fmt.Sprintf("%v\n", err)
	}
	return text
}

// readable is a file's text as show gives it, or why it cannot be read.
func readable(file string, show func(string) string) string {
	text, err := readFile(file)
	return orReason(show(string(text)), err)
}

func versions() string {
	var out strings.Builder
	out.WriteString(version.Text())
	var name unix.Utsname
	if unix.Uname(&name) == nil {
		fmt.Fprintf(&out, "Kernel: %s %s %s\n", unix.ByteSliceToString(name.Sysname[:]), unix.ByteSliceToString(name.Release[:]), unix.ByteSliceToString(name.Machine[:]))
	}
	out.WriteString(readable("/etc/os-release", func(text string) string { return text }))
	return out.String()
}

func settingsOf(i auth.Installation, secrets *bugreport.Secrets) string {
	all, err := effective(i)
	return orReason(bugreport.Settings(all, secrets), err)
}

func reportOf(ctx context.Context, o BugReportOptions) string {
	r, _, err := report(ctx, CheckOptions{Configuration: o.Configuration, RunnerConfig: o.RunnerConfig})
	var out bytes.Buffer
	if err == nil {
		err = r.WriteJSON(&out)
	}
	return orReason(out.String(), err)
}

// logTail and logRecords bound what is read and shown of the log.
const (
	logTail    = 1 << 20 // bytes
	logRecords = 500
)

func logOf(ctx context.Context, i auth.Installation) string {
	if i.Config().General.GitLabServer == nil {
		return "the configuration cannot be used\n"
	}
	text, err := logEnd(ctx, i)
	return orReason(bugreport.Records(string(text), logRecords), err)
}

func logEnd(ctx context.Context, i auth.Installation) ([]byte, error) {
	if err := i.FindHelper(); err != nil {
		return nil, err
	}
	f, err := i.LogFile(ctx)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	tail, err := os.Open(f.Name()) // that one is open for appending
	if err != nil {
		return nil, err
	}
	defer tail.Close()
	if info, err := tail.Stat(); err == nil && info.Size() > logTail {
		_, _ = tail.Seek(-logTail, io.SeekEnd)
	}
	return io.ReadAll(io.LimitReader(tail, logTail))
}

// listing has owners and modes of the installation, and of every directory on the way.
func listing(i auth.Installation) string {
	var paths []string
	if p, err := privilegedProgram(); err == nil {
		dir := path.Dir(p.String())
		for _, name := range []string{"jacamar-auth", "jacamar-admin", "jacamar", "jacamar-keys", "jacamar-noauth"} {
			paths = append(paths, path.Join(dir, name))
		}
	}
	paths = append(paths, i.File().String(), setup.UsualRunnerConfig, "/var/lib/jacamar")
	if c := i.Config(); strings.HasPrefix(c.General.DataDir.String(), "/") {
		paths = append(paths, c.General.DataDir.String())
	}
	var out strings.Builder
	seen := map[string]bool{}
	for _, p := range paths {
		for ; p != "" && p != "." && !seen[p]; p = path.Dir(p) {
			seen[p] = true
			fmt.Fprintln(&out, describe(p))
		}
	}
	return out.String()
}

func describe(p string) string {
	info, err := os.Lstat(p)
	if err != nil {
		return err.Error()
	}
	stat := info.Sys().(*syscall.Stat_t)
	return fmt.Sprintf("%s %d:%d %s", info.Mode(), stat.Uid, stat.Gid, p)
}
