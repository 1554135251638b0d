package imagestore

import (
	"bytes"
	"context"
	"errors"
	"os"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"jacamar-ci/internal/eintr"
	"jacamar-ci/internal/failure"
	"jacamar-ci/internal/image"
	"jacamar-ci/internal/job"
	"jacamar-ci/internal/jobrun/internal/container"
	"jacamar-ci/internal/trustedfile"
)

// Local returns an image that is a file or a directory on this host. It is used where it
// is; allowed are the site's patterns, which also apply to where its links lead.
func (s Store) Local(ctx context.Context, name job.AbsPath, allowed []image.Paths) (Entry, error) {
	place, size, err := s.judge(name, allowed)
	if err != nil {
		return Entry{}, err
	}
	e := Entry{Place: place, Size: size}
	if place.Form == container.Directory {
		e.Layers = []string{"."}
		root := e.Root()
		text := root.Read("/ch/config.json") // as ch-image(1) makes it
		if err := root.Err(); err != nil {
			return e, err
		}
		if text != "" {
			if e.Config, err = image.ParseConfig([]byte(text)); err != nil {
				return e, failure.Buildf("cannot use the image %s: %w", name, err)
			}
		}
	} else if err := s.describeLocal(ctx, &e); err != nil {
		return e, err
	}
	s.Log.Note("Image %s (%s on this resource)", place.Path, place.Form)
	return e, nil
}

// judge finds the image without trusting a directory that others could change: the path
// must still lead to the same image when the script starts.
func (s Store) judge(name job.AbsPath, allowed []image.Paths) (p container.Place, size int64, err error) {
	entry, err := trustedfile.Jobs(job.UID(s.Account.UID)).FindEntry(name, nil)
	if err != nil {
		return p, 0, unusable(name, err)
	}
	defer entry.Close()
	if p.Path, err = job.ParseAbsPath(entry.Path); err != nil {
		return p, 0, unusable(name, err)
	}
	if strings.ContainsAny(entry.Path, ":,") {
		return p, 0, failure.Buildf("cannot use the image %s: its path has a colon or a comma, which mounts cannot have", name)
	}
	if !image.PermitsPath(allowed, p.Path) {
		return p, 0, failure.Buildf("the image %s is not allowed: its symbolic links lead to %s", name, p.Path).
			WithHint("name a path that container.local_images of this resource allows")
	}
	fd, err := eintr.Openat(entry.Dir, entry.Name, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK)
	if err != nil {
		return p, 0, unusable(name, err)
	}
	file := os.NewFile(uintptr(fd), p.Path.String())
	defer file.Close()
	var st unix.Stat_t
	if err := eintr.Fstat(fd, &st); err != nil {
		return p, 0, unusable(name, err)
	}
	if changeable(&st, s.Account.UID) {
		return p, 0, failure.Buildf("cannot use the image %s: others can change it", name).
			WithHint("it has to belong to root or to your account, without write permission for others: chmod go-w %s", p.Path)
	}
	p.Form, err = s.form(name, file, st.Mode&unix.S_IFMT)
	return p, st.Size, err
}

// changeable reports whether other accounts than root and this one can change a file.
func changeable(st *unix.Stat_t, own uint32) bool {
	return st.Uid != 0 && st.Uid != own || st.Mode&0o022 != 0
}

func unusable(name job.AbsPath, err error) error {
	if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.EACCES) {
		return failure.Buildf("cannot use the image %s: %w", name, err).WithHint("correct image: in .gitlab-ci.yml, or make the path readable for your account")
	}
	return failure.Buildf("cannot use the image %s: %w", name, err)
}

// Signatures of the forms of files.
var (
	squashfsMagic = []byte("hsqs")          // squashfs_fs.h of Linux, little endian
	sifMagic      = []byte("SIF_MAGIC\x00") // github.com/apptainer/sif, header.go; a launcher of 32 bytes precedes it
	tarMagic      = []byte("ustar")         // tar(5)
	gzipMagic     = []byte{0x1f, 0x8b}      // RFC 1952
)

const (
	sifOffset  = 32
	tarOffset  = 257
	headerSize = 512
)

// form determines the form of an image by its content, and refuses one that the engine
// cannot run.
func (s Store) form(name job.AbsPath, file *os.File, kind uint32) (f container.Format, err error) {
	header := make([]byte, headerSize)
	switch kind {
	case unix.S_IFDIR:
		f = container.Directory
	case unix.S_IFREG:
		n, _ := file.ReadAt(header, 0)
		header = append(header[:n], make([]byte, headerSize-n)...)
	default:
		return "", failure.Buildf("cannot use the image %s: it is neither a file nor a directory", name)
	}
	switch {
	case f != "":
	case bytes.HasPrefix(header, squashfsMagic):
		f = container.Squashfs
	case bytes.HasPrefix(header[sifOffset:], sifMagic):
		f = container.SIF
	case bytes.HasPrefix(header[tarOffset:], tarMagic), bytes.HasPrefix(header, gzipMagic):
		return "", failure.Buildf("cannot use the image %s: it is an archive", name).
			WithHint("convert it: apptainer build image.sif docker-archive://…, or ch-convert image.tar.gz image.sqfs")
	default:
		return "", failure.Buildf("cannot use the image %s: it is neither a SIF nor a squashfs file", name)
	}
	if local := s.Engine.Local(); !slices.Contains(local, f) {
		return "", failure.Buildf("cannot use the image %s: %s does not run the form %s", name, s.Engine.Name(), f).
			WithHint("forms of images that it runs: %s", joinFormats(local))
	}
	return f, nil
}

func joinFormats(all []container.Format) string {
	texts := make([]string, len(all))
	for i, f := range all {
		texts[i] = string(f)
	}
	return strings.Join(texts, ", ")
}

// describeLocal adds what the engine finds in a file.
func (s Store) describeLocal(ctx context.Context, e *Entry) error {
	state, err := NewState(s.Temp, job.UID(s.Account.UID))
	if err != nil {
		return err
	}
	defer state.Remove() //nolint:errcheck // the next sweep removes the rest
	session := container.Session{State: state.Path(), Account: s.Account, Program: s.Program}
	f := fetching{Store: s, session: session, request: image.Request{Path: e.Place.Path}}
	d, err := f.describe(ctx, e.Place)
	if err != nil {
		return err
	}
	e.Config, e.Passwd, e.Group = d.Config, d.Passwd, d.Group
	return nil
}
