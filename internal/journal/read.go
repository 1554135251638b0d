package journal

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"jacamar-ci/internal/eintr"
	"jacamar-ci/internal/job"
)

// Record is all events of one job.
type Record struct {
	Host   string
	Key    Key // zero for a refusal
	Events []Event
	// Running reports whether a stage of a live job runs now.
	Running bool
	// Live reports whether the job has a live file.
	Live bool
	// Waiting reports whether the job waits to be admitted.
	Waiting bool
	// Changed is when the live file changed.
	Changed time.Time
	// Unread is why the live file cannot be read; then nothing is known of its events, and
	// whether a stage runs.
	Unread error
}

// Find returns the last event of a name.
func (r Record) Find(name Name) (Event, bool) {
	for _, e := range slices.Backward(r.Events) {
		if e.Name == name {
			return e, true
		}
	}
	return Event{}, false
}

// Last returns the time of the newest event, or for a live file without one, when that
// file changed.
func (r Record) Last() time.Time {
	if len(r.Events) == 0 {
		return r.Changed
	}
	var last float64
	for _, e := range r.Events {
		last = max(last, e.Time)
	}
	return time.UnixMilli(int64(last * 1000))
}

// Hosts returns the names of all hosts that have a part in the journal.
func Hosts(dir job.AbsPath) ([]string, error) {
	entries, err := list(dir)
	if err != nil {
		return nil, err
	}
	var hosts []string
	for _, e := range entries {
		if e.IsDir() && e.Name() != markDir && validHost(e.Name()) {
			hosts = append(hosts, e.Name())
		}
	}
	return hosts, nil
}

// list reads a directory of the journal.
func list(dir job.AbsPath, below ...string) ([]fs.DirEntry, error) {
	file, err := openBelow(dir, unix.S_IFDIR, below...)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	entries, err := file.ReadDir(-1)
	if err != nil {
		return nil, fmt.Errorf("cannot read the journal: %w", err)
	}
	slices.SortFunc(entries, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
	return entries, nil
}

// filesIn lists the regular files of a host's directory, sorted by name; none where it is
// missing.
func filesIn(dir job.AbsPath, host, below string) ([]fs.DirEntry, error) {
	entries, err := list(dir, host, below)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return slices.DeleteFunc(entries, func(e fs.DirEntry) bool { return !e.Type().IsRegular() }), err
}

// openBelow opens what is below the journal's directory, one name after the other and
// never through a link. All of it must belong to the owner of that directory or to
// root, also where another account reads: root may read the journal of a service account.
func openBelow(dir job.AbsPath, kind uint32, names ...string) (*os.File, error) {
	return named(func() (*os.File, error) { return openOnce(dir, kind, names...) })
}

func openOnce(dir job.AbsPath, kind uint32, names ...string) (*os.File, error) {
	flags := unix.O_RDONLY | unix.O_NOFOLLOW | unix.O_NONBLOCK
	shown := dir.String()
	fd, err := eintr.Openat(unix.AT_FDCWD, shown, flags|unix.O_DIRECTORY)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: shown, Err: err}
	}
	var top unix.Stat_t
	if err := eintr.Fstat(fd, &top); err != nil {
		unix.Close(fd)
		return nil, &fs.PathError{Op: "stat", Path: shown, Err: err}
	}
	for i, name := range names {
		shown += "/" + name
		next, err := openKeepingTime(fd, name, flags)
		unix.Close(fd)
		if err != nil {
			return nil, &fs.PathError{Op: "open", Path: shown, Err: err}
		}
		fd = next
		want := uint32(unix.S_IFDIR)
		if i == len(names)-1 {
			want = kind
		}
		if err := checkOwnedBy(int(top.Uid), fd, shown, want); err != nil {
			unix.Close(fd)
			return nil, err
		}
	}
	return os.NewFile(uintptr(fd), shown), nil
}

// openKeepingTime opens a file so that tmpfiles.d(5), which keeps what was read lately, does not
// count the reading. Only root and the file's owner may do so (O_NOATIME in open(2)).
func openKeepingTime(dir int, name string, flags int) (int, error) {
	fd, err := eintr.Openat(dir, name, flags|unix.O_NOATIME)
	if errors.Is(err, unix.EPERM) {
		fd, err = eintr.Openat(dir, name, flags)
	}
	return fd, err
}

