// Package bugreport puts what a maintainer needs to understand a fault into one archive,
// without secrets: what is read is chosen by lists of what may be shown, and every
// secret that is known from the places where secrets are is taken out of all texts.
package bugreport

import (
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
)

// File is one file of the archive.
type File struct{ Name, Text string }

const block = 512 // bytes, of tar(5)

// Write writes a compressed archive of the files below the directory dir. The format is
// ustar (POSIX.1-1988, pax(1)); the library's writer needs package os/user.
func Write(out io.Writer, dir string, files []File, now time.Time) error {
	z := gzip.NewWriter(out)
	for _, f := range files {
		head, err := header(dir+"/"+f.Name, len(f.Text), now)
		if err != nil {
			return err
		}
		padding := make([]byte, (block-len(f.Text)%block)%block)
		for _, part := range [][]byte{head, []byte(f.Text), padding} {
			if _, err := z.Write(part); err != nil {
				return err
			}
		}
	}
	_, err := z.Write(make([]byte, 2*block))
	return errors.Join(err, z.Close())
}

// longestName is what the header can hold, in bytes.
const longestName = 100

func header(name string, size int, now time.Time) ([]byte, error) {
	if len(name) > longestName || strings.ContainsRune(name, 0) {
		return nil, fmt.Errorf("cannot put %q into the archive: its name is too long", name)
	}
	h := make([]byte, block)
	copy(h, name)
	copy(h[100:], "0000600\x000000000\x000000000\x00") // mode, uid, gid
	copy(h[124:], fmt.Sprintf("%011o\x00%011o\x00", size, now.Unix()))
	copy(h[148:], "        ") // the checksum counts as blanks
	h[156] = '0'              // a regular file
	copy(h[257:], "ustar\x0000")
	copy(h[265:], "root")
	copy(h[297:], "root")
	sum := 0
	for _, b := range h {
		sum += int(b)
	}
	copy(h[148:], fmt.Sprintf("%06o\x00 ", sum))
	return h, nil
}
