package auditlog

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

func counterAt(path string) *Counter {
	return &Counter{Open: func() (*os.File, error) { return os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600) }}
}

func fileAt(path string) Destination {
	return File(func() (*os.File, error) { return os.OpenFile(path, os.O_CREATE|os.O_RDWR|os.O_APPEND, 0o600) })
}

// sequences returns the order fields of the records of a file.
func sequences(t *testing.T, path string) (all []struct {
	Seq     *uint64
	Call    string
	CallSeq int `json:"call_seq"`
	Event   string
},
) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if line == "\n" {
			continue // see lineFile.Write
		}
		all = append(all, struct {
			Seq     *uint64
			Call    string
			CallSeq int `json:"call_seq"`
			Event   string
		}{})
		if err := json.Unmarshal([]byte(line), &all[len(all)-1]); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
	}
	return all
}

// TestRecordsAreNumbered writes the records of many calls concurrently: each number of
// the host is assigned once, and none is omitted.
func TestRecordsAreNumbered(t *testing.T) {
	const calls, each = 20, 5
	path := filepath.Join(t.TempDir(), "log")
	var all sync.WaitGroup
	for n := range calls {
		all.Go(func() {
			l, err := New(Settings{Level: "info", Destination: fileAt(path), Call: fmt.Sprint(n), Counter: counterAt(path + ".seq"), Lost: func(err error) { t.Error(err) }})
			if err != nil {
				t.Error(err)
				return
			}
			for range each {
				l.Ended(Subject{}, End{Exit: "ok"})
			}
			l.Close()
		})
	}
	all.Wait()
	var numbers []uint64
	last := map[string]int{}
	for _, r := range sequences(t, path) {
		if r.Seq == nil || r.CallSeq != last[r.Call]+1 {
			t.Fatalf("%+v follows number %d of its call", r, last[r.Call])
		}
		last[r.Call], numbers = r.CallSeq, append(numbers, *r.Seq)
	}
	slices.Sort(numbers)
	for i, n := range numbers {
		if n != uint64(i+1) {
			t.Fatalf("record %d has the number %d", i+1, n)
		}
	}
	if len(numbers) != calls*each {
		t.Errorf("%d records", len(numbers))
	}
}

// TestLostRecordsLeaveAGap drops records, as a full log service does.
func TestLostRecordsLeaveAGap(t *testing.T) {
	dir := t.TempDir()
	for n, place := range []Destination{fileAt(dir + "/log"), (&memory{fail: errors.New("full")}).place(), fileAt(dir + "/log")} {
		l, err := New(Settings{Level: "info", Destination: place, Call: fmt.Sprint(n), Counter: counterAt(dir + "/seq")})
		if err != nil {
			t.Fatal(err)
		}
		l.Ended(Subject{}, End{Exit: "ok"})
		l.Close()
	}
	got := sequences(t, dir+"/log")
	if len(got) != 2 || *got[0].Seq != 1 || *got[1].Seq != 3 {
		t.Errorf("got %+v", got)
	}
}

// TestLevelsLeaveNoGap: records below the level are not numbered.
func TestLevelsLeaveNoGap(t *testing.T) {
	dir := t.TempDir()
	l, err := New(Settings{Level: "warning", Destination: fileAt(dir + "/log"), Call: "1", Counter: counterAt(dir + "/seq")})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		l.Ended(Subject{}, End{Exit: "ok"})
		l.Checked(Subject{}, Rule{})
		l.Warned(Subject{}, errors.New("x"))
	}
	for i, r := range sequences(t, dir+"/log") {
		if *r.Seq != uint64(i+1) || r.CallSeq != i+1 {
			t.Errorf("record %d: %+v", i+1, r)
		}
	}
}

