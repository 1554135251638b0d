package bugreport

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"jacamar-ci/internal/config"
)

// TestWrite: the archive is one that other programs read.
func TestWrite(t *testing.T) {
	files := []File{{"README", "text\n"}, {"empty", ""}, {"units/one", strings.Repeat("x", 512)}, {"long", strings.Repeat("y", 1025)}}
	var out bytes.Buffer
	if err := Write(&out, "report", files, time.Unix(1700000000, 0)); err != nil {
		t.Fatal(err)
	}
	z, err := gzip.NewReader(&out)
	if err != nil {
		t.Fatal(err)
	}
	r := tar.NewReader(z)
	for _, want := range files {
		h, err := r.Next()
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(r)
		if err != nil || h.Name != "report/"+want.Name || string(text) != want.Text || h.Mode != 0o600 || h.ModTime.Unix() != 1700000000 || h.Typeflag != tar.TypeReg {
			t.Errorf("%+v, %v", h, err)
		}
	}
	if _, err := r.Next(); !errors.Is(err, io.EOF) {
		t.Errorf("after the last file: %v", err)
	}
	if err := Write(io.Discard, "report", []File{{strings.Repeat("n", 101), ""}}, time.Now()); err == nil {
		t.Error("a name that is too long is cut")
	}
}

// TestScrub: secrets by their form, and those that are known.
func TestScrub(t *testing.T) {
	var s Secrets
	s.Add("correct horse\nbattery staple\n")
	s.Add("x")
	for in, want := range map[string]string{
		"the correct horse, and the battery staple":                           "the (removed), and the (removed)",
		"token eyJhbGciOi.eyJpc3MiOiJ4.c2lnbmF0dXJl of":                       "token (removed) of",
		"glpat-0123456789abcdefghij and glrt-t1_0123456789abcdef":             "(removed) and (removed)",
		"https://user:pw@gitlab.example.com/a.git":                            "https://(removed)@gitlab.example.com/a.git",
		"password=hunter22 rest":                                              "password=(removed) rest",
		`AWS_SECRET_KEY: "abc def"`:                                           "AWS_SECRET_KEY: (removed)",
		"-----BEGIN RSA PRIVATE KEY-----\nabc\n-----END RSA PRIVATE KEY-----": "(removed)",
		"Authorization: Bearer abcdef":                                        "Authorization: Bearer (removed)",
		"an ordinary line about x and /opt/jacamar":                           "an ordinary line about x and /opt/jacamar",
	} {
		if got := s.Scrub(in); got != want {
			t.Errorf("%q became %q, want %q", in, got, want)
		}
	}
}

// TestRunner: what is not known to be harmless is removed, here and wherever it comes
// again.
func TestRunner(t *testing.T) {
	var s Secrets
	got := Runner(`concurrent = 4
[[runners]]
  name = "hpc"
  url = "https://gitlab.example.com"
  token = "t0kenOfTheRunner"
  environment = ["DEPLOY_KEY=hidden-value"]
  unknown = "other-secret"
  [runners.custom]
    config_exec = "/opt/jacamar/bin/jacamar-auth"
    config_args = ["config", "--configuration", "/etc/x.toml", "--key=sEcret"]
  [runners.cache.s3]
    SecretKey = "s3-secret-key"
`, &s)
	for _, want := range []string{`runners.name = "hpc"`, "concurrent = 4", `runners.custom.config_args = ["config","--configuration","/etc/x.toml","(removed)"]`, "runners.token = (removed)"} {
		if !strings.Contains(got, want) {
			t.Errorf("no %s in\n%s", want, got)
		}
	}
	later := s.Scrub(got + "t0kenOfTheRunner hidden-value other-secret s3-secret-key")
	for _, secret := range []string{"t0kenOfTheRunner", "hidden-value", "other-secret", "s3-secret-key", "sEcret"} {
		if strings.Contains(later, secret) {
			t.Errorf("%s is in\n%s", secret, later)
		}
	}
}

func TestSettings(t *testing.T) {
	var s Secrets
	got := Settings([]config.Setting{
		{Key: "auth.runas.validation_env", Value: `["A=first-secret", "B=second-secret"]`, From: config.FromFile, Line: 3},
		{Key: "general.executor", Value: `"shell"`, From: config.FromFile, Line: 2},
		{Key: "auth.account_map", From: config.Unset, Otherwise: "none"},
	}, &s)
	if strings.Contains(got, "secret") || !strings.Contains(got, "A=(removed)") || !strings.Contains(got, `general.executor = "shell"`) || !strings.Contains(got, "# auth.account_map: none") {
		t.Errorf("%s", got)
	}
	if strings.Contains(s.Scrub("first-secret second-secret"), "secret") {
		t.Error("values of variables are not known as secrets")
	}
}

func TestRecords(t *testing.T) {
	log := `{"event":"decision","login":"alice","project":"g/p","reason":"x","job":1}` + "\nno record\n" + `{"event":"stage_end","job":2,"account":"alice"}` + "\n"
	if got := Records(log, 10); got != `{"event":"decision","job":1,"reason":"x"}`+"\n"+`{"event":"stage_end","job":2}`+"\n" {
		t.Errorf("%s", got)
	}
	if got := Records(log, 1); got != `{"event":"stage_end","job":2}`+"\n" {
		t.Errorf("%s", got)
	}
}

func TestUnit(t *testing.T) {
	var s Secrets
	got := Unit("[Service]\nEnvironment=HTTPS_PROXY=http://u:p@proxy:1 \"TOKEN=unit-secret\"\nExecStart=/usr/bin/gitlab-runner run\n", &s)
	if got != "[Service]\nEnvironment=(removed)\nExecStart=/usr/bin/gitlab-runner run\n" || s.Scrub("unit-secret") != removed {
		t.Errorf("%s", got)
	}
}
