package main

import (
	"strings"
	"testing"

	"jacamar-ci/internal/driver"
	"jacamar-ci/internal/job"
	"jacamar-ci/test/repo/cmdline"
	"jacamar-ci/test/repo/deps"
)

func TestMain(m *testing.M) { cmdline.Main(m) }

func TestCommandLine(t *testing.T) { cmdline.Run(t, "jacamar-noauth") }

func TestParse(t *testing.T) {
	for line, want := range map[string]driver.Call{
		"jacamar --no-auth config --configuration /c":  {Stage: job.Config, Configuration: "/c"},
		"jacamar-noauth config --configuration /c":     {Stage: job.Config, Configuration: "/c"},
		"jacamar --no-auth config --configuration=/c":  {Stage: job.Config, Configuration: "/c"},
		"jacamar --no-auth cleanup --configuration /c": {Stage: job.Cleanup, Configuration: "/c"},
		"jacamar --no-auth prepare":                    {Stage: job.Prepare},
		"jacamar --no-auth run /s build_script":        {Stage: job.Run, Script: "/s", SubStage: "build_script"},
		"jacamar --no-auth run --configuration x":      {Stage: job.Run, Script: "--configuration", SubStage: "x"},
	} {
		if got, err := parse(strings.Fields(line)); err != nil || got != want {
			t.Errorf("%s: %+v, %v", line, got, err)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	for _, line := range []string{
		"", "jacamar", "jacamar --no-auth", "jacamar --no-auth nonsense", "jacamar --no-auth --no-auth config --configuration /c",
		"jacamar --no-auth config", "jacamar --no-auth config --configuration", "jacamar --no-auth config --configuration=",
		"jacamar --no-auth config /c", "jacamar --no-auth config --configuration /c more", "jacamar --no-auth cleanup",
		"jacamar --no-auth prepare more", "jacamar --no-auth run", "jacamar --no-auth run a", "jacamar --no-auth run a b c",
	} {
		if got, err := parse(strings.Fields(line)); err == nil {
			t.Errorf("%q is %+v", line, got)
		}
	}
}

func TestDeps(t *testing.T) {
	deps.Check(t, deps.Limits{Linked: 120, Never: map[string]string{
		"net/http":                   "nothing is fetched here",
		"crypto/tls":                 "nothing is fetched here",
		"github.com/go-jose":         "no token is looked at",
		"github.com/sirupsen/logrus": "there is no operator to keep a log for",
		"jacamar-ci/internal/auth":   "nothing here is authorized, and nothing privileged",
		"jacamar-ci/internal/jobrun": "that is jacamar, another process",
		"os/user":                    "without cgo it reads /etc/passwd only: accounts of LDAP and SSSD are not in it",
		"plugin":                     "nothing is loaded at run time",
		"runtime/cgo":                "the programs are static",
		"testing":                    "test doors are not for the shipped program",
		"jacamar-ci/test":            "test doors are not for the shipped program",
	}})
}
