package tail

import (
	"path/filepath"
	"testing"
	"time"
)

func TestWatch(t *testing.T) {
	dir := t.TempDir()
	hints, stop, err := Watch(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	for _, name := range []string{"log", "log", "ended"} {
		write(t, filepath.Join(dir, name), "a")
		select {
		case <-hints:
		case <-time.After(20 * time.Second):
			t.Fatalf("no hint of a write to %s", name)
		}
	}
}

// Continuous writes cause few hints.
func TestHintRate(t *testing.T) {
	dir := t.TempDir()
	hints, stop, err := Watch(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	begin := time.Now()
	n := 0
	for range 5000 {
		write(t, filepath.Join(dir, "log"), "a")
		select {
		case <-hints:
			n++
		default:
		}
	}
	if most := int(time.Since(begin)/eventInterval) + 2; n > most {
		t.Errorf("%d hints in %v, want at most %d", n, time.Since(begin), most)
	}
}

func TestWatchMissing(t *testing.T) {
	if _, _, err := Watch(filepath.Join(t.TempDir(), "none")); err == nil {
		t.Error("a directory that is not there was watched")
	}
}
