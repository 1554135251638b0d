package runas

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"

	"jacamar-ci/internal/auth/internal/claims"
	"jacamar-ci/internal/job"

	"golang.org/x/sys/unix"
)

// programName is where the script finds itself: the first descriptor after the
// standard ones.
const programName = "/proc/self/fd/3"

// scriptLimit is the longest script in bytes. A compiled one fits.
const scriptLimit = 64 << 20

// Check tells why Ask could not start the script, nil if it could.
func (s Script) Check() error {
	if _, err := s.environment(claims.Identity{}); err != nil {
		return err
	}
	program, _, err := s.open()
	if err != nil {
		return err
	}
	return program.Close()
}

// open reads the script into memory that nobody can change any more, checks its
// sum, and returns it for reading and executing.
func (s Script) open() (program *os.File, sum string, err error) {
	file, err := s.Trust.OpenExecutable(s.Path, scriptLimit)
	if err != nil {
		return nil, "", err
	}
	defer file.Close()
	sealed, err := seal(file, scriptLimit)
	if err != nil {
		return nil, "", fmt.Errorf("cannot read the validation script %s: %w", s.Path, err)
	}
	defer sealed.Close()
	sum, err = sumOf(sealed)
	switch {
	case err != nil:
		return nil, "", fmt.Errorf("cannot read the validation script %s: %w", s.Path, err)
	case s.SHA256 != "" && sum != s.SHA256:
		return nil, "", fmt.Errorf("the validation script %s has the sum %s, and sha256 demands %s", s.Path, sum, job.Clip(s.SHA256))
	}
	program, err = readOnly(sealed)
	return program, sum, err
}

// seal copies r into a memfd whose contents can no longer change.
// Source: memfd_create(2), F_ADD_SEALS in fcntl(2).
func seal(r io.Reader, limit int64) (*os.File, error) {
	fd, err := memory()
	if err != nil {
		return nil, fmt.Errorf("memfd_create: %w", err)
	}
	f := os.NewFile(uintptr(fd), "validation script")
	n, err := io.Copy(f, io.LimitReader(r, limit+1))
	switch {
	case err != nil:
	case n > limit:
		err = fmt.Errorf("it is longer than %d bytes", limit)
	default:
		_, err = unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, unix.F_SEAL_SEAL|unix.F_SEAL_SHRINK|unix.F_SEAL_GROW|unix.F_SEAL_WRITE)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// memory asks for a memfd that may be executed, which kernels since 6.3 want to
// be told and earlier ones do not understand.
func memory() (int, error) {
	const flags = unix.MFD_CLOEXEC | unix.MFD_ALLOW_SEALING
	fd, err := unix.MemfdCreate("validation-script", flags|unix.MFD_EXEC)
	if err == unix.EINVAL {
		return unix.MemfdCreate("validation-script", flags)
	}
	return fd, err
}

func sumOf(f *os.File) (string, error) {
	h := sha256.New()
	if _, err := io.Copy(h, io.NewSectionReader(f, 0, scriptLimit)); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// readOnly opens the same memory once more: the kernel refuses to execute what
// somebody has open for writing, and the script needs no such descriptor.
func readOnly(f *os.File) (*os.File, error) {
	return os.Open(fmt.Sprintf("/proc/self/fd/%d", f.Fd()))
}
