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

	"golang.org/x/sys/unix"

	"jacamar-ci/internal/failure"
	"jacamar-ci/internal/jobrun/internal/diskspace"
	"jacamar-ci/internal/jobrun/internal/scheduler"
)

// directory contains the files of one submission.
type directory string

func (d directory) path(name string) string { return filepath.Join(string(d), name) }

const (
	scriptFile  = "script"  // the job's script, empty once it has started
	wrapperFile = "job"     // what is submitted
	logFile     = "log"     // output of the script
	startedFile = "started" // the start lock; contains the start status
	endedFile   = "ended"   // the end status
	recordFile  = "record"  // the submission, for a later cleanup
	probeFile   = "probe"   // written to check for free space
	printedFile = "printed" // output of the login profiles, without a payload
	payloadFile = "payload" // runs the script, instead of a login shell
	marksFile   = "marks"   // written by the payload

	probeSize = 4096 // bytes
)

// create creates the directory and the files that a submission needs. It creates the
// log too, with a private mode, so that its inode never changes.
func (d directory) create(script []byte, w wrapperParams) error {
	if err := os.Mkdir(string(d), 0o700); err != nil {
		return d.prepareError(err)
	}
	// Some file systems add permissions to a new directory; scripts contain secrets.
	if err := os.Chmod(string(d), 0o700); err != nil { //nolint:gosec // a directory
		return d.prepareError(err)
	}
	for _, f := range w.files(script) {
		if err := os.WriteFile(d.path(f.name), f.text, f.mode); err != nil {
			return d.prepareError(err)
		}
	}
	return nil
}

func (d directory) prepareError(err error) error {
	return diskspace.Explain("cannot prepare the batch job in "+string(d), string(d), err)
}

// checkSpace fails when the storage accepts no more data: then the end of the log may
// be missing too. A directory that the job itself has removed shows nothing about that.
func (d directory) checkSpace() *failure.Error {
	probe := d.path(probeFile)
	err := os.WriteFile(probe, make([]byte, probeSize), 0o600)
	_ = os.Remove(probe)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return diskspace.Explain("cannot write to "+string(d), string(d), err)
	}
	return nil
}

// takeStartLock keeps the wrapper from running the script. It returns false when the
// wrapper has the lock.
func (d directory) takeStartLock() bool {
	f, err := os.OpenFile(d.path(startedFile), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		// Without the directory the wrapper cannot take the lock either.
		return !errors.Is(err, fs.ErrExist)
	}
	f.Close()
	return true
}

// remove removes the files; with retain, the log and the status files stay. It removes
// the script first: without it nothing can run.
func (d directory) remove(retain bool) error {
	if err := os.Remove(d.path(scriptFile)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return d.prepareError(err)
	}
	if !retain {
		return os.RemoveAll(string(d))
	}
	for _, name := range []string{printedFile, recordFile} {
		if err := os.Remove(d.path(name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// refresh makes a network file system query its server: until the directory itself is
// read, the client may report from its cache that a name does not exist. One read has all
// names; os.ReadDir would read twice, for each of hundreds of jobs.
func (d directory) refresh() {
	fd, _ := unix.Open(string(d), unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	defer unix.Close(fd) // -1, without an effect, where the directory is missing
	_, _ = unix.ReadDirent(fd, make([]byte, 4096))
}

// startStatus is what the wrapper records when it starts.
type startStatus struct {
	node string
	at   time.Time
}

// endStatus is what the wrapper records when the script has ended.
type endStatus struct {
	code int // 0 to 255
	// scriptNotRun is set when no command of the script has run.
	scriptNotRun bool
	terminated   bool  // the wrapper was sent TERM
	size         int64 // of the log in bytes, -1 when unknown
	at           time.Time
	marks        string // what a payload wrote
	// cpu is the user and system time of the processes that the wrapper has waited for.
	cpu time.Duration
}

func (d directory) readStart() (startStatus, bool) {
	text, err := readStatusFile(d.path(startedFile))
	if err != nil {
		return startStatus{}, false
	}
	return parseStart(text), true
}

func (d directory) readEnd() (endStatus, bool) {
	text, err := readStatusFile(d.path(endedFile))
	if err != nil {
		return endStatus{}, false
	}
	return parseEnd(text)
}

// readStatusFile reads a small file. It follows no link and never blocks.
func readStatusFile(path string) (string, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if err != nil {
		return "", err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, 4096))
	return string(text), err
}

// parseStart accepts missing values: on a full disk the file is empty.
func parseStart(text string) startStatus {
	f := parseFields(text)
	return startStatus{node: f["node"], at: scheduler.ParseUnix(f["start"])}
}

// parseEnd returns false for a file without a valid exit code.
func parseEnd(text string) (endStatus, bool) {
	f := parseFields(text)
	code, err := strconv.Atoi(f["code"])
	if err != nil || code < 0 || code > 255 {
		return endStatus{}, false
	}
	size, err := strconv.ParseInt(f["size"], 10, 64)
	if err != nil || size < 0 {
		size = -1
	}
	return endStatus{code: code, scriptNotRun: f["began"] == "0", terminated: f["term"] == "1", size: size, at: scheduler.ParseUnix(f["end"]), marks: f["marks"], cpu: parseTimes(text)}, true
}

// parseTimes parses the output of bash's times: the times of the shell, and in its last
// line those of its children, as in "0m1.250s 0m0.010s". It returns 0 for other text.
func parseTimes(text string) (total time.Duration) {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	for word := range strings.FieldsSeq(lines[len(lines)-1]) {
		// bash writes the decimal point of the locale.
		part, err := time.ParseDuration(strings.Replace(word, ",", ".", 1))
		if err != nil || part < 0 {
			return 0
		}
		total += part
	}
	return total
}

func parseFields(text string) map[string]string {
	f := map[string]string{}
	for line := range strings.Lines(text) {
		if key, value, ok := strings.Cut(strings.TrimSuffix(line, "\n"), "="); ok {
			f[key] = value
		}
	}
	return f
}
