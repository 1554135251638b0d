package image

import (
	"net/netip"
	"strings"
)

// isTag follows the grammar [\w][\w.-]{0,127}.
func isTag(s string) bool {
	return s != "" && len(s) <= maxTag && (alnum(s[0]) || s[0] == '_') && all(s, func(c byte) bool { return alnum(c) || strings.IndexByte("_.-", c) >= 0 })
}

// isDigest accepts the algorithms that the OCI image specification registers, with
// the number of hexadecimal digits of each.
func isDigest(s string) bool {
	algorithm, sum, _ := strings.Cut(s, ":")
	size, known := map[string]int{"sha256": 64, "sha384": 96, "sha512": 128}[algorithm]
	return known && len(sum) == size && all(sum, func(c byte) bool { return digit(c) || 'a' <= c && c <= 'f' })
}

// isDomain accepts a host name or an address, with or without a port. The grammar
// has brackets around an address of IP version 6.
func isDomain(s string) bool {
	host, port := s, ""
	if i := strings.LastIndexByte(s, ':'); i >= 0 && !strings.HasSuffix(s, "]") {
		host, port = s[:i], s[i+1:]
		if port == "" || len(port) > 5 || !all(port, digit) {
			return false
		}
	}
	if inner, ok := strings.CutPrefix(host, "["); ok {
		address, err := netip.ParseAddr(strings.TrimSuffix(inner, "]"))
		return err == nil && address.Is6() && address.Zone() == "" && strings.HasSuffix(inner, "]")
	}
	for label := range strings.SplitSeq(host, ".") {
		if label == "" || !alnum(label[0]) || !alnum(label[len(label)-1]) || !all(label, func(c byte) bool { return alnum(c) || c == '-' }) {
			return false
		}
	}
	return true
}

// isComponent accepts runs of lower-case letters and digits, with one dot, one or
// two underscores, or any number of dashes between them.
func isComponent(s string) bool {
	for s != "" {
		run := strings.IndexFunc(s, func(r rune) bool { return r > 'z' || !lower(byte(r)) })
		if run < 0 {
			return true
		}
		if run == 0 {
			return false
		}
		rest := strings.TrimLeft(s[run:], "._-")
		if !isSeparator(s[run : len(s)-len(rest)]) {
			return false
		}
		s = rest
	}
	return false
}

func isSeparator(s string) bool {
	return s == "." || s == "_" || s == "__" || s != "" && strings.Trim(s, "-") == ""
}

func all(s string, ok func(byte) bool) bool {
	for i := range len(s) {
		if !ok(s[i]) {
			return false
		}
	}
	return true
}

func alnum(c byte) bool { return lower(c) || 'A' <= c && c <= 'Z' }
func lower(c byte) bool { return 'a' <= c && c <= 'z' || digit(c) }
func digit(c byte) bool { return '0' <= c && c <= '9' }
