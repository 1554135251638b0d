package safedir

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"jacamar-ci/internal/failure"
	"jacamar-ci/internal/job"
	"jacamar-ci/internal/jobrun/internal/diskspace"
	"jacamar-ci/internal/trustedfile"
)

// Base opens the directory at p, the only path that is ever looked up, and makes
// it where it is missing. It may be a symbolic link, of the user's or of root's,
// to a directory that fulfils the rules: homes are small, and users lead their
// base to scratch. Each directory on the way is judged: the runner's scripts use the
// path, so whoever could replace one of them could run code as the user.
func Base(p job.AbsPath, rules Rules) (*Folder, error) {
	at, err := rules.find(p, nil)
	if err != nil {
		return nil, err
	}
	defer at.Close()
	made, err := makeIn(at, p, rules)
	if err != nil {
		return nil, err
	}
	f, err := openIn(at, p, rules)
	if err != nil {
		return nil, err
	}
	if made {
		return f.unless(f.acceptNew(at.Dir, at.Name))
	}
	return f.unless(f.accept())
}

// OpenCreate opens a directory that the user named, and makes it, with those above it,
// where they are missing. It must be the user's, and nobody else may write it; the
// rules hold for what is made below.
func OpenCreate(p job.AbsPath, rules Rules) (*Folder, error) {
	at, err := rules.find(p, func(dir int, name string) error { return makeParent(dir, name, p, rules) })
	if err != nil {
		return nil, err
	}
	defer at.Close()
	made, err := makeIn(at, p, rules)
	if err != nil {
		return nil, err
	}
	f, err := openIn(at, p, rules)
	if err != nil {
		return nil, err
	}
	if made {
		return f.unless(f.acceptNew(at.Dir, at.Name))
	}
	return f.unless(f.acceptGiven())
}

// OpenExisting is Given for a directory that is there. Its error is unix.ENOENT
// where there is none.
func OpenExisting(p job.AbsPath, rules Rules) (*Folder, error) {
	at, err := rules.find(p, nil)
	if err != nil {
		return nil, missing(err)
	}
	defer at.Close()
	f, err := openIn(at, p, rules)
	if err != nil {
		return nil, missing(err)
	}
	return f.unless(f.acceptGiven())
}

// missing makes the error of something that is not there a plain one.
func missing(err error) error {
	if errors.Is(err, unix.ENOENT) {
		return unix.ENOENT
	}
	return err
}

// find judges the way to a directory.
func (r Rules) find(p job.AbsPath, missing func(int, string) error) (trustedfile.Entry, error) {
	at, err := trustedfile.Jobs(r.Owner).FindEntry(p, missing)
	return at, r.explain(p, err)
}

// explain says what is wrong with the way to a directory. Some of it the user can fix.
func (r Rules) explain(p job.AbsPath, err error) error {
	var fault *trustedfile.Fault
	switch {
	case err == nil:
		return nil
	case !errors.As(err, &fault) || fault.Err != nil:
		return diskspace.Explain(fmt.Sprintf("cannot make %s", p), p.String(), err)
	}
	problem := fault.Problem
	if fault.Relation != "" {
		problem = fmt.Sprintf("%s %s, not by root or you", fault.Relation, accountName(fault.UID))
	}
	subject, who := fault.Path+", on the way to it,", "tell the administrators of this resource: "
	if fault.Path == p.String() {
		subject = "it"
	}
	if fault.UID == uint32(r.Owner) {
		who = ""
	}
	return failure.Systemf("cannot use %s: %s %s: others could replace what is there", p, subject, problem).
		WithHint("%s%s", who, fault.Fix)
}

// unless closes f when there is an error.
func (f *Folder) unless(err error) (*Folder, error) {
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

func (f *Folder) acceptGiven() error {
	st, err := f.stat()
	if err != nil {
		return err
	}
	if err := f.rules.judgeOwner(f.path.String(), &st); err != nil {
		return err
	}
	if st.Mode&0o022 != 0 {
		return failure.Systemf("cannot use %s: others may write it (mode %04o)", f.path, st.Mode&0o777).
			WithHint("make it your own: chmod go-w %s", f.path)
	}
	return nil
}

// makeParent makes a directory above one that the user named.
func makeParent(dir int, name string, p job.AbsPath, rules Rules) error {
	at := trustedfile.Entry{Dir: dir, Name: name}
	made, err := makeIn(at, p, rules)
	if err != nil {
		return err
	}
	f, err := openIn(at, p, rules)
	if err != nil {
		return err
	}
	defer f.Close()
	if made {
		return f.acceptNew(dir, name)
	}
	return f.accept()
}

// makeIn makes an entry, and reports whether it was missing. What is missing where a
// link leads is not made: the link may be wrong.
func makeIn(at trustedfile.Entry, p job.AbsPath, rules Rules) (made bool, err error) {
	if at.Linked {
		return false, nil
	}
	err = again(func() error { return unix.Mkdirat(at.Dir, at.Name, rules.mode()) })
	if err != nil && !errors.Is(err, unix.EEXIST) {
		return false, diskspace.Explain(fmt.Sprintf("cannot make %s", p), p.String(), err)
	}
	return err == nil, nil
}

// openIn opens an entry, which is not a link any more.
func openIn(at trustedfile.Entry, p job.AbsPath, rules Rules) (*Folder, error) {
	fd, err := openat(at.Dir, at.Name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW)
	switch {
	case err == nil:
		f := &Folder{fd, p, rules}
		return f.unless(rules.explain(p, at.CheckMount(fd, trustedfile.Jobs(rules.Owner))))
	case errors.Is(err, unix.ENOENT) && at.Linked:
		return nil, failure.Systemf("cannot open %s: it is a symbolic link to %s, which does not exist", p, at.Path).
			WithHint("make that directory, closed to others: mkdir -m 700 %s", at.Path)
	case errors.Is(err, unix.ENOTDIR) || errors.Is(err, unix.ELOOP):
		return nil, failure.Systemf("cannot use %s: it is not a directory", p).
			WithHint("remove %s, or name another directory", at.Path)
	}
	// One that this account may not open has an owner all the same.
	var st unix.Stat_t
	if again(func() error { return unix.Fstatat(at.Dir, at.Name, &st, unix.AT_SYMLINK_NOFOLLOW) }) == nil {
		if oerr := rules.judgeOwner(p.String(), &st); oerr != nil {
			return nil, oerr
		}
	}
	return nil, diskspace.Explain(fmt.Sprintf("cannot open %s", p), p.String(), err)
}
