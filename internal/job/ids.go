package job

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// ID is GitLab's number of a CI job, a pipeline, a project or a user. It is
// positive; GitLab's database stores it in a signed 64-bit column.
type ID int64

// ParseID reads an ID in decimal, without sign, leading zero or spaces.
func ParseID(s string) (ID, error) {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n <= 0 || strconv.FormatInt(n, 10) != s {
		return 0, fmt.Errorf("%q is not a GitLab id", Clip(s))
	}
	return ID(n), nil
}

// String returns the decimal form.
func (id ID) String() string { return strconv.FormatInt(int64(id), 10) }

// noID is the value -1, which setresuid(2) and chown(2) take as "leave unchanged":
// a process that used it as an id would keep its privileges.
const noID = 1<<32 - 1

// UID is a Linux user id that can be given to setresuid(2).
type UID uint32

// GID is a Linux group id that can be given to setresgid(2).
type GID uint32

// ParseUID reads a decimal user id, as written in passwd(5).
func ParseUID(s string) (UID, error) {
	n, err := parseKernelID(s)
	return UID(n), err
}

// ParseGID reads a decimal group id, as written in group(5).
func ParseGID(s string) (GID, error) {
	n, err := parseKernelID(s)
	return GID(n), err
}

func parseKernelID(s string) (uint32, error) {
	n, err := strconv.ParseUint(s, 10, 32)
	if err != nil || n == noID || strconv.FormatUint(n, 10) != s {
		return 0, fmt.Errorf("%q is not a user or group id", Clip(s))
	}
	return uint32(n), nil
}

// MaxGroups is NGROUPS_MAX, the maximum of setgroups(2).
const MaxGroups = 65536

// GIDs are at most MaxGroups distinct group ids in rising order.
//
// Their text form is a list of ranges, "4,24-27,100000": an account can have so many
// groups that a list of numbers would exceed the longest environment string
// (MAX_ARG_STRLEN in execve(2)), and directories assign the ids consecutively.
type GIDs []GID

// SortGIDs returns the distinct ids in rising order.
func SortGIDs(ids ...GID) (GIDs, error) {
	all := slices.Clone(ids)
	slices.Sort(all)
	all = slices.Compact(all)
	if len(all) > MaxGroups {
		return nil, fmt.Errorf("%d groups are more than the kernel's %d", len(all), MaxGroups)
	}
	return all, nil
}

// Has reports whether id is in g.
func (g GIDs) Has(id GID) bool {
	_, found := slices.BinarySearch(g, id)
	return found
}

// String returns the list of ranges.
func (g GIDs) String() string {
	var b []byte
	for first := 0; first < len(g); {
		last := first
		for last+1 < len(g) && g[last+1] == g[last]+1 {
			last++
		}
		if first > 0 {
			b = append(b, ',')
		}
		b = strconv.AppendUint(b, uint64(g[first]), 10)
		if last > first {
			b = strconv.AppendUint(append(b, '-'), uint64(g[last]), 10)
		}
		first = last + 1
	}
	return string(b)
}

// MarshalText implements encoding.TextMarshaler.
func (g GIDs) MarshalText() ([]byte, error) {
	for i := range g {
		if i > 0 && g[i-1] >= g[i] || g[i] == noID {
			return nil, fmt.Errorf("group ids are not in rising order")
		}
	}
	return []byte(g.String()), nil
}

// UnmarshalText implements encoding.TextUnmarshaler. It accepts what MarshalText
// writes, and nothing else.
func (g *GIDs) UnmarshalText(text []byte) error {
	var all GIDs
	for part := range strings.SplitSeq(string(text), ",") {
		if len(text) == 0 {
			break
		}
		first, last, err := parseRange(part)
		if err != nil {
			return err
		}
		if n := len(all); n > 0 && first <= all[n-1]+1 {
			return fmt.Errorf("%q does not follow %d", Clip(part), all[n-1])
		}
		if uint64(len(all))+uint64(last-first)+1 > MaxGroups {
			return fmt.Errorf("there are more than %d groups", MaxGroups)
		}
		for id := first; id <= last; id++ {
			all = append(all, id)
		}
	}
	*g = all
	return nil
}

// parseRange reads "7" or "7-9". ParseGID refuses the greatest value of the type, so
// the caller can count beyond last.
func parseRange(s string) (first, last GID, err error) {
	from, to, several := strings.Cut(s, "-")
	if first, err = ParseGID(from); err != nil || !several {
		return first, first, err
	}
	if last, err = ParseGID(to); err != nil {
		return 0, 0, err
	}
	if last <= first {
		return 0, 0, fmt.Errorf("%q is not a range of group ids", Clip(s))
	}
	return first, last, nil
}
