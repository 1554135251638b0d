package image

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"jacamar-ci/internal/job"
)

func TestEffectivePolicies(t *testing.T) {
	for _, tt := range []struct {
		name               string
		ofJob, ofSite, may []PullPolicy
		want               []PullPolicy
		refused            string
	}{
		{"the site's", nil, []PullPolicy{IfNotPresent}, nil, []PullPolicy{IfNotPresent}, ""},
		{"the job's, which the site has too", []PullPolicy{Always}, []PullPolicy{Always, Never}, nil, []PullPolicy{Always}, ""},
		{"the job's, in its order", []PullPolicy{Never, Always}, []PullPolicy{Always}, []PullPolicy{Always, Never}, []PullPolicy{Never, Always}, ""},
		{"some of the job's", []PullPolicy{Never, Always}, []PullPolicy{IfNotPresent}, []PullPolicy{Always}, []PullPolicy{Always}, ""},
		{"none of the job's", []PullPolicy{Always}, []PullPolicy{IfNotPresent}, nil, nil, "pull_policy always is not allowed here; allowed: if-not-present"},
		{"the site's own is not allowed", nil, []PullPolicy{Never}, []PullPolicy{Always}, nil, "pull_policy never"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := EffectivePolicies(tt.ofJob, tt.ofSite, tt.may)
			if !slices.Equal(got, tt.want) || (err == nil) != (tt.refused == "") || err != nil && !strings.Contains(err.Error(), tt.refused) {
				t.Errorf("%v, %v", got, err)
			}
		})
	}
}

func TestParsePullPolicy(t *testing.T) {
	for text, want := range map[string]PullPolicy{"always": Always, "if-not-present": IfNotPresent, "never": Never, "missing": IfNotPresent, "newer": Always} {
		if p, err := ParsePullPolicy(text); err != nil || p != want {
			t.Errorf("%s: %q, %v", text, p, err)
		}
	}
	for _, text := range []string{"", "Always", "sometimes"} {
		if _, err := ParsePullPolicy(text); err == nil {
			t.Errorf("%q is accepted", text)
		}
	}
}

const inspected = `{"Id":"1","Digest":"` + digest + `","Architecture":"amd64","Os":"linux","Config":{"User":"app","Env":["PATH=/bin"],
"Entrypoint":["/entry"],"Cmd":["sh"],"WorkingDir":"/w","ExposedPorts":{"8080":{},"53/udp":{},"80/tcp":{},"x":{},"0":{}}}}`

func TestInspected(t *testing.T) {
	c, err := ParseConfig([]byte(inspected))
	if err != nil {
		t.Fatal(err)
	}
	want := Config{Architecture: "amd64", OS: "linux", User: "app", Env: []string{"PATH=/bin"}, Entrypoint: []string{"/entry"}, Cmd: []string{"sh"}, WorkingDir: "/w", Ports: []uint16{80, 8080}}
	if diff := cmp.Diff(want, c); diff != "" {
		t.Error(diff)
	}
}

