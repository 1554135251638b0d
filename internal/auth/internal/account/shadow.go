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

// Aging reads the account's shadow entry.
func (n Names) Aging(ctx context.Context, name job.Username, now time.Time) (passwd.Aging, error) {
	out, found, err := n.query(ctx, "shadow", name.String())
	switch {
	case err != nil:
		return passwd.Aging{}, lookupError(name, err)
	case !found:
		return passwd.Aging{}, nil
	}
	a, err := parseShadow(out, name, now.Unix()/secondsPerDay)
	if err != nil {
		return passwd.Aging{}, lookupError(name, fmt.Errorf("getent shadow: %w", err))
	}
	return a, nil
}

// ReadsShadow reports whether getent may read shadow(5). It queries accounts that
// every machine has in its files, and the given one. root and nobody do not count: any
// account may read their entries, which nss-systemd(8) generates.
func (n Names) ReadsShadow(ctx context.Context, name job.Username) (bool, error) {
	out, _, err := n.query(ctx, "shadow", "daemon", "bin", name.String())
	if err != nil {
		return false, lookupError(name, err)
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

func parseShadow(out string, name job.Username, today int64) (passwd.Aging, error) {
	f, err := passwd.Fields(out, shadowFields)
	switch {
	case err != nil:
		return passwd.Aging{}, err
	case f[shadowName] != name.String():
		return passwd.Aging{}, fmt.Errorf("the entry has another name")
	}
	var days [shadowFields]int64
	for _, i := range []int{shadowChanged, shadowMax, shadowInactive, shadowExpires} {
		if days[i], err = parseDays(f[i]); err != nil {
			return passwd.Aging{}, err
		}
	}
	return passwd.Aging{Known: true, Locked: isLocked(f[shadowPassword]), Expired: isExpired(days, today)}, nil
}

// unset stands for an empty field; glibc prints such a field as empty and reads -1 too.
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

func isLocked(password string) bool {
	return strings.HasPrefix(password, "!") && strings.TrimLeft(password, "!") != ""
}

// isExpired has the rules of pam_unix(8), which a login by ssh applies.
func isExpired(days [shadowFields]int64, today int64) bool {
	if e := days[shadowExpires]; e != unset && today >= e {
		return true
	}
	changed, max, inactive := days[shadowChanged], days[shadowMax], days[shadowInactive]
	if changed == unset || max == unset || inactive == unset {
		return false
	}
	return today > changed+max+inactive
}
