package safedir

import (
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"jacamar-ci/internal/failure"
	"jacamar-ci/internal/job"
	"jacamar-ci/internal/mounts"
)

// Rules are what every directory of a job must be: its user's own, and closed to
// all others, or with Group to all but those of its group, who may read.
type Rules struct {
	Owner job.UID
	Group bool
}

func (r Rules) mode() uint32 {
	if r.Group {
		return 0o750
	}
	return 0o700
}

func (r Rules) judge(path string, st *unix.Stat_t) error {
	if err := r.judgeOwner(path, st); err != nil {
		return err
	}
	if r.wide(st) {
		m := mounts.Of(path)
		return failure.Systemf("cannot use %s: others may enter it (mode %04o)", path, st.Mode&0o777).
			WithHint("make it private: chmod %o %s (if that changes nothing, the file system at %s, %s, keeps no modes)", r.mode(), path, m.Point, m.Type)
	}
	return nil
}

// wide reports whether others have more rights than they should.
func (r Rules) wide(st *unix.Stat_t) bool { return st.Mode&0o777&^r.mode() != 0 }

func (r Rules) judgeOwner(path string, st *unix.Stat_t) error {
	switch {
	case st.Mode&unix.S_IFMT != unix.S_IFDIR:
		return failure.Systemf("cannot use %s: it is not a directory", path)
	case st.Uid != uint32(r.Owner):
		return failure.Systemf("cannot use %s: owned by %s, not by you", path, accountName(st.Uid)).
			WithHint("only its owner or an administrator can remove it; an administrator makes it for you: install -d -m 0700 -o %d %s", r.Owner, path)
	}
	return nil
}

// accountName is an account's name for a message, or its number where passwd(5) has
// none: a name service could take longer than the message is worth.
func accountName(uid uint32) string {
	text, _ := os.ReadFile("/etc/passwd") // without it, the number
	for line := range strings.Lines(string(text)) {
		if fields := strings.Split(line, ":"); len(fields) > 3 && fields[2] == strconv.FormatUint(uint64(uid), 10) {
			return job.Printable(fields[0])
		}
	}
	return fmt.Sprintf("account %d", uid)
}
