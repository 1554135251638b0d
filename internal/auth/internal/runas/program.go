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

// programPath is the path of the running script: the first descriptor after the
// standard ones.
const programPath = "/proc/self/fd/3"

// maxScriptSize is the longest script in bytes. It is enough for a compiled program.
const maxScriptSize = 64 << 20

// Check returns why Run could not start the script, nil if it could.
func (s Script) Check() error {
	if _, err := s.environment(claims.Identity{}); err != nil {
		return err
	}
	program, err := s.open()
	if err != nil {
		return err
	}
	return program.Close()
}

// open reads the script into memory that cannot be changed, checks its checksum, and
// returns it for reading and executing.
func (s Script) open() (*os.File, error) {
	file, err := s.Trust.OpenExecutable(s.Path, maxScriptSize)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	sealed, err := seal(file, maxScriptSize)
	if err != nil {
		return nil, fmt.Errorf("cannot read the validation script %s: %w", s.Path, err)
	}
	defer sealed.Close()
	sum, err := sha256Of(sealed)
	switch {
	case err != nil:
		return nil, fmt.Errorf("cannot read the validation script %s: %w", s.Path, err)
	case s.SHA256 != "" && sum != s.SHA256:
		return nil, fmt.Errorf("the validation script %s has the checksum %s, want sha256 = %s", s.Path, sum, job.Clip(s.SHA256))
	}
	return reopenReadOnly(sealed)
}

// seal copies r into a memfd whose contents can no longer change.
// Source: memfd_create(2), F_ADD_SEALS in fcntl(2).
func seal(r io.Reader, limit int64) (*os.File, error) {
	fd, err := createMemfd()
	if err != nil {
		return nil, fmt.Errorf("memfd_create: %w", err)
	}
	f := os.NewFile(uintptr(fd), "validation script")
	n, err := io.Copy(f, io.LimitReader(r, limit+1))
	switch {
	case err != nil:
	case n > limit:
		err = fmt.Errorf("longer than %d bytes", limit)
	default:
		_, err = unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, unix.F_SEAL_SEAL|unix.F_SEAL_SHRINK|unix.F_SEAL_GROW|unix.F_SEAL_WRITE)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// createMemfd creates an executable memfd. Kernels since 6.3 need a flag for that,
// which earlier ones refuse.
func createMemfd() (int, error) {
	const flags = unix.MFD_CLOEXEC | unix.MFD_ALLOW_SEALING
	fd, err := unix.MemfdCreate("validation-script", flags|unix.MFD_EXEC)
	if err == unix.EINVAL {
		return unix.MemfdCreate("validation-script", flags)
	}
	return fd, err
}

func sha256Of(f *os.File) (string, error) {
	h := sha256.New()
	if _, err := io.Copy(h, io.NewSectionReader(f, 0, maxScriptSize)); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// reopenReadOnly opens the same memory again: the kernel does not execute a file that
// is open for writing, and the script must not get such a descriptor.
func reopenReadOnly(f *os.File) (*os.File, error) {
	return os.Open(fmt.Sprintf("/proc/self/fd/%d", f.Fd()))
}
