package journal

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"jacamar-ci/internal/job"
	"jacamar-ci/test/harness/testutil"
)

// dayOf writes a day with jobs of so many bytes each, and returns the journal.
func dayOf(t *testing.T, jobs, size int) (dir job.AbsPath, day string) {
	t.Helper()
	_, dir = open(t)
	day = start.Format(time.DateOnly) + ".jsonl"
	path := filepath.Join(dir.String(), "login1", dayDir)
	var text strings.Builder
	for i := range jobs {
		c := Context{Job: job.ID(i + 1)}
		for _, e := range []Event{At(start, Granted, c), At(start, Stage, c), At(start, Ended, c)} {
			line, err := e.line()
			testutil.Must(t, err)
			text.Write(line)
			if e.Name == Stage {
				fmt.Fprintf(&text, "%*s\n", size, "{")
			}
		}
	}
	testutil.Must(t, os.MkdirAll(path, 0o750), os.WriteFile(filepath.Join(path, day), []byte(text.String()), 0o640))
	return dir, day
}

// TestEachRecord: every job of a day that is read in pieces comes once, wherever a piece ends,
// also behind what is no job and longer than a piece; the job that is being written does not.
func TestEachRecord(t *testing.T) {
	const jobs = 3000
	dir, day := dayOf(t, jobs, pieceSize/1000+7)
	path := filepath.Join(dir.String(), "login1", dayDir, day)
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
	testutil.Must(t, err)
	defer file.Close()
	last, err := At(start, Granted, Context{Job: jobs + 2}).line()
	testutil.Must(t, err)
	end, err := At(start, Ended, Context{Job: jobs + 2}).line()
	testutil.Must(t, err)
	open, err := At(start, Granted, Context{Job: jobs + 3}).line()
	testutil.Must(t, err)
	for _, text := range []string{strings.Repeat("x", 2*pieceSize+5) + "\n", string(last) + string(end), string(open)} {
		_, err := file.WriteString(text)
		testutil.Must(t, err)
	}
	count := map[job.ID]int{}
	testutil.Must(t, EachRecord(dir, "login1", day, func(r Record) {
		count[r.Events[0].Context.Job]++
		if want := 3; len(r.Events) != want && r.Events[0].Context.Job <= jobs {
			t.Errorf("job %s has %d events, want %d", r.Events[0].Context.Job, len(r.Events), want)
		}
	}))
	for id := range job.ID(jobs) {
		if count[id+1] != 1 {
			t.Fatalf("job %d: %d times", id+1, count[id+1])
		}
	}
	if count[jobs+2] != 1 || count[jobs+3] != 0 {
		t.Errorf("the last job %d times, the one that is being written %d times", count[jobs+2], count[jobs+3])
	}
}

// TestEachRecordBehindGarbage: a job comes whole wherever it begins behind what a crash has
// left: blocks of zeros, without a line feed.
func TestEachRecordBehindGarbage(t *testing.T) {
	dir, day := dayOf(t, 1, 30<<10)
	path := filepath.Join(dir.String(), "login1", dayDir, day)
	text, err := os.ReadFile(path)
	testutil.Must(t, err)
	for before := pieceSize - len(text) - 2; before < pieceSize+2; before += 1 << 10 {
		garbage := make([]byte, before)
		testutil.Must(t, os.WriteFile(path, append(append(garbage, '\n'), text...), 0o640))
		var got []Name
		testutil.Must(t, EachRecord(dir, "login1", day, func(r Record) {
			for _, e := range r.Events {
				got = append(got, e.Name)
			}
		}))
		if want := []Name{Granted, Stage, Ended}; !slices.Equal(got, want) {
			t.Errorf("behind %d bytes: %q, want %q", before, got, want)
		}
	}
}

// TestReadKeepsTimes: no reader makes a day young for tmpfiles.d(5), which removes those that
// were not used for long.
func TestReadKeepsTimes(t *testing.T) {
	dir, day := dayOf(t, 3, 10)
	path := filepath.Join(dir.String(), "login1", dayDir, day)
	old := time.Now().Add(-40 * 24 * time.Hour).Truncate(time.Second)
	for name, read := range map[string]func() error{
		"EachRecord": func() error { return EachRecord(dir, "login1", day, func(Record) {}) },
		"ReadDay":    func() error { _, err := ReadDay(dir, "login1", day, 0, 10); return err },
		"Forget":     func() error { _, err := Forget(dir, "login1", Person{Account: "nobody-here"}); return err },
	} {
		testutil.Must(t, os.Chtimes(path, old, old), read())
		var st unix.Stat_t
		testutil.Must(t, unix.Stat(path, &st))
		if got := time.Unix(st.Atim.Unix()); !got.Equal(old) {
			t.Errorf("%s: read at %v, as the file system has it", name, got)
		}
	}
}

// TestReaders: root and a file's owner keep the time of the last reading; another account that
// may read the file can do so all the same (O_NOATIME in open(2)). In the journal of a service
// account, some files are root's.
func TestReaders(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can act as other accounts")
	}
	const account = 1001
	dir, day := dayOf(t, 1, 10)
	path := filepath.Join(dir.String(), "login1", dayDir, day)
	testutil.Must(t, filepath.WalkDir(filepath.Dir(dir.String()), func(path string, d os.DirEntry, err error) error {
		return errors.Join(err, os.Chmod(path, map[bool]os.FileMode{true: 0o755, false: 0o644}[d.IsDir()]), os.Chown(path, account, 0))
	}))
	old := time.Now().Add(-40 * 24 * time.Hour).Truncate(time.Second)
	for _, owner := range []int{account, 0} {
		for _, reader := range []int{0, account, account + 1} {
			testutil.Must(t, os.Chown(path, owner, 0), os.Chtimes(path, old, old))
			records := 0
			var err error
			asAccount(reader, func() { err = EachRecord(dir, "login1", day, func(Record) { records++ }) })
			var st unix.Stat_t
			testutil.Must(t, unix.Stat(path, &st))
			keeps := reader == 0 || reader == owner
			if read := time.Unix(st.Atim.Unix()); err != nil || records != 1 || keeps && !read.Equal(old) {
				t.Errorf("account %d of a file of %d: %d records, %v, read at %v", reader, owner, records, err, read)
			}
		}
	}
}

// asAccount calls do on a thread that has an account's effective user id.
func asAccount(uid int, do func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // never unlocked: the thread ends
		_, _, _ = unix.RawSyscall(unix.SYS_SETRESUID, ^uintptr(0), uintptr(uid), ^uintptr(0))
		do()
	}()
	<-done
}
