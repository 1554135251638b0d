package config

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"jacamar-ci/internal/glob"
	"jacamar-ci/internal/job"
	"jacamar-ci/internal/settings"
	"jacamar-ci/test/harness/testutil"
)

// general parses a configuration in which one key of [general] is replaced.
func general(key, value string) (Config, error) {
	return parse(strings.Replace(dropKey(minimal, "general", key), "[general]\n", fmt.Sprintf("[general]\n%s = %s\n", key, value), 1))
}

func TestDataDir(t *testing.T) {
	const shape = " is neither absolute nor below $HOME"
	const variable = " has a variable: set variable_data_dir = true"
	const root = "the root directory cannot hold"
	for _, tc := range []struct{ value, want, fault string }{
		{"/jobs", "/jobs", ""},
		{"/jobs/", "/jobs", ""},
		{"/a//b/./c", "/a/b/c", ""},
		{"/with space", "/with space", ""},
		{"$HOME", "$HOME", ""},
		{"$HOME/", "$HOME", ""},
		{"$HOME/ci/", "$HOME/ci", ""},
		{"$HOME//ci/.x", "$HOME/ci/.x", ""},
		{"~", "$HOME", ""},
		{"~/", "$HOME", ""},
		{"~/ci", "$HOME/ci", ""},
		{"${HOME}", "$HOME", ""},
		{"${HOME}/ci", "$HOME/ci", ""},
		{"jobs", "", shape},
		{"./jobs", "", shape},
		{"../jobs", "", shape},
		{" /jobs", "", shape},
		{"~bob", "", shape},
		{"~bob/x", "", shape},
		{"$USER/x", "", variable},
		{"$HOMEX", "", variable},
		{"$HOMEX/y", "", variable},
		{"$home", "", variable},
		{"/$HOME", "", variable},
		{"$HOME/$X", "", variable},
		{"~/$X", "", variable},
		{"/", "", root},
		{"//", "", root},
		{"/.", "", root},
		{"/a/../b", "", `has a ".." in it`},
		{"$HOME/..", "", `has a ".." in it`},
		{"~/../b", "", `has a ".." in it`},
		{"/a\\u001bb", "", "has control characters"},
		{"$HOME/a\\nb", "", "has control characters"},
		{"/" + strings.Repeat("a", 4096), "", "is longer than"},
		{"", "", "is empty"},
	} {
		c, err := general("data_dir", `"`+tc.value+`"`)
		wantFault(t, tc.value, err, tc.fault)
		if got := c.General.DataDir.String(); got != tc.want {
			t.Errorf("%q: %q, want %q", tc.value, got, tc.want)
		}
	}
}

func TestVariableDataDir(t *testing.T) {
	const begins = "has a $ that begins no variable"
	for _, tc := range []struct{ value, want, fault string }{
		{"$SCRATCH", "$SCRATCH", ""},
		{"$SCRATCH/ci", "$SCRATCH/ci", ""},
		{"${SCRATCH}ci/x", "${SCRATCH}ci/x", ""},
		{"/p/$PROJECT/ci-$_x9", "/p/$PROJECT/ci-$_x9", ""},
		{"$HOME/$X", "$HOME/$X", ""},
		{"~/$X", "$HOME/$X", ""},
		{"/p/$", "", begins},
		{"/p/$$", "", begins},
		{"/p/$1", "", begins},
		{"/p/$(id)", "", begins},
		{"${X:-y}", "", begins},
		{"${}", "", begins},
		{"$X/${", "", begins},
		{"ci/$X", "", "begins with neither a slash nor a variable"},
		{"x$X", "", "begins with neither"},
		{"$X/../y", "", "is not a path"},
		{"$X/a\x07", "", "is not a path"},
		{"$X/" + strings.Repeat("a", 4096), "", "is not a path"},
		{"/$X/" + "`id`", "/$X/`id`", ""},
	} {
		given := fmt.Sprintf("[general]\nvariable_data_dir = true\ndata_dir = \"%s\"\n", strings.ReplaceAll(tc.value, "\x07", `\u0007`))
		c, err := parse(strings.Replace(dropKey(minimal, "general", "data_dir"), "[general]\n", given, 1))
		wantFault(t, tc.value, err, tc.fault)
		if got := c.General.DataDir.String(); got != tc.want {
			t.Errorf("%q: %q, want %q", tc.value, got, tc.want)
		}
	}
}

