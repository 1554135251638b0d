package slurm

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// base holds the clusters of tests: a root-owned directory that every user can
// reach, since jobs run as other users.
const base = "/srv/jacamar-slurm"

// NewDir makes a directory for a cluster of this process, which Down removes, and
// first removes the clusters of test processes that were killed.
func NewDir() (string, error) {
	if err := sweep(); err != nil {
		return "", err
	}
	return os.MkdirTemp(filepath.Dir(base), filepath.Base(base)+"-"+strconv.Itoa(os.Getpid())+"-")
}

// sweep stops the clusters whose test process, named in the directory, is gone.
func sweep() error {
	dirs, _ := filepath.Glob(base + "-*-*")
	for _, d := range dirs {
		pid, _, _ := strings.Cut(strings.TrimPrefix(d, base+"-"), "-")
		n, err := strconv.Atoi(pid)
		if err != nil || alive(n) {
			continue
		}
		if err := Down(d); err != nil {
			return fmt.Errorf("cannot clear %s: %w", d, err)
		}
		if err := os.RemoveAll(d); err != nil {
			return err
		}
	}
	return nil
}
