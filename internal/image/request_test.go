package image

import (
	"strings"
	"testing"

	"jacamar-ci/internal/glob"
)

func TestWishParse(t *testing.T) {
	r, err := Wish{Name: "a:1", Entrypoint: []string{""}, PullPolicy: []string{"always"}, User: "1000:app", Platform: "linux/arm64/v8"}.Parse()
	if err != nil || r.Reference.String() != "docker.io/library/a:1" || r.User != "1000:app" || len(r.PullPolicy) != 1 {
		t.Fatalf("%+v, %v", r, err)
	}
	for want, w := range map[string]Wish{
		"no name":                 {},
		"is not the name":         {Name: "a b"},
		"NUL":                     {Name: "a", Entrypoint: []string{"x\x00"}},
		"more than":               {Name: "a", Entrypoint: []string{strings.Repeat("x", maxWord+1)}},
		"not a pull policy":       {Name: "a", PullPolicy: []string{"sometimes"}},
		"has more than 8 entries": {Name: "a", PullPolicy: strings.Split(strings.Repeat("always,", 9), ",")},
		"docker: user":            {Name: "a", User: "--root"},
		"docker: platform":        {Name: "a", Platform: "linux/"},
	} {
		if _, err := w.Parse(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, want %q", w, err, want)
		}
	}
}

func FuzzWish(f *testing.F) {
	f.Add("busybox", "sh", "always", "root", "linux/amd64")
	f.Fuzz(func(t *testing.T, name, entry, policy, user, platform string) {
		r, err := Wish{Name: name, Entrypoint: []string{entry}, PullPolicy: []string{policy}, User: user, Platform: platform}.Parse()
		if err != nil {
			return
		}
		if r.Reference.IsZero() || strings.HasPrefix(r.User, "-") || strings.HasPrefix(r.Platform, "-") || strings.HasPrefix(r.Reference.String(), "-") {
			t.Errorf("%+v", r)
		}
	})
}

func TestRulePermits(t *testing.T) {
	rule := func(patterns ...string) (r Rule) {
		for _, text := range patterns {
			p, err := glob.Parse(text)
			if err != nil {
				t.Fatal(err)
			}
			r.Images = append(r.Images, p)
		}
		return r
	}
	for _, tt := range []struct {
		rule Rule
		name string
		want bool
	}{
		{Rule{}, "any/thing", true},
		{rule("docker.io/library/*"), "busybox", true},
		{rule("docker.io/library/*"), "busybox:1.36", true},
		{rule("docker.io/library/*"), "group/busybox", false},
		{rule("docker.io/library/busybox:1.*"), "busybox:1.36", true},
		{rule("docker.io/library/busybox:1.*"), "busybox", false},
		// The tag does not decide which image this is.
		{rule("docker.io/library/busybox:1.36"), "busybox:1.36@" + digest, false},
		{rule("docker.io/library/busybox"), "busybox:1.36@" + digest, true},
		{rule("docker.io/library/busybox@" + digest), "busybox@" + digest, true},
		{rule("r.example.com/**"), "r.example.com/a/b/c:1", true},
		{rule("r.example.com/**"), "r.example.com.evil.org/a:1", false},
		{rule("r.example.com/a:Prod"), "r.example.com/a:prod", false},
		{rule("x/**", "r.example.com/a"), "r.example.com/a:9", true},
	} {
		if got := tt.rule.Permits(reference(t, tt.name)); got != tt.want {
			t.Errorf("%s with %s: %v", tt.name, tt.rule.Allowed(), got)
		}
	}
}

func TestFindUser(t *testing.T) {
	const passwd = "root:x:0:0::/root:/bin/sh\nbad\napp:x:1000:1001::/home/app:/bin/sh\nodd:x:many:1::/:/bin/sh\n"
	const group = "root:x:0:\nstaff:x:50:\n"
	for user, want := range map[string]IDs{
		"": {}, "root": {}, "0": {}, "app": {1000, 1001}, "1000": {1000, 1001}, "77": {77, 0}, "77:88": {77, 88}, "app:staff": {1000, 50}, "app:0": {1000, 0},
	} {
		if got, err := FindUser(user, passwd, group); err != nil || got != want {
			t.Errorf("%q: %v, %v", user, got, err)
		}
	}
	for _, user := range []string{"nobody", "odd", "app:wheel", "4294967295", "app:4294967295", "-1"} {
		if got, err := FindUser(user, passwd, group); err == nil {
			t.Errorf("%q: %v", user, got)
		}
	}
}