func TestParseConfigRefuses(t *testing.T) {
	for text, want := range map[string]string{
		"":                                      "cannot read",
		`{"config":{"Env":["=x"]}}`:             "not NAME=value",
		`{"config":{"Env":["x"]}}`:              "not NAME=value",
		`{"config":{"Entrypoint":["a\u0000"]}}`: "NUL",
		`{"config":{"User":"a\u0000"}}`:         "NUL",
		`{"config":{"WorkingDir":"w"}}`:         "not absolute",
		`{"config":{"Cmd":[` + strings.Repeat(`"",`, maxEntries) + `""]}}`: "more than",
		strings.Repeat(" ", maxConfig+1):                                   "longer than",
	} {
		if _, err := ParseConfig([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.40q: %v, want %q", text, err, want)
		}
	}
}

func FuzzParseConfig(f *testing.F) {
	f.Add([]byte(inspected[1 : len(inspected)-1]))
	f.Add([]byte(`{"config":null}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		c, err := ParseConfig(text)
		if err != nil {
			return
		}
		for _, word := range c.Command(nil, "sh") {
			if strings.IndexByte(word, 0) >= 0 {
				t.Errorf("%q cannot be an argument", word)
			}
		}
	})
}

func TestCommand(t *testing.T) {
	c := Config{Entrypoint: []string{"/e", "-x"}}
	for _, tt := range []struct {
		override []string
		want     string
	}{{nil, "/e -x sh -c"}, {[]string{""}, "sh -c"}, {[]string{"/mine"}, "/mine sh -c"}} {
		if got := strings.Join(c.Command(tt.override, "sh", "-c"), " "); got != tt.want {
			t.Errorf("%q: %q, want %q", tt.override, got, tt.want)
		}
	}
	if got := c.Command(nil, "sh"); len(c.Entrypoint) != 2 || len(got) != 3 {
		t.Errorf("%q, and the image's own is %q", got, c.Entrypoint)
	}
}

func reference(t *testing.T, name string) Reference {
	t.Helper()
	r, err := ParseReference(name)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestParseAuths(t *testing.T) {
	list, ignored, err := ParseAuths(`{"auths":{"https://index.docker.io/v1/":{"auth":"YTpiOmM="},"registry.example.com/group/":{"username":"u","password":"p"},"empty.example.com":{}},
		"credsStore":"x","credHelpers":{"a":"b"}}`)
	if err != nil || !slices.Equal(ignored, []string{"credHelpers", "credsStore"}) {
		t.Fatalf("%v, %v", ignored, err)
	}
	var got []string
	for _, c := range list {
		got = append(got, c.Scope+" "+c.User+" "+c.Password.Reveal())
	}
	if want := []string{"docker.io a b:c", "registry.example.com/group u p"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	if shown := fmt.Sprintf("%v %+v %#v", list, list, list); strings.Contains(shown, "b:c") {
		t.Errorf("the password is shown: %s", shown)
	}
	for text, want := range map[string]string{
		"secretpassword":                  "not JSON",
		`{"auths":{"a":{"auth":"%"}}}`:    "not base64",
		`{"auths":{"a":{"auth":"YQ=="}}}`: "user:password",
		`{"auths":"secretpassword"}`:      "not JSON",
		strings.Repeat("x", MaxAuths+1):   "longer",
	} {
		if _, _, err := ParseAuths(text); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "secretpassword") {
			t.Errorf("%.40q: %v, want %q", text, err, want)
		}
	}
}

func TestSelect(t *testing.T) {
	login := func(source string, scopes ...string) LoginSource {
		l := LoginSource{Source: source}
		for _, s := range scopes {
			l.Credentials = append(l.Credentials, NewCredential(s, source, job.NewSecret("x")))
		}
		return l
	}
	logins := []LoginSource{login("variable", "registry.example.com/group", "docker.io"), login("account", "registry.example.com", "registry.example.com/group"), login("gitlab", "https://registry.example.com", "other.example.com")}
	for name, want := range map[string]string{
		"registry.example.com/group/a":  "variable",
		"registry.example.com/groups/a": "account",
		"registry.example.com/a":        "account",
		"other.example.com/a":           "gitlab",
		"busybox":                       "variable",
		"third.example.com/a":           "",
		"other.example.com:5000/a":      "",
	} {
		if _, source, found := Select(reference(t, name), logins); source != want || found != (want != "") {
			t.Errorf("%s: %q, %v, want %q", name, source, found, want)
		}
	}
}

func TestAuthFile(t *testing.T) {
	text := NewCredential("registry.example.com", "u", job.NewSecret("p:w")).AuthFile()
	list, _, err := ParseAuths(string(text))
	if err != nil || len(list) != 1 || list[0].User != "u" || list[0].Password.Reveal() != "p:w" || list[0].Scope != "registry.example.com" {
		t.Errorf("%s: %v, %v", text, list, err)
	}
}

func FuzzParseAuths(f *testing.F) {
	f.Add(`{"auths":{"https://index.docker.io/v1/":{"auth":"YTpi"}}}`)
	f.Fuzz(func(t *testing.T, text string) {
		list, _, err := ParseAuths(text)
		if err != nil {
			return
		}
		for _, c := range list {
			if again, _, err := ParseAuths(string(c.AuthFile())); err != nil || len(again) > 1 {
				t.Errorf("%+v: %v, %v", c, again, err)
			}
		}
	})
}
