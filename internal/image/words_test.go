package image

import (
	"slices"
	"strings"
	"testing"

	"jacamar-ci/internal/glob"
)

func words(n int) string { return strings.Repeat("a", n) }

// TestWords: what is accepted of each kind of word, and what is not.
func TestWords(t *testing.T) {
	hex := strings.Repeat("0123456789abcdef", 4)
	for name, tt := range map[string]struct {
		accepts  func(string) bool
		yes, not []string
	}{
		"tag": {isTag, []string{"_x", "1.0-rc_2", words(maxTag)}, []string{"", "-x", ".x", "a b", "a:b", words(maxTag + 1)}},
		"digest": {IsDigest, []string{"sha256:" + hex, "sha512:" + hex + hex}, []string{
			"", hex, "sha1:" + hex, "sha256:" + hex[1:], "sha256:" + hex + "0", "sha256:g" + hex[1:], "sha256:A" + hex[1:], "sha256:`" + hex[1:], "sha256:/" + hex[1:],
		}},
		"domain": {isDomain, []string{"a", "a-b.c", "a:5000", "[::1]", "[::1]:5000", "10.0.0.1"}, []string{
			"", "-a", "a-", "a_b", "a..b", ".a", "a:", "a:x", "a:123456", "[::1", "[::1:5", "[x]", "[1.2.3.4]", "[fe80::1%e]", "[]",
		}},
		"user": {isUser, []string{"", "user", "1000:1000", "a.b_c-d", words(maxShort)}, []string{"-a", ":a", "a:b:c", "a b", words(maxShort + 1)}},
		"platform": {isPlatform, []string{"", "linux", "linux/amd64", "linux/arm64/v8", "a.b_c"}, []string{
			"/", "linux/", "a//b", "a/b/c/d", "a-b", "a b", words(maxShort + 1),
		}},
		"alias": {isAlias, []string{"a", "_a", "a-b.c_d", words(maxAlias)}, []string{"", "-a", ".a", "a b", "a/b", words(maxAlias + 1)}},
	} {
		for _, s := range tt.yes {
			if !tt.accepts(s) {
				t.Errorf("%q is no %s", s, name)
			}
		}
		for _, s := range tt.not {
			if tt.accepts(s) {
				t.Errorf("%q is a %s", s, name)
			}
		}
	}
}

func TestReferenceAsText(t *testing.T) {
	r, err := ParseReference("r.example.com:5000/a/b:1")
	if err != nil {
		t.Fatal(err)
	}
	for _, was := range []Reference{r, {}} {
		text, err := was.MarshalText()
		now := r
		if err != nil || now.UnmarshalText(text) != nil || now != was {
			t.Errorf("%+v is %q, and that is %+v", was, text, now)
		}
	}
	if text, err := (Reference{}).MarshalText(); len(text) != 0 || err != nil {
		t.Errorf("no reference is %q, %v", text, err)
	}
	if err := new(Reference).UnmarshalText([]byte("a b")); err == nil {
		t.Error("a reference that is not one is accepted")
	}
}

// TestServiceRule: the patterns for services are not those for images.
func TestServiceRule(t *testing.T) {
	pattern, err := glob.Parse("docker.io/library/postgres")
	if err != nil {
		t.Fatal(err)
	}
	r := Rule{Services: []glob.Pattern{pattern}}
	for name, want := range map[string]bool{"postgres": true, "redis": false} {
		ref, err := ParseReference(name)
		if err != nil {
			t.Fatal(err)
		}
		if r.PermitsService(ref) != want || !r.Permits(ref) {
			t.Errorf("%s: as a service %v, as an image %v", name, r.PermitsService(ref), r.Permits(ref))
		}
	}
}

func TestNamesOf(t *testing.T) {
	for name, want := range map[string][]string{
		"postgres:11":                {"postgres"},
		"r.example.com:5000/a/b:1":   {"r.example.com__a__b", "r.example.com-a-b"},
		"r.example.com/a":            {"r.example.com__a", "r.example.com-a"},
		"docker://tutum/wordpress@x": {"tutum__wordpress", "tutum-wordpress"},
	} {
		if got := namesOf(name); !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}

func TestLabel(t *testing.T) {
	ref, err := ParseReference("postgres")
	if err != nil {
		t.Fatal(err)
	}
	if got := (Service{Request: Request{Reference: ref}}).Label(); got != ref.String() {
		t.Errorf("without an alias: %q", got)
	}
	if got := (Service{Request: Request{Reference: ref}, Aliases: []string{"postgres", "db"}}).Label(); got != "db" {
		t.Errorf("with an alias of the job's own: %q", got)
	}
}

// TestLongestScopeWins, wherever it is in the list; of two with one scope the first.
func TestLongestScopeWins(t *testing.T) {
	login := func(scope, user string) Credential { return Credential{Scope: scope, User: user} }
	ref, err := ParseReference("r.example.com/a/b")
	if err != nil {
		t.Fatal(err)
	}
	for want, logins := range map[string][]Credential{
		"last":  {login("r.example.com", "host"), login("r.example.com/a", "last")},
		"first": {login("r.example.com/a", "first"), login("r.example.com", "host"), login("r.example.com/a", "again"), login("r.example.com/ab", "other")},
	} {
		if c, source, found := Select(ref, []LoginSource{{Source: "s", Credentials: logins}}); !found || c.User != want || source != "s" {
			t.Errorf("%+v from %q, want %s", c, source, want)
		}
	}
	if _, _, found := Select(ref, nil); found {
		t.Error("a login without logins")
	}
}