func TestServer(t *testing.T) {
	for _, tc := range []struct{ value, want, fault string }{
		{"https://gitlab.example.com", "https://gitlab.example.com", ""},
		{"https://gitlab.example.com/", "https://gitlab.example.com", ""},
		{"https://example.com/gitlab//", "https://example.com/gitlab", ""},
		{"https://gitlab.example.com:8443", "https://gitlab.example.com:8443", ""},
		{"https://[2001:db8::1]", "https://[2001:db8::1]", ""},
		{"https://10.1.2.3", "https://10.1.2.3", ""},
		{"http://127.0.0.1:80", "http://127.0.0.1:80", ""},
		{"http://127.0.0.1:8080", "", "general.gitlab_server: any user of this machine can listen on port 8080"},
		{"http://[::1]:1024", "", "can listen on port 1024"},
		{"http://127.9.9.9", "http://127.9.9.9", ""},
		{"http://[::1]:80/x", "http://[::1]:80/x", ""},
		{"http://gitlab.example.com", "", "is not protected"},
		{"http://localhost", "", "is not protected"},
		{"http://127.0.0.1.example.com", "", "is not protected"},
		{"http://10.0.0.1", "", "is not protected"},
		{"http://0.0.0.0", "", "is not protected"},
		{"ftp://gitlab.example.com", "", "is not an https URL"},
		{"//gitlab.example.com", "", "is not an https URL"},
		{"gitlab.example.com", "", "is not a URL"},
		{"https://", "", "is not a URL"},
		{"https:gitlab.example.com", "", "is not a URL"},
		{"https://:443", "", "is not a URL"},
		{"https://git lab", "", "is not a URL"},
		{"https://[::1", "", "is not a URL"},
		{"https://gitlab.example.com:port", "", "is not a URL"},
		{"https://gitlab.example.com/\\u202ex\\u2028", "", "is not a URL"},
		{"mailto:a@example.com", "", "is not a URL"},
		{"https://user:secret@gitlab.example.com", "", "may not have a user"},
		{"https://gitlab.example.com?x=1", "", "a query"},
		{"https://gitlab.example.com?", "", "a query"},
		{"https://gitlab.example.com#a", "", "a fragment"},
		{"https://gitlab.example.com#", "", "a fragment"},
	} {
		c, err := general("gitlab_server", `"`+tc.value+`"`)
		wantFault(t, tc.value, err, tc.fault)
		if tc.fault != "" {
			if strings.Contains(fmt.Sprint(err), "secret") {
				t.Errorf("%q: the fault repeats the password", tc.value)
			}
			continue
		}
		g := c.General
		if g.GitLabServer.String() != tc.want || g.JWTIssuer != tc.want || g.JWTRequiredAud != tc.want {
			t.Errorf("%q: %v, issuer %q, audience %q, want %q", tc.value, g.GitLabServer, g.JWTIssuer, g.JWTRequiredAud, tc.want)
		}
	}
}

