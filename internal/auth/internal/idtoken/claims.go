package idtoken

import (
	"encoding/json"
	"strconv"
	"time"

	"jacamar-ci/internal/auth/internal/claims"
	"jacamar-ci/internal/job"
)

// Longest texts in bytes: of a name (GitLab's columns have 255) and of a path
// or address.
const (
	nameLength = 255
	pathLength = 4096
)

// lastSecond is the end of the year 9999, the last that RFC 3339 can write.
const lastSecond = 253402300799

// claimSet reads typed values out of a token's payload. The first claim that has
// not its type is kept as the error; absent and null are the same, as GitLab
// writes null for what it does not know.
type claimSet struct {
	values map[string]any
	err    error
}

func (c *claimSet) fail(name, problem string) {
	if c.err == nil {
		c.err = refuse(RuleClaims, "%s %s", name, problem)
	}
}

func (c *claimSet) has(name string) bool { return c.values[name] != nil }

// text reads a required text.
func (c *claimSet) text(name string, limit int) string {
	s := c.optional(name, limit)
	if s == "" {
		c.fail(name, "is missing or empty")
	}
	return s
}

// optional reads a text that may be absent.
func (c *claimSet) optional(name string, limit int) string {
	if !c.has(name) {
		return ""
	}
	return c.check(name, c.values[name], limit)
}

// check is the one door for text: of a bounded length and printable.
func (c *claimSet) check(name string, value any, limit int) string {
	s, ok := value.(string)
	switch {
	case !ok:
		c.fail(name, "is not a text")
	case len(s) > limit:
		c.fail(name, "is longer than "+strconv.Itoa(limit)+" bytes")
	case job.Printable(s) != s:
		c.fail(name, "has control characters")
	default:
		return s
	}
	return ""
}

// id reads a required id, which GitLab writes as a text.
func (c *claimSet) id(name string) job.ID {
	s, _ := c.values[name].(string)
	id, err := job.ParseID(s)
	if err != nil {
		c.fail(name, "is not an id")
	}
	return id
}

// number reads the one optional id that GitLab writes as a number.
func (c *claimSet) number(name string) job.ID {
	if n, ok := c.values[name].(json.Number); ok {
		id, err := job.ParseID(n.String())
		if err != nil {
			c.fail(name, "is not an id")
		}
		return id
	}
	if !c.has(name) {
		return 0
	}
	return c.id(name)
}

// flag reads a required boolean, which GitLab writes as a text.
func (c *claimSet) flag(name string) bool {
	switch c.values[name] {
	case true, "true":
		return true
	case false, "false":
		return false
	}
	c.fail(name, "is neither true nor false")
	return false
}

// second reads a required NumericDate in whole seconds (RFC 7519 section 2).
func (c *claimSet) second(name string) time.Time {
	n, _ := c.values[name].(json.Number)
	s, err := strconv.ParseInt(n.String(), 10, 64)
	if err != nil || s < 0 || s > lastSecond {
		c.fail(name, "is not a time in whole seconds")
		return time.Time{}
	}
	return time.Unix(s, 0)
}

// list reads an optional list.
func (c *claimSet) list(name string) []any {
	l, ok := c.values[name].([]any)
	if !ok && c.has(name) {
		c.fail(name, "is not a list")
	}
	return l
}

func (c *claimSet) paths(name string) []string {
	var paths []string
	for _, v := range c.list(name) {
		paths = append(paths, c.check(name, v, pathLength))
	}
	return paths
}

// externals reads user_identities. An entry without an id, as a half-made link
// leaves it, names nobody and is left out.
func (c *claimSet) externals(name string) []claims.External {
	var all []claims.External
	for _, v := range c.list(name) {
		entry, _ := v.(map[string]any)
		e := claims.External{
			Provider:  c.check(name, entry["provider"], nameLength),
			ExternUID: c.check(name, entry["extern_uid"], pathLength),
		}
		if e.Provider != "" && e.ExternUID != "" {
			all = append(all, e)
		}
	}
	return all
}
