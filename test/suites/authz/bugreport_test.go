package authz

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"jacamar-ci/test/harness/fakerunner"
	"jacamar-ci/test/harness/site"
	"jacamar-ci/test/harness/testutil"
)

// TestBugReport plants a secret at every place that a report reads, and in the words
// around it, and looks for all of them in the archive.
func TestBugReport(t *testing.T) {
	t.Parallel()
	var planted []string
	secret := func(place string) string {
		planted = append(planted, fmt.Sprintf("s3cr3t-of-%s-%d", place, len(planted)))
		return planted[len(planted)-1]
	}
	if os.Geteuid() != 0 {
		t.Skip("needs root: scripts that validate jobs are for sites that change accounts")
	}
	s := newSibling(t)
	testutil.Must(t, s.Reconfigure(func(c site.Config) {
		validated("true", func(s *site.Site, runas site.Table) {
			runas["validation_env"] = []string{"CALLS=" + calls(s), "LDAP_BIND=" + secret("validation-env")}
		})(s, c)
		c.Set("auth", "logging", logging(s))
		c.Set("general", "user_bash_env", []string{"DEPLOY=" + secret("bash-env")})
		c.Set("batch", "env_vars", []string{"LICENSE=" + secret("batch-env")})
	}))
	write := func(file, text string) {
		f, err := os.OpenFile(file, os.O_APPEND|os.O_WRONLY|os.O_CREATE, 0o600)
		testutil.Must(t, err)
		_, err = f.WriteString(text)
		testutil.Must(t, err, f.Close())
	}
	write(s.ConfigFile, "# the password is "+secret("comment")+"\n")
	job := s.Job("true")
	if r := s.Runner().Run(job); r.Outcome != fakerunner.Success {
		t.Fatalf("%s: %s", r.Outcome, r.Trace)
	}
	runner := filepath.Join(s.Dir, "config.toml")
	token := secret("runner-token")
	write(runner, `concurrent = 2
[[runners]]
  name = "hpc"
  executor = "custom"
  token = "`+token+`"
  environment = ["DEPLOY_KEY=`+secret("runner-environment")+`"]
  pre_build_script = "export X=`+secret("pre-build")+`"
  [runners.cache.s3]
    SecretKey = "`+secret("s3")+`"
  [runners.custom]
    config_exec = "`+s.Auth+`"
    config_args = ["config", "--configuration", "`+s.ConfigFile+`", "`+secret("argument")+`"]
`)
	var jwt string
	for _, v := range job.Variables {
		if v.Key == site.TokenVariable {
			jwt = v.Value
		}
	}
	if jwt == "" {
		t.Fatal("the job has no token")
	}
	planted = append(planted, jwt, job.Token)
	write(logFile(s), fmt.Sprintf(`{"event":"warning","reason":"the answer had %s, %s and glpat-%s","login":"%s"}`+"\n", jwt, token, strings.Repeat("a1", 10), secret("login")))
	planted = append(planted, "glpat-"+strings.Repeat("a1", 10))
	output := filepath.Join(s.Dir, "report.tar.gz")
	out, status := admin(t, s.Admin, "bugreport", "--configuration", s.ConfigFile, "--runner-config", runner, "--output", output)
	if status != 0 || !strings.Contains(out, "wrote "+output) {
		t.Fatalf("status %d: %s", status, out)
	}
	if info, err := os.Stat(output); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	text, err := exec.Command("tar", "--extract", "--gzip", "--to-stdout", "--file", output).CombinedOutput()
	testutil.Must(t, err)
	for _, p := range planted {
		if strings.Contains(string(text), p) {
			t.Errorf("the archive has %s", p)
		}
	}
	key, _ := os.ReadFile(s.StateDir + "/seal.key")
	if len(key) > 0 && strings.Contains(string(text), string(key)) {
		t.Error("the archive has the key that seals the state")
	}
	for _, want := range []string{"Kernel: Linux", `"id": "configuration"`, "general.executor = \"shell\"", `runners.name = "hpc"`, `"event":"stage_end"`, s.Auth, "DEPLOY=(removed)"} {
		if !strings.Contains(string(text), want) {
			t.Errorf("the archive lacks %s", want)
		}
	}
	if out, status := admin(t, s.Admin, "bugreport", "--configuration", s.ConfigFile, "--output", output); status == 0 {
		t.Errorf("an archive is replaced: %s", out)
	}
	// A broken site is the one that needs a report.
	testutil.Must(t, os.WriteFile(s.ConfigFile, []byte("[general\npassword = \""+planted[0]+"\"\n"), 0o644))
	broken := filepath.Join(s.Dir, "broken.tar.gz")
	if out, status := admin(t, s.Admin, "bugreport", "--configuration", s.ConfigFile, "--output", broken); status != 0 {
		t.Errorf("status %d: %s", status, out)
	}
}