// TestKeyServer: what is judged is the address that keys come from, and the key that
// accepts any port reports so.
func TestKeyServer(t *testing.T) {
	const port = "any user of this machine can listen on port 8080 of a loopback address: use https, or a port under 1024 (insecure_loopback_http = true accepts it, for a test)"
	for _, tc := range []struct{ lines, fault, warning string }{
		{`gitlab_server = "http://127.0.0.1:8080"`, "general.gitlab_server: " + port, ""},
		{`gitlab_server = "http://127.0.0.1:8080"
jwks_url = "https://keys.example.com/set"`, "", ""},
		{`gitlab_server = "https://gitlab.example.com"
jwks_url = "http://127.0.0.1:8080/set"`, "general.jwks_url: " + port, ""},
		{`gitlab_server = "http://127.0.0.1:8080"
insecure_loopback_http = true`, "", "general.insecure_loopback_http: is true: any user of this machine who gets the port of 127.0.0.1:8080 can act as any other"},
		{`gitlab_server = "https://gitlab.example.com"
insecure_loopback_http = true`, "", "general.insecure_loopback_http: has no effect: general.gitlab_server needs none"},
		{`gitlab_server = "http://10.0.0.1"
insecure_loopback_http = true`, "is not protected", ""},
		{`gitlab_server = "http://127.0.0.1"
https_proxy = "http://proxy.example.com:3128"`, "", "general.https_proxy: has no effect: the keys are at an http address"},
		{`gitlab_server = "https://gitlab.example.com"
https_proxy = "http://proxy.example.com:3128"`, "", ""},
		{`gitlab_server = "https://gitlab.example.com"
https_proxy = "proxy.example.com:3128"`, "general.https_proxy: cannot be used: not the URL of a proxy", ""},
		{`gitlab_server = "https://gitlab.example.com"
https_proxy = "http://a:secret@proxy.example.com:3128"`, "general.https_proxy: cannot be used: a proxy with a password is not supported", ""},
		{`gitlab_server = "https://gitlab.example.com"
https_proxy = "none"`, "general.https_proxy: cannot be used", ""},
	} {
		c, err := parse(strings.Replace(dropKey(minimal, "general", "gitlab_server"), "[general]\n", "[general]\n"+tc.lines+"\n", 1))
		wantFault(t, tc.lines, err, tc.fault)
		if strings.Contains(fmt.Sprint(err), "secret") {
			t.Errorf("%s: the fault repeats the password", tc.lines)
		}
		var warnings []string
		for _, w := range c.Warnings {
			if strings.HasPrefix(w.Key, "general.insecure") || strings.HasPrefix(w.Key, "general.https") {
				warnings = append(warnings, w.Key+": "+w.Text)
			}
		}
		if got := strings.Join(warnings, "; "); got != tc.warning {
			t.Errorf("%s: warned %q, want %q", tc.lines, got, tc.warning)
		}
	}
	c, err := general("https_proxy", `"http://proxy.example.com:3128/"`)
	if err != nil || c.General.HTTPSProxy.URL().String() != "http://proxy.example.com:3128" {
		t.Errorf("%v, %v", c.General.HTTPSProxy.URL(), err)
	}
}

func TestIssuerAndKeysAreTheirOwn(t *testing.T) {
	c, err := parse(strings.Replace(minimal, "[auth]\n", `jwks_url = "https://keys.example.com/set/"
jwt_required_aud = "hpc"
[auth]
jwt_issuer = "https://old.example.com/"
`, 1))
	if err != nil {
		t.Fatal(err)
	}
	g := c.General
	if g.JWKSURL.String() != "https://keys.example.com/set/" || g.JWTRequiredAud != "hpc" || g.JWTIssuer != "https://old.example.com/" {
		t.Errorf("%+v", g.Token)
	}
}

func TestDurations(t *testing.T) {
	const shape = "is not a duration"
	for _, tc := range []struct {
		value, fault string
		want         time.Duration
	}{
		{`"90s"`, "", 90 * time.Second},
		{`"1h30m"`, "", 90 * time.Minute},
		{`"1.5h"`, "", 90 * time.Minute},
		{`"500ms"`, "", time.Second / 2},
		{`'2m'`, "", 2 * time.Minute},
		{`120`, `120 has no unit: write a string such as "120s"`, 0},
		{`-5`, `-5 has no unit`, 0},
		{`1.5`, "is a float, want a string", 0},
		{`true`, "is a boolean, want a string", 0},
		{`12:00:00`, "is a date or time, want a string", 0},
		{`"120"`, shape, 0},
		{`"1d"`, shape, 0},
		{`"5 m"`, shape, 0},
		{`"s"`, shape, 0},
		{`"1h30"`, shape, 0},
		{`" 1s"`, shape, 0},
		{`"1S"`, shape, 0},
		{`"10000000h"`, shape, 0},
		{`"-1s"`, "is negative", 0},
		{`"0s"`, "may not be zero", 0},
		{`"0"`, "may not be zero", 0},
		{`""`, "is empty", 0},
	} {
		c, err := general("kill_timeout", tc.value)
		wantFault(t, tc.value, err, tc.fault)
		if c.General.KillTimeout != tc.want {
			t.Errorf("%s: %v", tc.value, c.General.KillTimeout)
		}
	}
}

func TestExecutorNames(t *testing.T) {
	for text, want := range map[string]settings.Executor{
		"shell": settings.Shell, "slurm": "slurm", "sbatch": "slurm", "flux": "flux", "pbs": "pbs", "lsf": "lsf", "bsub": "lsf", "sge": "sge", "cobalt": "cobalt", "qsub": "cobalt",
	} {
		c, err := general("executor", `"`+text+`"`)
		if err != nil || c.General.Executor != want {
			t.Errorf("%s: %q, %v", text, c.General.Executor, err)
		}
	}
	for _, text := range []string{"Shell", "pjm", "flux ", "shell "} {
		_, err := general("executor", `"`+text+`"`)
		wantFault(t, text, err, "is not known: write \"shell\", \"slurm\"")
		wantFault(t, text, err, "\"cobalt\" or \"qsub\"")
	}
}