// TestUnusableCounter: records are written without a number, which is reported once.
func TestUnusableCounter(t *testing.T) {
	for name, tc := range map[string]struct {
		counter func(t *testing.T, path string) *Counter
		want    string
	}{
		"no directory": {func(_ *testing.T, path string) *Counter { return counterAt(path + "/missing/seq") }, "no such file"},
		"text":         {holding("twelve\n"), "does not contain a number"},
		"short":        {holding("12\n"), "does not contain a number"},
		"long":         {holding(strings.Repeat("0", 21) + "\n"), "does not contain a number"},
		"no line end":  {holding(strings.Repeat("0", 21)), "does not contain a number"},
		"no digits":    {holding(strings.Repeat("x", 20) + "\n"), "does not contain a number"},
		"two lines":    {holding(fmt.Sprintf("%020d\n\n", 7)), "does not contain a number"},
		"locked": {func(t *testing.T, path string) *Counter {
			f, err := os.Create(path)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { f.Close() })
			if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil {
				t.Fatal(err)
			}
			return counterAt(path)
		}, "timed out waiting for the lock of"},
		"closed": {func(t *testing.T, path string) *Counter {
			return &Counter{Open: func() (*os.File, error) {
				f, err := os.Create(path)
				if err == nil {
					f.Close()
				}
				return f, err
			}}
		}, "bad file descriptor"},
		"read only": {func(t *testing.T, path string) *Counter {
			return &Counter{Open: func() (*os.File, error) { return os.OpenFile(path, os.O_CREATE|os.O_RDONLY, 0o600) }}
		}, "bad file descriptor"},
	} {
		t.Run(name, func(t *testing.T) {
			m := &memory{}
			var reported []error
			begin := time.Now()
			l, err := New(Settings{
				Level: "info", Destination: m.place(), Call: "1", Counter: tc.counter(t, filepath.Join(t.TempDir(), "seq")),
				Lost: func(err error) { reported = append(reported, err) },
			})
			if err != nil {
				t.Fatal(err)
			}
			for range 3 {
				l.Ended(Subject{}, End{Exit: "ok"})
			}
			if err := l.WriteTest(); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("Try: %v", err)
			}
			l.Close()
			if got := len(records(t, m.String())); got != 4 || strings.Contains(m.String(), `"seq"`) {
				t.Errorf("%d records:\n%s", got, m.String())
			}
			if len(reported) != 1 || !strings.Contains(reported[0].Error(), tc.want) {
				t.Errorf("reported %v", reported)
			}
			if d := time.Since(begin); d > lockLimit+2*time.Second {
				t.Errorf("it took %v", d)
			}
		})
	}
}

// TestCounterWaitsForLock: another call has the lock for a moment.
func TestCounterWaitsForLock(t *testing.T) {
	path := filepath.Join(t.TempDir(), "seq")
	other, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	if err := syscall.Flock(int(other.Fd()), syscall.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	release := time.AfterFunc(lockLimit/5, func() { _ = syscall.Flock(int(other.Fd()), syscall.LOCK_UN) })
	defer release.Stop()
	if n, err := counterAt(path).next(); n != 1 || err != nil {
		t.Errorf("number %d, %v", n, err)
	}
}

func holding(text string) func(*testing.T, string) *Counter {
	return func(t *testing.T, path string) *Counter {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return counterAt(path)
	}
}

// TestIncompleteLine: a line that a killed call or a full disk left incomplete does not
// damage the next record.
func TestIncompleteLine(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	for _, before := range []string{"", "{\"whole\":1}\n", "{\"event\":\"deci", "\n", "x"} {
		if err := os.WriteFile(path, []byte(before), 0o600); err != nil {
			t.Fatal(err)
		}
		l, err := New(Settings{Level: "info", Destination: fileAt(path), Lost: func(err error) { t.Error(err) }})
		if err != nil {
			t.Fatal(err)
		}
		for range 2 {
			l.Ended(Subject{}, End{Exit: "ok"})
		}
		l.Close()
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		rest, kept := strings.CutPrefix(string(text), before)
		if before != "" && !strings.HasSuffix(before, "\n") {
			rest, kept = strings.CutPrefix(rest, "\n")
		}
		if !kept || len(records(t, rest)) != 2 {
			t.Errorf("%q became %q", before, text)
		}
	}
}
