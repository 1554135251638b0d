// Package bugreport puts what a maintainer needs to understand a fault into one archive,
// without secrets: what is read is chosen by lists of what may be shown, and every
// secret that is known from the places where secrets are is taken out of all texts.
package bugreport

import (
	"cmp"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"sync"
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

// removed stands where a secret was.
const removed = "(removed)"

// Secrets are texts that must not be in the archive.
type Secrets struct{ known []string }

// leastSecret is the shortest text that is taken out everywhere, in bytes: a shorter one
// would be found in words.
const leastSecret = 6

// Add adds a secret, and each of its lines.
func (s *Secrets) Add(text string) {
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); len(line) >= leastSecret && !slices.Contains(s.known, line) {
			s.known = append(s.known, line)
		}
	}
	// Longer ones first: one can be a part of another.
	slices.SortStableFunc(s.known, func(a, b string) int { return cmp.Compare(len(b), len(a)) })
}

// forms are secrets that are known by their form: JSON Web Tokens (RFC 7519), tokens of
// GitLab (docs.gitlab.com/security/tokens), user and password in a URL (RFC 3986), and
// values of names that are for secrets.
var forms = sync.OnceValue(func() []form {
	return []form{
		{regexp.MustCompile(`eyJ[A-Za-z0-9_-]{6,}(\.[A-Za-z0-9_-]*){0,2}`), removed},
		{regexp.MustCompile(`\b(gl[a-z]{2,8}-[A-Za-z0-9_.-]{8,}|GR1348941[A-Za-z0-9_-]{8,})`), removed},
		{regexp.MustCompile(`([a-z][a-z0-9+.-]*://)[^/\s"'@]*@`), "${1}" + removed + "@"},
		{regexp.MustCompile(`(?s)-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(-----END [A-Z ]*PRIVATE KEY-----|$)`), removed},
		{regexp.MustCompile(`(?i)(\b[a-z0-9_-]*(password|passwd|secret|token|api_?key|private_?key)[a-z0-9_]*\s*[=:]\s*)("[^"]*"|'[^']*'|[^\s,;"']+)`), "${1}" + removed},
		{regexp.MustCompile(`(?i)(authorization:\s*\S+\s+|bearer\s+)\S+`), "${1}" + removed},
	}
})

type form struct {
	pattern *regexp.Regexp
	with    string
}

// Scrub takes all secrets out of a text.
func (s Secrets) Scrub(text string) string {
	for _, secret := range s.known {
		text = strings.ReplaceAll(text, secret, removed)
	}
	for _, f := range forms() {
		text = f.pattern.ReplaceAllString(text, f.with)
	}
	return text
}
