package batch

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestRemove: what remains of a submission. What is missing already is no error; where a
// file cannot be removed, the record remains for the next attempt.
func TestRemove(t *testing.T) {
	written := []string{recordFile, startedFile, endedFile}
	initial := []string{logFile, printedFile, scriptFile, wrapperFile}
	all := slices.Sorted(slices.Values(slices.Concat(written, initial)))
	for _, tt := range []struct {
		name    string
		missing []string // before
		stuck   string   // cannot be removed as a file
		gone    []string // with retain
		fails   [2]bool  // without and with retain
	}{
		{"complete", nil, "", []string{printedFile, recordFile, scriptFile}, [2]bool{}},
		{"no script", []string{scriptFile}, "", []string{printedFile, recordFile}, [2]bool{}},
		{"nothing to remove", []string{printedFile, recordFile, scriptFile}, "", nil, [2]bool{}},
		{"the script stays", nil, scriptFile, nil, [2]bool{true, true}},
		{"what profiles print stays", nil, printedFile, []string{scriptFile}, [2]bool{false, true}},
	} {
		for i, retain := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, retained: %v", tt.name, retain), func(t *testing.T) {
				d := submitted(t, "true")
				for _, name := range written {
					if err := os.WriteFile(d.path(name), nil, 0o600); err != nil {
						t.Fatal(err)
					}
				}
				left := slices.Clone(all)
				for _, name := range tt.missing {
					if err := os.Remove(d.path(name)); err != nil {
						t.Fatal(err)
					}
					left = without(left, name)
				}
				if tt.stuck != "" {
					stick(t, d.path(tt.stuck))
				}
				if err := d.remove(retain); (err != nil) != tt.fails[i] {
					t.Errorf("%v, an error: want %v", err, tt.fails[i])
				}
				if !retain && !tt.fails[i] {
					left = nil
				} else {
					left = without(left, tt.gone...)
				}
				if got := names(t, string(d)); !slices.Equal(got, left) {
					t.Errorf("left: %q, want %q", got, left)
				}
			})
		}
	}
	if err := directory(filepath.Join(t.TempDir(), "none")).remove(true); err != nil {
		t.Errorf("a missing directory: %v", err)
	}
}

// stick puts a directory with a file in the place of a file.
func stick(t *testing.T, path string) {
	t.Helper()
	if err := errors.Join(os.RemoveAll(path), os.MkdirAll(filepath.Join(path, "full"), 0o700)); err != nil {
		t.Fatal(err)
	}
}

func without(all []string, some ...string) []string {
	return slices.DeleteFunc(slices.Clone(all), func(name string) bool { return slices.Contains(some, name) })
}

func names(t *testing.T, dir string) (all []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	for _, e := range entries {
		all = append(all, e.Name())
	}
	return all
}

// TestStorageIsChecked: the job's log warns where the storage accepts no data at the end,
// and only then.
func TestStorageIsChecked(t *testing.T) {
	for _, full := range []bool{false, true} {
		t.Run(fmt.Sprintf("full: %v", full), func(t *testing.T) {
			simulate(t, func(t *testing.T, w *simulator) {
				w.onSubmit = func() {
					if full {
						stick(t, w.task.dir().path(probeFile))
					}
					w.start()
					time.AfterFunc(time.Minute, func() { w.finish(0, false, "COMPLETED") })
				}
				if err, _ := w.run(noStop()); err != nil {
					t.Error(err)
				}
				if strings.Contains(w.log.String(), "WARNING") != full || strings.Contains(w.log.String(), "the end of the job's output is missing") != full {
					t.Errorf("the log:\n%s", w.log)
				}
			})
		})
	}
}
