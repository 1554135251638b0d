package faultinjection

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"jacamar-ci/test/harness/site"
)

// inner are internal terms of the programs.
var inner = []string{"goroutine ", "jacamar-auth: ", "ipc socket", "close_range", "prctl"}

// shown searches the driver's output for secrets, and for terms that its user cannot
// understand.
func shown(e ended) (wrong []string) {
	for _, c := range e.result.Calls {
		for _, word := range inner {
			if c.Stage != "cleanup" && (bytes.Contains(c.Stdout, []byte(word)) || bytes.Contains(c.Stderr, []byte(word))) {
				wrong = append(wrong, fmt.Sprintf("the user reads %q from %s: %q", word, c.Stage, append(c.Stdout, c.Stderr...)))
			}
		}
		for _, secret := range e.secret {
			if bytes.Contains(c.Stdout, []byte(secret)) || bytes.Contains(c.Stderr, []byte(secret)) {
				wrong = append(wrong, "a secret is in the output of "+c.Stage)
			}
		}
	}
	return wrong
}

// left searches for what must not remain after a job: processes, and secrets in files.
func (r *harness) left(e ended) (wrong []string) {
	var alive []site.Process
	if !site.Eventually(3*time.Second, func() bool {
		alive, _ = site.Find(r.own)
		return len(alive) == 0
	}) {
		wrong = append(wrong, fmt.Sprintf("still alive: %v", alive))
	}
	wrong = append(wrong, r.contained.left(r.site.Account)...)
	for _, file := range r.files(e.begun) {
		text, err := os.ReadFile(file)
		if err != nil {
			continue
		}
		for _, secret := range e.secret {
			if bytes.Contains(text, []byte(secret)) {
				wrong = append(wrong, "a secret is in "+file)
			}
		}
	}
	return wrong
}

// own picks the processes of the accounts, and as an ordinary user those of the site.
func (r *harness) own(p site.Process) bool {
	if os.Geteuid() != 0 {
		return r.site.Own()(p)
	}
	service := r.site.Service()
	return r.site.Own()(p) || (service != nil && p.UID == service.UID) || p.Exe == r.site.Auth
}

// files are all files that a job may have written.
func (r *harness) files(since time.Time) (all []string) {
	roots := []string{r.site.Dir}
	if os.Geteuid() == 0 {
		roots = append(roots, r.site.Account.Home)
		if service := r.site.Service(); service != nil {
			roots = append(roots, service.Home)
		}
	}
	for _, dir := range []string{"/tmp", "/var/tmp", "/dev/shm"} {
		roots = append(roots, r.fresh(dir, since)...)
	}
	for _, root := range roots {
		_ = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			if err == nil && d.Type().IsRegular() && filepath.Dir(path) != filepath.Dir(r.site.Auth) {
				all = append(all, path)
			}
			return nil
		})
	}
	return all
}

// fresh are the entries of a directory for all users that were created during the job by
// one of its accounts.
func (r *harness) fresh(dir string, since time.Time) (all []string) {
	entries, _ := os.ReadDir(dir)
	for _, entry := range entries {
		info, err := entry.Info()
		if err != nil || info.ModTime().Before(since) {
			continue
		}
		owners := []uint32{r.site.Account.UID}
		if service := r.site.Service(); service != nil {
			owners = append(owners, service.UID)
		}
		if stat, ok := info.Sys().(*syscall.Stat_t); ok && (slices.Contains(owners, stat.Uid) || !info.IsDir()) {
			all = append(all, filepath.Join(dir, entry.Name()))
		}
	}
	return all
}

// reset removes the files of a job whose cleanup failed: its claim is valid while the
// runner runs, which is this process.
func (r *harness) reset() []string {
	if os.Geteuid() != 0 {
		return nil
	}
	if err := os.RemoveAll(filepath.Join(r.site.Account.Home, ".jacamar-ci")); err != nil {
		return []string{err.Error()}
	}
	return nil
}
