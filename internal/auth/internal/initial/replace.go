package initial

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"
)

// maxRunnerFile is far above any runner's configuration, in bytes.
const maxRunnerFile = 4 << 20

// MergeFile merges the wiring into a runner's config.toml, which keeps its owner
// and its mode. The runner notices the new file by itself.
func (w Wiring) MergeFile(path, runner string) error {
	text, info, err := read(path)
	if err != nil {
		return err
	}
	merged, err := w.Merge(text, runner)
	if err != nil {
		return fmt.Errorf("cannot edit %s: %w", path, err)
	}
	return replace(path, merged, info)
}

func read(path string) (string, os.FileInfo, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if err != nil {
		return "", nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return "", nil, err
	}
	if !info.Mode().IsRegular() {
		return "", nil, fmt.Errorf("%s is not a regular file", path)
	}
	text, err := io.ReadAll(io.LimitReader(f, maxRunnerFile))
	return string(text), info, err
}

func replace(path, text string, was os.FileInfo) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".config-*")
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(f.Name()) }() // gone by then, when all went well
	_, err = f.WriteString(text)
	if stat, ok := was.Sys().(*syscall.Stat_t); ok {
		err = errors.Join(err, f.Chown(int(stat.Uid), int(stat.Gid)))
	}
	if err := errors.Join(err, f.Chmod(was.Mode().Perm()), f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}
