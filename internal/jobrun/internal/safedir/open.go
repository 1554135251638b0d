package safedir

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"jacamar-ci/internal/eintr"
	"jacamar-ci/internal/failure"
	"jacamar-ci/internal/job"
	"jacamar-ci/internal/jobrun/internal/diskspace"
	"jacamar-ci/internal/trustedfile"
)

// OpenBase opens the directory at p, the only path that is ever looked up, and creates it
// where it is missing. It may be a symbolic link, owned by the user or by root, to a
// directory that meets the rules: homes are small, and users link their base to scratch.
// Each parent directory is checked: the runner's scripts use the path, so an account that
// can replace one of them could run code as the user.
func OpenBase(p job.AbsPath, rules Rules) (*Dir, error) {
	return openOrMake(p, rules, nil, (*Dir).checkStrict)
}

// OpenOwnBase is OpenBase for a directory that is for jobs alone, or that an earlier stage of
// the job has accepted: it gets its mode back, like those in it. Another one may be shared on
// purpose.
func OpenOwnBase(p job.AbsPath, rules Rules) (*Dir, error) {
	return openOrMake(p, rules, nil, (*Dir).checkExisting)
}

// checkStrict is checkExisting for a directory whose mode stays as it is.
func (f *Dir) checkStrict() error {
	st, err := f.settled()
	if err != nil {
		return err
	}
	return f.rules.check(f.path.String(), &st)
}

// OpenCreate opens a directory that the user chose, and creates it and its parent
// directories where they are missing. The user must own it, and others may not write to
// it; the rules hold for directories that are created in it.
func OpenCreate(p job.AbsPath, rules Rules) (*Dir, error) {
	missing := func(dir int, name string) error { return makeParent(dir, name, p, rules) }
	return openOrMake(p, rules, missing, (*Dir).checkUserDir)
}

// openOrMake opens or creates the directory at p. missing, optional, creates a missing
// parent directory; check checks the directory if it existed.
func openOrMake(p job.AbsPath, rules Rules, missing func(dir int, name string) error, check func(*Dir) error) (*Dir, error) {
	at, err := rules.findEntry(p, missing)
	if err != nil {
		return nil, err
	}
	defer at.Close()
	// In every stage but the first one of an account it exists.
	f, err := openEntry(at, p, rules)
	made := false
	if errors.Is(err, unix.ENOENT) {
		if made, err = makeEntry(at, p, rules); err == nil {
			f, err = openEntry(at, p, rules)
		}
	}
	if err != nil {
		return nil, err
	}
	if made {
		return f.orClose(f.checkNew(at.Dir, at.Name))
	}
	return f.orClose(check(f))
}

// OpenExisting is OpenCreate for an existing directory. The error is unix.ENOENT when
// there is none.
func OpenExisting(p job.AbsPath, rules Rules) (*Dir, error) {
	at, err := rules.findEntry(p, nil)
	if err != nil {
		return nil, plainNotExist(err)
	}
	defer at.Close()
	f, err := openEntry(at, p, rules)
	if err != nil {
		return nil, plainNotExist(err)
	}
	return f.orClose(f.checkUserDir())
}

// plainNotExist replaces an error that wraps unix.ENOENT by unix.ENOENT itself.
func plainNotExist(err error) error {
	if errors.Is(err, unix.ENOENT) {
		return unix.ENOENT
	}
	return err
}

// findEntry looks up a directory and checks its parent directories.
func (r Rules) findEntry(p job.AbsPath, missing func(int, string) error) (trustedfile.Entry, error) {
	at, err := trustedfile.Jobs(r.Owner).FindEntry(p, missing)
	return at, r.explainPath(p, err)
}