// read returns what a file of the journal has, up to a limit in bytes.
func read(dir job.AbsPath, limit int64, names ...string) (text []byte, file *os.File, err error) {
	file, err = openBelow(dir, unix.S_IFREG, names...)
	if err != nil {
		return nil, nil, err
	}
	if text, err = io.ReadAll(io.LimitReader(file, limit)); err != nil {
		file.Close()
		return nil, nil, fmt.Errorf("cannot read the journal: %w", err)
	}
	return text, file, nil
}

// LiveJobs returns the live jobs of a host, also those whose file cannot be read. It ignores
// other files and those of other accounts.
func LiveJobs(dir job.AbsPath, host string) ([]Record, error) { return jobsIn(dir, host, liveDir) }

func jobsIn(dir job.AbsPath, host, below string) ([]Record, error) {
	entries, err := filesIn(dir, host, below)
	if err != nil {
		return nil, err
	}
	var records []Record
	for _, entry := range entries {
		k, err := ParseKey(entry.Name())
		if err != nil {
			continue
		}
		r := Record{Host: host, Key: k, Live: true}
		if info, err := entry.Info(); err == nil {
			r.Changed = info.ModTime()
		}
		var foreign foreignError
		if r.Unread = r.read(dir, below); errors.Is(r.Unread, fs.ErrNotExist) || errors.As(r.Unread, &foreign) {
			continue // it has ended meanwhile, or was put there
		}
		records = append(records, r)
	}
	return records, nil
}

// read sets what the file of a live job has.
func (r *Record) read(dir job.AbsPath, below string) error {
	text, file, err := read(dir, maxLiveFile, r.Host, below, r.Key.String())
	if err != nil {
		return err
	}
	defer file.Close()
	r.Events, r.Running = parseEvents(text), isLocked(file)
	return nil
}

// isLocked reports whether a stage has locked the file. F_OFD_GETLK does not need
// write access and does not depend on /proc (fcntl(2)).
func isLocked(file *os.File) bool {
	wanted := unix.Flock_t{Type: unix.F_WRLCK, Start: 0, Len: 1}
	return unix.FcntlFlock(file.Fd(), unix.F_OFD_GETLK, &wanted) == nil && wanted.Type != unix.F_UNLCK
}

// parseEvents reads events. It ignores malformed lines: the last one may be incomplete, and
// a full disk leaves incomplete lines in the middle.
func parseEvents(text []byte) []Event {
	events := make([]Event, 0, bytes.Count(text, []byte("\n")))
	for line := range bytes.Lines(text) {
		var e Event
		if len(line) <= maxLine && bytes.HasSuffix(line, []byte("\n")) && json.Unmarshal(line, &e) == nil && e.Name != "" {
			events = append(events, e)
		}
	}
	return events
}

// Whole returns the text of a day up to the last end of a job or refusal. The lines of a job
// are added by one write, of which a reader may see only the first pages; what ends there
// without an end is being written, or was left by a full disk and is still live.
func Whole(text []byte) []byte {
	rest := text
	for len(rest) > 0 {
		at := bytes.LastIndexByte(rest[:len(rest)-1], '\n') + 1
		events := parseEvents(rest[at:])
		if len(events) == 1 && events[0].Name.isLast() || string(bytes.TrimLeft(rest[at:], " ")) == "\n" {
			return rest // the latter was forgotten, or precedes what is being written
		}
		rest = rest[:at]
	}
	return nil
}

// isLast reports whether an event is the last one of its record, also of one that was too
// long for its end.
func (n Name) isLast() bool { return n == Ended || n == Reaped || n == Refused || n == Truncated }

