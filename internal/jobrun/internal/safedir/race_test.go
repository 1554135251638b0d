package safedir

import (
	"bytes"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"jacamar-ci/test/harness/testutil"
)

// encounters is how often the work below must succeed and how often be refused
// while a racer swaps directories.
const encounters = 300

// TestRacer replaces a directory by a symbolic link and back, while other calls create,
// write and remove it. None of them may affect the target of the link.
func TestRacer(t *testing.T) {
	outside := private(t)
	testutil.Must(t, os.MkdirAll(filepath.Join(outside, "b"), 0o700), write(filepath.Join(outside, "b", "precious")), write(filepath.Join(outside, "precious")))
	top := private(t)
	f := base(t, top, me())
	a, link := filepath.Join(top, "a"), filepath.Join(top, "link")
	testutil.Must(t, os.Mkdir(a, 0o700), os.Symlink(outside, link))
	stop, done, swapped := make(chan struct{}), sync.WaitGroup{}, 0
	done.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
			}
			if unix.Renameat2(unix.AT_FDCWD, a, unix.AT_FDCWD, link, unix.RENAME_EXCHANGE) == nil {
				swapped++
			}
		}
	})
	worked, refused, limit := 0, 0, time.Now().Add(20*time.Second)
	for i := 0; (worked < encounters || refused < encounters) && time.Now().Before(limit); i++ {
		below, err := f.Make("a", "b")
		if err != nil {
			refused++
			continue
		}
		worked++
		testutil.Must(t, below.Write("file", []byte("evil")))
		below.Close()
		if i%10 == 0 {
			_ = f.Remove("a", later())
			testutil.Must(t, complete(a, link, outside))
		}
		if d, err := f.Open("a"); err == nil {
			_ = d.Remove("b", later())
			d.Close()
		}
	}
	close(stop)
	done.Wait()
	if got := list(t, outside) + " " + list(t, filepath.Join(outside, "b")); got != "b precious precious" {
		t.Errorf("outside is %s", got)
	}
	t.Logf("%d worked, %d were refused, %d swaps", worked, refused, swapped)
	if worked < encounters || refused < encounters {
		t.Error("the racer never met the work")
	}
}

// complete creates the missing one of the pair that the racer swaps: it cannot swap while
// one is missing.
func complete(a, link, outside string) error {
	if _, err := os.Lstat(a); err == nil {
		return nil
	}
	if info, err := os.Lstat(link); err != nil || info.Mode()&os.ModeSymlink == 0 {
		return os.Symlink(outside, a)
	}
	return os.Mkdir(a, 0o700)
}

// TestWriteAtOnce: of several writers of a file each succeeds, and a reader gets what one of
// them wrote. Each has its own open directory, as the processes of several jobs have.
func TestWriteAtOnce(t *testing.T) {
	top := private(t)
	var writers sync.WaitGroup
	for n := range 4 {
		f, text := base(t, top, me()), bytes.Repeat([]byte{byte('a' + n)}, 5000*(n+1))
		writers.Go(func() {
			for range 150 {
				if err := f.Write("file", text); err != nil {
					t.Error(err)
				}
				got, err := f.Read("file", 1<<20)
				if err != nil || len(got) == 0 || len(got) != 5000*int(got[0]-'a'+1) || len(bytes.Trim(got, string(got[0]))) > 0 {
					t.Errorf("read %d bytes, %.1q…, %v", len(got), got, err)
				}
			}
		})
	}
	if writers.Wait(); list(t, top) != "file" {
		t.Errorf("left is %s", list(t, top))
	}
}

// TestWriteDuringRemovals: a cleanup removes the new file of another job that begins.
func TestWriteDuringRemovals(t *testing.T) {
	top := private(t)
	f, other := base(t, top, me()), base(t, top, me())
	var removals sync.WaitGroup
	done := make(chan struct{})
	removals.Go(func() {
		for {
			select {
			case <-done:
				return
			default:
				if err := other.Remove("file.new", later()); err != nil {
					t.Error(err)
				}
			}
		}
	})
	for range 2000 {
		if err := f.Write("file", []byte("text")); err != nil {
			t.Fatal(err)
		}
	}
	close(done)
	removals.Wait()
}
