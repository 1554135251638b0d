package image

import (
	"fmt"
	"strconv"
	"strings"

	"jacamar-ci/internal/job"
)

// IDs are the ids of a user inside an image.
type IDs struct {
	UID uint32 `json:"uid"`
	GID uint32 `json:"gid"`
}

// FindUser returns the ids of user[:group] as docker-run(1) does: numbers are taken as
// they are, names are looked up in the texts of the image's passwd(5) and group(5). A
// user without a group has the group of passwd(5), or else 0. "" is root.
func FindUser(user, passwd, group string) (IDs, error) {
	name, groupName, hasGroup := strings.Cut(user, ":")
	if name == "" {
		name = "0"
	}
	var ids IDs
	uid, err := kernelID(name)
	entry, found := findEntry(passwd, name, uid, err == nil)
	switch {
	case err == nil:
		ids.UID = uid
	case !found:
		return IDs{}, fmt.Errorf("the image has no user %q in its /etc/passwd", job.Clip(name))
	default:
		if ids.UID, err = kernelID(entry[2]); err != nil {
			return IDs{}, fmt.Errorf("the user %q of the image has no valid id", job.Clip(name))
		}
	}
	if !hasGroup {
		if found {
			ids.GID, _ = kernelID(entry[3])
		}
		return ids, nil
	}
	ids.GID, err = findGroup(groupName, group)
	return ids, err
}

func findGroup(name, group string) (uint32, error) {
	if gid, err := kernelID(name); err == nil {
		return gid, nil
	}
	if entry, ok := findEntry(group, name, 0, false); ok {
		if gid, err := kernelID(entry[2]); err == nil {
			return gid, nil
		}
	}
	return 0, fmt.Errorf("the image has no group %q in its /etc/group", job.Clip(name))
}

// findEntry returns the fields of the first line for a name, or for an id.
func findEntry(text, name string, id uint32, byID bool) ([]string, bool) {
	for line := range strings.Lines(text) {
		fields := strings.Split(strings.TrimRight(line, "\n"), ":")
		if len(fields) < 4 {
			continue
		}
		if n, err := kernelID(fields[2]); fields[0] == name || byID && err == nil && n == id {
			return fields, true
		}
	}
	return nil, false
}

// kernelID parses a user or group id; 2^32-1 means "no change" in setresuid(2).
func kernelID(s string) (uint32, error) {
	n, err := strconv.ParseUint(s, 10, 32)
	if err == nil && n == 1<<32-1 {
		err = strconv.ErrRange
	}
	return uint32(n), err
}