// explainPath explains what is wrong with the parent directories. The user can fix some of
// it.
func (r Rules) explainPath(p job.AbsPath, err error) error {
	var fault *trustedfile.Fault
	switch {
	case err == nil:
		return nil
	case !errors.As(err, &fault) || fault.Err != nil:
		return diskspace.Explain(fmt.Sprintf("cannot create %s", p), p.String(), err)
	case isFile(fault.Path):
		return failure.Systemf("%w", foreignError(fmt.Sprintf("cannot use %s: %s is not a directory", p, fault.Path))).
			WithHint("rename %s, or choose another directory; if it is not yours, tell the administrators of this resource", fault.Path)
	}
	problem := fault.Problem
	if fault.Relation != "" {
		problem = fmt.Sprintf("%s %s, not by root or you", fault.Relation, accountName(fault.UID))
	}
	subject := fault.Path + ", on the way to it,"
	if fault.Path == p.String() {
		subject = "it"
	}
	text := fmt.Sprintf("cannot use %s: %s %s: others could replace its content", p, subject, problem)
	if fault.UID == uint32(r.Owner) {
		return failure.Systemf("%s", text).WithHint("%s", fault.Fix)
	}
	return failure.Systemf("%w", foreignError(text)).WithHint("tell the administrators of this resource: %s", fault.Fix)
}

// isFile reports whether the path leads to something else than a directory.
func isFile(path string) bool {
	var st unix.Stat_t
	return unix.Stat(path, &st) == nil && st.Mode&unix.S_IFMT != unix.S_IFDIR
}

func (f *Dir) checkUserDir() error {
	st, err := f.stat()
	if err != nil {
		return err
	}
	if err := f.rules.checkOwner(f.path.String(), &st); err != nil {
		return err
	}
	if st.Mode&0o022 != 0 {
		return failure.Systemf("cannot use %s: others may write it (mode %04o)", f.path, st.Mode&0o777).
			WithHint("remove the write permission of others: chmod go-w %s", f.path)
	}
	return nil
}

// makeParent creates a parent of a directory that the user chose.
func makeParent(dir int, name string, p job.AbsPath, rules Rules) error {
	at := trustedfile.Entry{Dir: dir, Name: name}
	made, err := makeEntry(at, p, rules)
	if err != nil {
		return err
	}
	f, err := openEntry(at, p, rules)
	if err != nil {
		return err
	}
	defer f.Close()
	if made {
		return f.checkNew(dir, name)
	}
	return f.checkExisting()
}

// makeEntry creates a directory, and reports whether it was missing. It does not create
// the missing target of a link: the link may be wrong.
func makeEntry(at trustedfile.Entry, p job.AbsPath, rules Rules) (made bool, err error) {
	if at.Linked {
		return false, nil
	}
	err = eintr.Retry(func() error { return unix.Mkdirat(at.Dir, at.Name, rules.mode()) })
	if err != nil && !errors.Is(err, unix.EEXIST) {
		return false, diskspace.Explain(fmt.Sprintf("cannot create %s", p), p.String(), err)
	}
	return err == nil, nil
}

// openEntry opens a directory after links were resolved.
func openEntry(at trustedfile.Entry, p job.AbsPath, rules Rules) (*Dir, error) {
	fd, err := openDir(at.Dir, at.Name, rules.restoredAt(p))
	switch {
	case err == nil:
		f := &Dir{fd, p, rules}
		return f.orClose(rules.explainPath(p, at.CheckMount(fd, trustedfile.Jobs(rules.Owner))))
	case errors.Is(err, unix.ENOENT) && at.Linked:
		return nil, failure.Systemf("cannot open %s: it is a symbolic link to %s, which does not exist", p, at.Path).
			WithHint("create that directory, accessible only to you: mkdir -m 700 %s", at.Path)
	case errors.Is(err, unix.ENOTDIR) || errors.Is(err, unix.ELOOP):
		return nil, failure.Systemf("cannot use %s: it is not a directory", p).
			WithHint("remove %s, or choose another directory", at.Path)
	}
	// If this account may not open it, its owner may be the reason.
	var st unix.Stat_t
	if eintr.Fstatat(at.Dir, at.Name, &st) == nil {
		if oerr := rules.checkOwner(p.String(), &st); oerr != nil {
			return nil, oerr
		}
	}
	return nil, diskspace.Explain(fmt.Sprintf("cannot open %s", p), p.String(), err)
}
