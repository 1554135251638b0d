package main

import (
	"archive/zip"
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// pack writes the files that match the patterns, and what is below matching
// directories, and returns how many there are.
func pack(w io.Writer, patterns []string) (int, error) {
	z := zip.NewWriter(w)
	count := 0
	for _, pattern := range patterns {
		matches, err := filepath.Glob(pattern)
		if err != nil {
			return 0, err
		}
		for _, match := range matches {
			err := filepath.WalkDir(match, func(path string, entry fs.DirEntry, err error) error {
				if err != nil || !entry.Type().IsRegular() {
					return err
				}
				count++
				return add(z, path)
			})
			if err != nil {
				return 0, err
			}
		}
	}
	return count, z.Close()
}

func add(z *zip.Writer, path string) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	w, err := z.Create(filepath.ToSlash(path))
	if err != nil {
		return err
	}
	_, err = io.Copy(w, file)
	return err
}

// unpack writes an archive's files below the working directory and nowhere else.
func unpack(archive []byte) (int, error) {
	z, err := zip.NewReader(bytes.NewReader(archive), int64(len(archive)))
	if err != nil {
		return 0, err
	}
	root, err := os.OpenRoot(".")
	if err != nil {
		return 0, err
	}
	defer root.Close()
	for _, f := range z.File {
		if err := extract(root, f); err != nil {
			return 0, fmt.Errorf("%s: %w", f.Name, err)
		}
	}
	return len(z.File), nil
}

func extract(root *os.Root, f *zip.File) error {
	if err := root.MkdirAll(filepath.Dir(f.Name), 0o777); err != nil {
		return err
	}
	in, err := f.Open()
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := root.Create(f.Name)
	if err != nil {
		return err
	}
	if _, err := io.Copy(out, in); err != nil {
		_ = out.Close()
		return err
	}
	return out.Close()
}

func (c call) archiveCache() error {
	var b bytes.Buffer
	n, err := pack(&b, c.paths)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(c.file), 0o700); err != nil {
		return err
	}
	fmt.Printf("%v: found %d matching files\n", c.paths, n)
	return os.WriteFile(c.file, b.Bytes(), 0o600)
}

func (c call) extractCache() error {
	b, err := os.ReadFile(c.file)
	if err != nil {
		return err
	}
	n, err := unpack(b)
	if err == nil {
		fmt.Printf("extracted %d files\n", n)
	}
	return err
}
