package account

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"jacamar-ci/internal/job"
	"jacamar-ci/internal/passwd"
)

// Aging is what shadow(5) says of an account.
type Aging struct {
	// Known is false where there is no entry, as for accounts of a directory, or
	// where this process may not read it. Then the rest means nothing.
	Known bool
	// Locked is an account whose password was disabled on purpose: a "!" before
	// something. A lone "!", "!!" or "*" is an account that never had a password,
	// as useradd(8) makes them and as users with keys only have them. usermod(8)
	// tells to lock those by their expiry date.
	Locked bool
	// Expired is an account past its expiry date, or past the time after its
	// password's end in which the password could still be renewed.
	Expired bool
}

// Aging reads the account's shadow entry.
func (n Names) Aging(ctx context.Context, name job.Username, now time.Time) (Aging, error) {
	out, found, err := n.ask(ctx, "shadow", name.String())
	switch {
	case err != nil:
		return Aging{}, cannot(name, err)
	case !found:
		return Aging{}, nil
	}
	a, err := parseShadow(out, name, now.Unix()/secondsPerDay)
	if err != nil {
		return Aging{}, cannot(name, fmt.Errorf("getent shadow: %w", err))
	}
	return a, nil
}

// ReadsShadow reports whether getent may read shadow(5). It asks for the entries of
// accounts that every machine has in its files, and of a given one: root and nobody
// have entries that anybody may read, made up by nss-systemd(8).
func (n Names) ReadsShadow(ctx context.Context, name job.Username) (bool, error) {
	out, _, err := n.ask(ctx, "shadow", "daemon", "bin", name.String())
	if err != nil {
		return false, cannot(name, err)
	}
	for line := range strings.Lines(out) {
		if entry, _, _ := strings.Cut(line, ":"); entry != "root" && entry != "nobody" {
			return true, nil
		}
	}
	return false, nil
}

const secondsPerDay = 24 * 60 * 60

// The fields of shadow(5), counted from 0. Dates are days since 1970.
const (
	shadowName = iota
	shadowPassword
	shadowChanged
	shadowMin
	shadowMax
	shadowWarn
	shadowInactive
	shadowExpires
	shadowReserved
	shadowFields
)

func parseShadow(out string, name job.Username, today int64) (Aging, error) {
	f, err := passwd.Fields(out, shadowFields)
	switch {
	case err != nil:
		return Aging{}, err
	case f[shadowName] != name.String():
		return Aging{}, fmt.Errorf("the answer is about another name")
	}
	var days [shadowFields]int64
	for _, i := range []int{shadowChanged, shadowMax, shadowInactive, shadowExpires} {
		if days[i], err = parseDays(f[i]); err != nil {
			return Aging{}, err
		}
	}
	return Aging{Known: true, Locked: locked(f[shadowPassword]), Expired: expired(days, today)}, nil
}

// unset stands for an empty field; glibc prints those as empty and also takes -1.
const unset = -1

func parseDays(s string) (int64, error) {
	if s == "" || s == "-1" {
		return unset, nil
	}
	n, err := strconv.ParseUint(s, 10, 32)
	if err != nil {
		return 0, fmt.Errorf("%q is not a number of days", job.Clip(s))
	}
	return int64(n), nil
}

func locked(password string) bool {
	return strings.HasPrefix(password, "!") && strings.TrimLeft(password, "!") != ""
}

// expired follows pam_unix(8), which is what a login by ssh would meet.
func expired(days [shadowFields]int64, today int64) bool {
	if e := days[shadowExpires]; e != unset && today >= e {
		return true
	}
	changed, max, inactive := days[shadowChanged], days[shadowMax], days[shadowInactive]
	if changed == unset || max == unset || inactive == unset {
		return false
	}
	return today > changed+max+inactive
}
