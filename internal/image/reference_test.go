package image

import (
	"strings"
	"testing"

	oracle "github.com/distribution/reference"
)

const digest = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

func TestParseReference(t *testing.T) {
	for _, tt := range []struct{ name, want string }{
		{"busybox", "docker.io/library/busybox:latest"},
		{"docker://busybox", "docker.io/library/busybox:latest"},
		{"busybox:1.36", "docker.io/library/busybox:1.36"},
		{"group/tool", "docker.io/group/tool:latest"},
		{"index.docker.io/busybox", "docker.io/library/busybox:latest"},
		{"localhost/a", "localhost/a:latest"},
		{"localhost:5000/a", "localhost:5000/a:latest"},
		{"registry.example.com/a/b/c:v1", "registry.example.com/a/b/c:v1"},
		{"registry.example.com:5000/a", "registry.example.com:5000/a:latest"},
		{"[2001:db8::1]:5000/a", "[2001:db8::1]:5000/a:latest"},
		{"a@" + digest, "docker.io/library/a@" + digest},
		{"a:1@" + digest, "docker.io/library/a:1@" + digest},
		{"a_b/c__d/e.f/g---h", "docker.io/a_b/c__d/e.f/g---h:latest"},
	} {
		r, err := ParseReference(tt.name)
		if err != nil || r.String() != tt.want {
			t.Errorf("%s: %q, %v, want %q", tt.name, r, err, tt.want)
		}
		again, err := ParseReference(r.String())
		if err != nil || again != r {
			t.Errorf("%s: %q is read as %q, %v", tt.name, r, again, err)
		}
	}
}

func TestParseReferenceRefuses(t *testing.T) {
	for name, want := range map[string]string{
		"":                              "has no name",
		"  ":                            "has no name",
		"docker://":                     "has no name",
		"oci://a":                       "transport oci://",
		"library://a/b":                 "transport library://",
		"a b":                           "not the name of a repository",
		"A":                             "upper-case",
		"registry.example.com/A":        "upper-case",
		"A/b":                           "upper-case",
		"LOCALHOST/b":                   "upper-case",
		"a:":                            "tag is empty",
		"a:b c":                         "tag \"b c\"",
		"a:" + strings.Repeat("x", 129): "tag",
		"a@sha256:12":                   "digest",
		"a@":                            "digest",
		"a@md5:" + digest[7:]:           "digest",
		"a//b":                          "not the name",
		"/a":                            "not the name",
		"a/":                            "not the name",
		"a..b":                          "not the name",
		"-a":                            "not the name",
		"host.example:port/a":           "not the address",
		"host.example:/a":               "not the address",
		"-host.example/a":               "not the address",
		"host..example/a":               "not the address",
		"[::1/a":                        "not the address",
		"[fe80::1%eth0]/a":              "not the address",
		"a\x00":                         "not the name",
		"ä":                             "not the name",
		strings.Repeat("a/", 150) + "a": "longer than 255",
		"docker-daemon:a:b":             "not the name",
		"oci-archive:/tmp/x.tar":        "not the address",
	} {
		if r, err := ParseReference(name); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %q, %v, want %q", name, r, err, want)
		}
	}
}

func TestPinned(t *testing.T) {
	r, err := ParseReference("busybox:1")
	if err != nil {
		t.Fatal(err)
	}
	p, err := r.Pinned(digest)
	if err != nil || p.String() != "docker.io/library/busybox:1@"+digest || r.Digest() != "" {
		t.Errorf("%q, %v", p, err)
	}
	if p.PullName() != "docker.io/library/busybox@"+digest || r.PullName() != "docker.io/library/busybox:1" {
		t.Errorf("pulled as %q, %q", p.PullName(), r.PullName())
	}
	if _, err := r.Pinned("latest"); err == nil {
		t.Error("a text that is no digest pins an image")
	}
}

// FuzzReference compares the parser with that of the distribution project. Every accepted
// name must be accepted there and have the same canonical form; a name that is accepted
// only there must be one of the forms that are rejected on purpose.
func FuzzReference(f *testing.F) {
	for _, s := range []string{"busybox", "a/b:c", "localhost:5000/a@" + digest, "[::1]:5/a", "A.b/c", "a__b--c.d/e", "docker.io/a", "a:b/c", "xn--d.example:443/a_b", "a@" + digest} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		ours, err := ParseReference(s)
		theirs, oracleErr := oracle.ParseNormalizedNamed(strings.TrimPrefix(s, "docker://"))
		if err != nil {
			if oracleErr == nil && !narrower(s, theirs) {
				t.Errorf("%q: refused (%v), but it is %q", s, err, theirs)
			}
			return
		}
		if oracleErr != nil {
			t.Fatalf("%q: accepted as %q, but %v", s, ours, oracleErr)
		}
		if want := oracle.TagNameOnly(theirs).String(); ours.String() != want {
			t.Errorf("%q: %q, want %q", s, ours, want)
		}
	})
}

// narrower reports whether a name is rejected although the oracle accepts it: digests of
// unregistered algorithms, ports of more than five digits, invalid addresses in brackets, a
// misplaced tag or digest.
func narrower(s string, theirs oracle.Named) bool {
	if d, ok := theirs.(oracle.Digested); ok && !IsDigest(d.Digest().String()) {
		return true
	}
	return !isDomain(oracle.Domain(theirs)) || len(oracle.Domain(theirs))+1+len(oracle.Path(theirs)) > maxName || strings.Contains(s, "://")
}