func TestLocation(t *testing.T) {
	for text, want := range map[string]Location{"syslog": {Syslog: true}, "journald": {Journal: true}, "/var/log/x": {File: testutil.AbsPath(t, "/var/log/x")}} {
		var l Location
		if err := l.UnmarshalText([]byte(text)); err != nil || l != want || l.String() != text {
			t.Errorf("%s: %+v %q, %v", text, l, l, err)
		}
	}
	for _, text := range []string{"stderr", "Syslog", "var/log", "/var/../x"} {
		if err := new(Location).UnmarshalText([]byte(text)); err == nil {
			t.Errorf("%s was accepted", text)
		}
	}
}

func TestTexts(t *testing.T) {
	sum := strings.Repeat("aB", 32)
	for _, tc := range []struct {
		to    interface{ UnmarshalText([]byte) error }
		value string
		fault string
	}{
		{new(Group), "ci", ""},
		{new(Group), "domain users", ""},
		{new(Group), "DOM\\ci", ""},
		{new(Group), "a:b", "not a group name"},
		{new(Group), "1000", "is a number"},
		{new(Group), "-5", "is a number"},
		{new(Group), "+", "is a number"},
		{new(Group), "a,b", "not a group name"},
		{new(Group), "ci ", "not a group name"},
		{new(Group), "c\ti", "not a group name"},
		{new(glob.Pattern), "a/b", ""},
		{new(glob.Pattern), "**", ""},
		{new(glob.Pattern), "a/**/b", ""},
		{new(glob.Pattern), "a/b*[c-d]?", ""},
		{new(glob.Pattern), `a/\*`, ""},
		{new(glob.Pattern), "/a", "empty part"},
		{new(glob.Pattern), "a/", "empty part"},
		{new(glob.Pattern), "a//b", "empty part"},
		{new(glob.Pattern), "a**", "whole parts"},
		{new(glob.Pattern), "a/b**/c", "whole parts"},
		{new(glob.Pattern), "a/[", "unterminated"},
		{new(glob.Pattern), `a\`, "unterminated"},
		{new(glob.Pattern), "a\nb", "control characters"},
		{new(glob.Pattern), strings.Repeat("a", 1024), ""},
		{new(glob.Pattern), strings.Repeat("a", 1025), "longer than 1024 bytes"},
		{new(Source), "push", ""},
		{new(Source), "merge_request_event", ""},
		{new(Source), "Push", "not a pipeline source"},
		{new(Source), "a b", "not a pipeline source"},
		{new(Source), "1", "not a pipeline source"},
		{new(Source), "push\n", "not a pipeline source"},
		{new(Variable), "A_1", ""},
		{new(Variable), "A=B", "not a variable name"},
		{new(Variable), "1A", "not a variable name"},
		{new(Variable), "A B", "not a variable name"},
		{new(Variable), "=", "not a variable name"},
		{new(Digest), sum, ""},
		{new(Digest), sum[1:], "64 digits"},
		{new(Digest), sum + "00", "64 digits"},
		{new(Digest), strings.Repeat("x", 64), "64 digits"},
		{new(Message), "one\n\ttwo", ""},
		{new(Message), "a\x1b[0m", "control characters"},
		{new(Message), "a\r\nb", "control characters"},
		{new(Message), strings.Repeat("a", messageLength), ""},
		{new(Message), strings.Repeat("a", messageLength+1), "longer than 8192 bytes"},
	} {
		wantFault(t, fmt.Sprintf("%T %q", tc.to, tc.value), tc.to.UnmarshalText([]byte(tc.value)), tc.fault)
	}
	var d Digest
	if err := d.UnmarshalText([]byte(sum)); err != nil || string(d) != strings.ToLower(sum) {
		t.Errorf("%q, %v", d, err)
	}
}

func TestEmptyListIsNotAnUnsetOne(t *testing.T) {
	for line, want := range map[string]List[job.Username]{
		"":                                  {},
		"user_allowlist = []\n":             {Set: true, Items: []job.Username{}},
		"user_allowlist = [\"a\", \"b\"]\n": {Set: true, Items: []job.Username{testutil.Username(t, "a"), testutil.Username(t, "b")}},
	} {
		c, err := parse(minimal + line)
		if err != nil {
			t.Fatal(err)
		}
		if got := c.Auth.UserAllowlist; got.Set != want.Set || fmt.Sprint(got.Items) != fmt.Sprint(want.Items) {
			t.Errorf("%q: %+v, want %+v", line, got, want)
		}
	}
}

func TestRules(t *testing.T) {
	for name, text := range map[string]string{
		"headers": "[[batch.rule]]\nproject = \"a/b\"\nargs = [\"-A\", \"x\"]\n[[batch.rule]]\nref_protected = false\nnamespace = \"a/**\"\nuser = \"eve\"\nargs = [\"-p\"]\nrequired = true\n",
		"array":   "[batch]\nrule = [{project = \"a/b\", args = [\"-A\", \"x\"]}, {ref_protected = false, namespace = \"a/**\", user = \"eve\", args = [\"-p\"], required = true}]\n",
	} {
		c, err := parse(minimal + text)
		if err != nil {
			t.Fatal(err)
		}
		r := c.Batch.Rules
		if len(r) != 2 || r[0].Project.String() != "a/b" || r[0].RefProtected != nil || len(r[0].Args) != 2 || r[0].Required {
			t.Fatalf("%s: %+v", name, r)
		}
		if r[1].RefProtected == nil || *r[1].RefProtected || r[1].Namespace.String() != "a/**" || r[1].User.String() != "eve" || !r[1].Required {
			t.Errorf("%s: %+v", name, r[1])
		}
	}
}

func TestStateDir(t *testing.T) {
	g, lost := General{}, errors.New("the service account has no home")
	for _, tc := range []struct {
		set, home  string
		privileged bool
		want       string // "" is the error
	}{
		{"/x", "", true, "/x"},
		{"/x", "", false, "/x"},
		{"", "", true, "/var/lib/jacamar"},
		{"", "/home/runner", true, "/var/lib/jacamar"},
		{"", "/home/runner", false, "/home/runner/.jacamar-state"},
		{"", "", false, ""},
	} {
		g.StateDir = job.AbsPath{}
		if tc.set != "" {
			g.StateDir = testutil.AbsPath(t, tc.set)
		}
		got, err := g.StateDirOf(tc.privileged, func() (job.AbsPath, error) {
			if tc.home == "" {
				return job.AbsPath{}, lost
			}
			return testutil.AbsPath(t, tc.home), nil
		})
		if got.String() != tc.want || (err == nil) != (tc.want != "") || err != nil && !errors.Is(err, lost) {
			t.Errorf("%+v: %q, %v", tc, got, err)
		}
	}
}

func wantFault(t *testing.T, name string, err error, want string) {
	t.Helper()
	switch {
	case want == "" && err != nil:
		t.Errorf("%s: %v", name, err)
	case want != "" && (err == nil || !strings.Contains(err.Error(), want)):
		t.Errorf("%s: got %v, want %q in it", name, err, want)
	}
}

func TestRunAsNeedsItsScript(t *testing.T) {
	for _, line := range []string{`user_variable = "A"`, `sha256 = "` + strings.Repeat("0", 64) + `"`, `validation_env = ["A=1"]`, `federated = "saml"`} {
		_, err := parse(minimal + "[auth.runas]\n" + line + "\n")
		wantFault(t, line, err, "line 7: auth.runas.validation_script: missing")
		_, err = parse(minimal + runasScript + line + "\n")
		wantFault(t, line, err, "")
	}
}

func TestLogAddress(t *testing.T) {
	for address, want := range map[string]string{
		"192.0.2.7:514": "", "[::1]:65535": "", "[fe80::1%eth0]:514": "", "10.0.0.1:1": "",
		"log": "not ADDRESS:PORT", ":514": "not ADDRESS:PORT", "log:": "not ADDRESS:PORT", "10.0.0.1:0": "not ADDRESS:PORT", "log:65536": "not ADDRESS:PORT",
		"log:syslog": "not ADDRESS:PORT", "::1:514": "not ADDRESS:PORT", "-log:514": "not ADDRESS:PORT", "a b:514": "not ADDRESS:PORT", "10.0.0.1:65536": "not ADDRESS:PORT",
		"log.example.com:514": "has a host name, and names are not looked up for a record: write its address, as in \"192.0.2.7:514\"", "localhost:1": "`getent ahosts localhost`",
	} {
		_, err := parse(minimal + "[auth.logging]\nnetwork = \"tcp\"\naddress = \"" + address + "\"\n")
		wantFault(t, address, err, want)
	}
}
