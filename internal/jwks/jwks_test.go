package jwks

import (
	"bytes"
	"net/url"
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestResultRoundTrip(t *testing.T) {
	for _, a := range []Result{
		{},
		{Connected: true, Secured: true, Date: time.Unix(1700000000, 0).UTC(), Set: []byte("{\"keys\":[]}\x00\xff")},
		{Problem: "connection refused"},
		{Problem: "it has \"no\"\ncertificate", Bundle: true},
		{Set: make([]byte, MaxSet+1)},
	} {
		var b bytes.Buffer
		if err := a.Write(&b); err != nil {
			t.Fatal(err)
		}
		if b.Len() > MaxResult {
			t.Errorf("%d bytes, over the bound", b.Len())
		}
		if got, err := Parse(b.Bytes()); err != nil || !reflect.DeepEqual(got, a) {
			t.Errorf("%.200v, %v; want %.200v", got, err, a)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	for _, text := range []string{
		"", "{", "[]", "1", `{"connected":true}{}`, `{"connected":true} x`, `{"newer":1}`, `{"set":"%"}`, `{"date":"yesterday"}`,
	} {
		if a, err := Parse([]byte(text)); err == nil {
			t.Errorf("%q is %+v", text, a)
		}
	}
}

func parse(t testing.TB, s string) *url.URL {
	t.Helper()
	u, err := url.Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func TestKeySetURL(t *testing.T) {
	gitlab, keys := parse(t, "https://x.example/git"), parse(t, "https://keys.example/set")
	if got := KeySetURL(gitlab, nil); got.String() != "https://x.example/git/oauth/discovery/keys" {
		t.Error(got)
	}
	if got := KeySetURL(gitlab, keys); got != keys {
		t.Error(got)
	}
	if got := KeySetURL(nil, keys); got != keys {
		t.Error(got)
	}
	if got := KeySetURL(nil, nil); got != nil {
		t.Error(got)
	}
}

func TestCheckURL(t *testing.T) {
	const remote, free = "use https; http is only accepted for a loopback address", "any user of this machine can listen on port "
	const noHost = "not a URL of a host without user and fragment"
	for _, c := range []struct {
		address  string
		reserved int
		anyPort  bool
		want     string
	}{
		{"https://gitlab.example", ReservedPorts, false, ""},
		{"https://127.0.0.1:8443", ReservedPorts, false, ""},
		{"http://127.0.0.1", ReservedPorts, false, ""},
		{"http://127.0.0.1:80", ReservedPorts, false, ""},
		{"http://127.9.9.9:1023", ReservedPorts, false, ""},
		{"http://[::1]:1023", ReservedPorts, false, ""},
		{"http://127.0.0.1:1024", ReservedPorts, false, free + "1024"},
		{"http://[::1]:8080", ReservedPorts, false, free + "8080"},
		{"http://127.0.0.1:1024", ReservedPorts, true, ""},
		{"http://127.0.0.1:99999", ReservedPorts, false, free},
		{"http://127.0.0.1:80", 80, false, free + "80"},
		{"http://127.0.0.1", 80, false, free + "80"},
		{"http://127.0.0.1:79", 80, false, ""},
		{"http://127.0.0.1:0", 0, false, free + "0"},
		{"http://127.0.0.1:80", 0, true, ""},
		{"http://10.0.0.1:80", ReservedPorts, true, remote},
		{"http://localhost", ReservedPorts, true, remote},
		{"http://gitlab.example", ReservedPorts, true, remote},
		{"ftp://127.0.0.1:21", ReservedPorts, true, remote},
		{"https:///keys", ReservedPorts, true, noHost},
		{"https:gitlab.example", ReservedPorts, true, noHost},
		{"https://user@gitlab.example", ReservedPorts, true, noHost},
		{"https://gitlab.example#keys", ReservedPorts, true, noHost},
	} {
		err := CheckURL(parse(t, c.address), c.reserved, c.anyPort)
		if (err == nil) != (c.want == "") || err != nil && !strings.HasPrefix(err.Error(), c.want) {
			t.Errorf("%s, reserved %d, any port %v: %v, want %q", c.address, c.reserved, c.anyPort, err, c.want)
		}
	}
}

func TestParseServer(t *testing.T) {
	const noURL, parts = "is not a URL", "may not have a user, a query or a fragment"
	for in, want := range map[string]string{
		"https://gitlab.example": "", "https://gitlab.example:8443/git": "", "http://127.0.0.1": "", "http://[::1]:8080": "",
		"": noURL, "gitlab.example": noURL, "https:gitlab.example": noURL, "https:///git": noURL, "https://[::1": noURL, "https://gitlab.example/\u202e": noURL,
		"https://user@gitlab.example": parts, "https://u:secret@gitlab.example": parts, "https://gitlab.example?a": parts, "https://gitlab.example?": parts,
		"https://gitlab.example#a": parts, "https://gitlab.example#": parts,
		"ftp://gitlab.example": "is not an https URL", "http://gitlab.example": "is not protected: use https",
	} {
		got, err := ParseServer(in)
		if want == "" && (err != nil || got.String() != in) || want != "" && (err == nil || got != nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%q: %v, %v; want %q", in, got, err, want)
		}
	}
}

func TestParseProxy(t *testing.T) {
	for in, want := range map[string]string{
		"http://proxy.example:3128": "http://proxy.example:3128", "http://proxy.example:3128/": "http://proxy.example:3128",
		"http://10.1.2.3:80": "http://10.1.2.3:80", "http://[2001:db8::1]:8080": "http://[2001:db8::1]:8080",
	} {
		if got, err := ParseProxy(in); err != nil || got.String() != want {
			t.Errorf("%q: %v, %v", in, got, err)
		}
	}
	for in, want := range map[string]string{
		"": "not the URL", "proxy.example:3128": "not the URL", "proxy": "not the URL", "http://proxy.example": "not the URL", "https://proxy.example:3128": "not the URL",
		"socks5://proxy.example:1080": "not the URL", "http://:3128": "not the URL", "http://proxy.example:0": "not the URL", "http://proxy.example:70000": "not the URL",
		"http://proxy.example:x": "not the URL", "http://user:secret@proxy.example:3128": "with a password", "http://user@proxy.example:3128": "with a password",
		"http://proxy.example:3128/x": "no path", "http://proxy.example:3128?a": "no path", "http://proxy.example:3128?": "no path", "http://proxy.example:3128#a": "no path", "http://[::1:3128": "not the URL",
	} {
		if got, err := ParseProxy(in); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%q: %v, %v; want %q", in, got, err, want)
		}
	}
}

// FuzzParseProxy: an accepted URL consists of a host and a port, and parses to itself.
func FuzzParseProxy(f *testing.F) {
	for _, seed := range []string{"http://proxy.example:3128", "http://u:p@x:1", "http://[::1]:2/", "http://x:99999"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		u, err := ParseProxy(s)
		if err != nil {
			return
		}
		again, err := ParseProxy(u.String())
		if err != nil || again.String() != u.String() || u.Scheme != "http" || u.Hostname() == "" || u.User != nil || u.Path != "" {
			t.Errorf("%q is %v, and that %v, %v", s, u, again, err)
		}
	})
}