// Day returns the ended jobs and the refusals of one file of a day, in the order of
// their first lines. It ignores duplicate lines, which an interrupted cleanup leaves.
func Day(host string, text []byte) []Record {
	var records []Record
	current := map[job.ID]int{} // index of the newest record of a job
	seen := map[line]bool{}
	for _, e := range parseEvents(text) {
		if e.Name == Refused {
			records = append(records, Record{Host: host, Events: []Event{e}})
			continue
		}
		stamp := line{e.Context.Job, e.Time, e.Name, e.Context.Stage}
		if seen[stamp] {
			continue
		}
		seen[stamp] = true
		at, known := current[e.Context.Job]
		if !known || e.Name == Granted && records[at].hasEnded() {
			at = len(records)
			current[e.Context.Job] = at
			records = append(records, Record{Host: host})
		}
		records[at].Events = append(records[at].Events, e)
	}
	return records
}

// line is what distinguishes the lines of a day.
type line struct {
	id    job.ID
	time  float64
	name  Name
	stage string
}

// EachRecord calls visit for the ended jobs and the refusals of a day. It reads the file in
// pieces: one of a busy host has gigabytes. A job that an interrupted cleanup left twice can
// come twice.
func EachRecord(dir job.AbsPath, host, day string, visit func(Record)) error {
	file, err := openBelow(dir, unix.S_IFREG, host, dayDir, day)
	if err != nil {
		return err
	}
	defer file.Close()
	piece := make([]byte, pieceSize)
	for offset := int64(0); ; {
		n, err := file.ReadAt(piece, offset)
		if err != nil && !errors.Is(err, io.EOF) {
			return fmt.Errorf("cannot read the journal: %w", err)
		}
		text := Whole(piece[:n])
		for _, r := range Day(host, text) {
			visit(r)
		}
		if n < len(piece) {
			return nil
		}
		if len(text) == 0 {
			text = piece[maxLiveFile:] // of no program of this package; a job may begin at its end
		}
		offset += int64(len(text))
	}
}

// pieceSize is how much of a day is read at once, in bytes: more than any job has.
const pieceSize = 256 << 10

// WithoutDoubles removes the records of jobs of which a later one begins with the same
// event: a cleanup that was killed before it removed the live file is repeated, and that
// can be on another day.
func WithoutDoubles(records []Record) []Record {
	newest := map[Begin]int{}
	for i, r := range records {
		if b, ok := r.Begin(); ok {
			newest[b] = i
		}
	}
	var list []Record
	for i, r := range records {
		if b, ok := r.Begin(); !ok || newest[b] == i {
			list = append(list, r)
		}
	}
	return list
}

// Begin identifies a run of a job.
type Begin struct {
	id   job.ID
	time float64
}

// Begin is how a job began; a refusal has none.
func (r Record) Begin() (b Begin, ok bool) {
	if len(r.Events) == 0 || r.Events[0].Name != Granted {
		return b, false
	}
	return Begin{r.Events[0].Context.Job, r.Events[0].Time}, true
}

// hasEnded reports whether the record has its last event. A host that serves two GitLab
// servers can have two jobs with one id.
func (r Record) hasEnded() bool {
	_, ended := r.Find(Ended)
	_, reaped := r.Find(Reaped)
	return ended || reaped
}

// Days returns the names of the day files of a host, the oldest first.
func Days(dir job.AbsPath, host string) ([]string, error) { return dayNames(dir, host, dayDir) }

func dayNames(dir job.AbsPath, host, below string) ([]string, error) {
	entries, err := filesIn(dir, host, below)
	if err != nil {
		return nil, err
	}
	var days []string
	for _, e := range entries {
		if day, ok := strings.CutSuffix(e.Name(), ".jsonl"); ok {
			if _, err := time.Parse(time.DateOnly, day); err == nil {
				days = append(days, e.Name())
			}
		}
	}
	return days, nil
}

// ReadDay returns the text of a day file behind an offset, at most limit bytes of it.
func ReadDay(dir job.AbsPath, host, name string, offset, limit int64) ([]byte, error) {
	file, err := openBelow(dir, unix.S_IFREG, host, dayDir, name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	text, err := io.ReadAll(io.NewSectionReader(file, offset, limit))
	if err != nil {
		return nil, fmt.Errorf("cannot read the journal: %w", err)
	}
	return text, nil
}

// LongestDay bounds a day file that is read, in bytes: the ended jobs come on top of
// the refusals, which maxDayFile bounds.
const LongestDay = 4 * maxDayFile
