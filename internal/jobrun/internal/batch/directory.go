package batch

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"jacamar-ci/internal/failure"
	"jacamar-ci/internal/jobrun/internal/diskspace"
	"jacamar-ci/internal/jobrun/internal/loginshell"
	"jacamar-ci/internal/jobrun/internal/scheduler"
)

// directory holds the files of one submission.
type directory string

func (d directory) path(name string) string { return filepath.Join(string(d), name) }

const (
	scriptFile  = "script"  // the job's script, empty once it has begun
	wrapperFile = "job"     // what is submitted
	logFile     = "log"     // output of the script
	startedFile = "started" // the claim; written by the wrapper when it starts
	endedFile   = "ended"   // the end mark
	recordFile  = "record"  // what the engine intends and knows
	probeFile   = "probe"   // reports whether there is room

	probeSize = 4096 // bytes
)

// create makes the directory and what has to be there before submitting. The
// log is made here, with a private mode, and its inode stays.
func (d directory) create(script []byte, wrapper string) error {
	if err := os.Mkdir(string(d), 0o700); err != nil {
		return d.unusable(err)
	}
	// Some file systems add rights to what is made, and scripts have secrets.
	if err := os.Chmod(string(d), 0o700); err != nil {
		return d.unusable(err)
	}
	for _, f := range []struct {
		name string
		text []byte
		mode fs.FileMode
	}{
		{scriptFile, loginshell.Content(script), 0o600},
		{wrapperFile, []byte(wrapper), 0o700},
		{logFile, nil, 0o600},
	} {
		if err := os.WriteFile(d.path(f.name), f.text, f.mode); err != nil {
			return d.unusable(err)
		}
	}
	return nil
}

func (d directory) unusable(err error) error {
	return diskspace.Explain("cannot prepare the batch job in "+string(d), string(d), err)
}

// full fails when the storage takes nothing more: then it took the end of the log
// from nobody either.
func (d directory) full() *failure.Error {
	probe := d.path(probeFile)
	err := os.WriteFile(probe, make([]byte, probeSize), 0o600)
	_ = os.Remove(probe)
	if err != nil {
		return diskspace.Explain("cannot write to "+string(d), string(d), err)
	}
	return nil
}

// claim takes the job away from the wrapper. It returns false when the wrapper
// was first.
func (d directory) claim() bool {
	f, err := os.OpenFile(d.path(startedFile), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		// Without the directory the wrapper cannot claim either.
		return !errors.Is(err, fs.ErrExist)
	}
	f.Close()
	return true
}

// remove takes the files away; with retain, the log and the marks stay. The
// script goes first: without it nothing can run any more.
func (d directory) remove(retain bool) error {
	if err := os.Remove(d.path(scriptFile)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return d.unusable(err)
	}
	if !retain {
		return os.RemoveAll(string(d))
	}
	if err := os.Remove(d.path(recordFile)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// refresh makes a network file system look at the directory again: it answers
// from memory whether a name exists until the directory itself is read.
func (d directory) refresh() { _, _ = os.ReadDir(string(d)) }

// start is what the wrapper tells when it begins.
type start struct {
	node string
	at   time.Time
}

// end is what it tells when the script has ended.
type end struct {
	code int // 0 to 255
	// idle says that not one command of the script has run.
	idle bool
	told bool  // the wrapper was sent TERM
	size int64 // of the log in bytes, -1 when unknown
	at   time.Time
}

func (d directory) started() (start, bool) {
	text, err := readMark(d.path(startedFile))
	if err != nil {
		return start{}, false
	}
	return parseStart(text), true
}

func (d directory) ended() (end, bool) {
	text, err := readMark(d.path(endedFile))
	if err != nil {
		return end{}, false
	}
	return parseEnd(text)
}

// readMark reads a small file, never through a link and never waiting.
func readMark(path string) (string, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if err != nil {
		return "", err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, 4096))
	return string(text), err
}

// parseStart reads what there is: a full disk leaves an empty claim.
func parseStart(text string) start {
	f := fields(text)
	return start{node: f["node"], at: scheduler.ParseUnix(f["start"])}
}

// parseEnd is strict about the exit code; a mark without one is none.
func parseEnd(text string) (end, bool) {
	f := fields(text)
	code, err := strconv.Atoi(f["code"])
	if err != nil || code < 0 || code > 255 {
		return end{}, false
	}
	size, err := strconv.ParseInt(f["size"], 10, 64)
	if err != nil || size < 0 {
		size = -1
	}
	return end{code: code, idle: f["began"] == "0", told: f["told"] == "1", size: size, at: scheduler.ParseUnix(f["end"])}, true
}

func fields(text string) map[string]string {
	f := map[string]string{}
	for line := range strings.Lines(text) {
		if key, value, ok := strings.Cut(strings.TrimSuffix(line, "\n"), "="); ok {
			f[key] = value
		}
	}
	return f
}
