package main

import (
	"testing"

	"jacamar-ci/test/repo/cmdline"
	"jacamar-ci/test/repo/deps"
)

func TestMain(m *testing.M) { cmdline.Main(m) }

func TestCommandLine(t *testing.T) { cmdline.Run(t, "jacamar-keys") }

func TestDeps(t *testing.T) {
	deps.Check(t, deps.Limits{Linked: 200, Never: map[string]string{
		"github.com/go-jose":            "a key set is read by who believes it: jacamar-auth",
		"github.com/BurntSushi/toml":    "the configuration never comes here",
		"github.com/sirupsen/logrus":    "the operator's log is jacamar-auth's",
		"github.com/urfave/cli":         "its one word needs no library",
		"jacamar-ci/internal/auth":      "the privileged packages are behind a wall",
		"jacamar-ci/internal/config":    "the configuration never comes here",
		"jacamar-ci/internal/jobrun":    "that is jacamar, another process",
		"os/exec":                       "it executes nothing",
		"os/user":                       "it asks for no account",
		"net/http/pprof":                "no door for looking in",
		"vendor/golang.org/x/net/http2": "nethttpomithttp2 keeps it out: no request of ours needs it",
		"plugin":                        "nothing is loaded at run time",
		"runtime/cgo":                   "static: and only so can all threads change their account at once",
		"testing":                       "test doors are not for the shipped program",
		"jacamar-ci/test":               "test doors are not for the shipped program",
	}})
}
