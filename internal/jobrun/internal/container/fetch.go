package container

import (
	"fmt"
	"slices"
	"strings"

	"jacamar-ci/internal/failure"
	"jacamar-ci/internal/job"
)

// FetchResult is the result of fetching an image.
type FetchResult uint8

// The results.
const (
	Failed       FetchResult = iota // none of the others
	Fetched                         // it was fetched
	NotFound                        // the registry has no such image
	Denied                          // the registry requires a login, or another one
	Unreachable                     // no response from the registry
	Untrusted                       // the registry's certificate cannot be verified
	Throttled                       // the registry limits the rate of requests
	NoSpace                         // the disk, or the account's quota, is full
	WrongMachine                    // the image is for another architecture
	NoCell                          // this host makes no user namespace
	BadReference                    // the engine does not accept the image's name
	BadImage                        // the engine refuses the content of the image
	BadStorage                      // the engine cannot keep images on this file system
)

// failurePatterns are texts of registries, of Go's network packages and of the kernel, in
// lower case. The first match counts: specific reasons precede general ones.
var failurePatterns = []struct {
	result FetchResult
	texts  []string
}{
	{NoCell, []string{"unshare: ", "setpriv: "}},
	{BadStorage, []string{"backing file system is unsupported for this graph driver"}},
	{BadReference, []string{"invalid reference format"}},
	{NoSpace, []string{"no space left on device", "disk quota exceeded"}},
	{Throttled, []string{"toomanyrequests", "too many requests", "status 429", "status: 429", "code 429", "got 429", "statuscode: 429"}},
	{Untrusted, []string{"x509:", "certificate signed by unknown authority", "tls: failed to verify certificate", "certificate verify failed"}},
	{WrongMachine, []string{"no image found in manifest list for architecture", "no image found in image index for architecture", "no child with platform", "exec format error", "requested arch unavailable"}},
	{BadImage, []string{"rejecting too many up-levels", "manifest list has no key", "cannot unmarshal", "no extractable oci/docker tar layers"}},
	{Denied, []string{"unauthorized", "authentication required", "denied", "invalid username/password", "no basic auth credentials", "no further authentication possible", "but got 403", "statuscode: 401", "statuscode: 403"}},
	{NotFound, []string{"manifest unknown", "name unknown", "not found", "repository name not known", "statuscode: 404"}},
	{Unreachable, []string{
		"connection refused", "no such host", "i/o timeout", "connection reset", "tls handshake timeout", "no route to host", "network is unreachable",
		"unexpected eof", "received unexpected http status: 5", "statuscode: 5", "temporary failure in name resolution", "dial tcp",
	}},
}

// Classify parses the output of an engine that fetched an image and returns the result
// with the line that contains the reason.
func Classify(r Reply) (FetchResult, string) {
	if r.Code == 0 {
		return Fetched, ""
	}
	lines := strings.Split(strings.TrimSpace(r.Stderr), "\n")
	for _, p := range failurePatterns {
		for i := len(lines) - 1; i >= 0; i-- {
			if line := registryText(lines[i]); slices.ContainsFunc(p.texts, func(text string) bool { return strings.Contains(line, text) }) {
				return p.result, tidy(lines[i])
			}
		}
	}
	return Failed, lastWords(r.Code, lines[len(lines)-1])
}

// lastWords is the reason of an engine that gave none that is known. The shell of the cell
// reports a kill by a word of its own.
func lastWords(code int, line string) string {
	switch line = tidy(line); {
	case code == killed:
		return "a program of the container engine was killed"
	case line == "":
		return fmt.Sprintf("the container engine ended with the exit code %d", code)
	}
	return line
}

// registryText is a line in lower case, without the text of an errno that reads like the
// refusal of a registry (EACCES of a file).
func registryText(line string) string {
	return strings.ReplaceAll(strings.ToLower(line), "permission denied", "")
}

// maxReason bounds the line of an engine that a job's log shows, in bytes.
const maxReason = 500

// tidy prepares a line of an engine for a job's log: printable, bounded, and without the
// user and password of an address. What ends an address shows where they are, so that the cut
// comes last.
func tidy(line string) string {
	return job.Shorten(withoutUserinfo(job.Printable(strings.TrimSpace(line))), maxReason)
}

// withoutUserinfo removes user:password@ from every address in s (RFC 3986, 3.2.1).
func withoutUserinfo(s string) string {
	var b strings.Builder
	for {
		before, rest, found := strings.Cut(s, "://")
		b.WriteString(before)
		if !found {
			return b.String()
		}
		b.WriteString("://")
		end := strings.IndexAny(rest, "/?# \t\"'")
		if end < 0 {
			end = len(rest)
		}
		if at := strings.LastIndexByte(rest[:end], '@'); at >= 0 {
			rest = rest[at+1:]
		}
		s = rest
	}
}

// Kind returns the kind of failure.
func (v FetchResult) Kind() failure.Kind {
	switch v {
	case NotFound, Denied, WrongMachine, BadReference, BadImage:
		return failure.Build
	}
	return failure.System
}
