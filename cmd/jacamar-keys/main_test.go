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
		"github.com/go-jose":            "only jacamar-auth parses a key set",
		"github.com/BurntSushi/toml":    "it does not read the configuration",
		"github.com/sirupsen/logrus":    "only jacamar-auth writes the operator's log",
		"github.com/urfave/cli":         "its single argument needs no library",
		"jacamar-ci/internal/auth":      "the privileged packages are internal to jacamar-auth",
		"jacamar-ci/internal/config":    "it does not read the configuration",
		"jacamar-ci/internal/jobrun":    "only jacamar runs jobs",
		"os/exec":                       "it executes nothing",
		"os/user":                       "it looks up no account",
		"net/http/pprof":                "no profiling server",
		"vendor/golang.org/x/net/http2": "nethttpomithttp2 excludes it: no request needs HTTP/2",
		"plugin":                        "nothing is loaded at run time",
		"runtime/cgo":                   "static: AllThreadsSyscall, which changes all threads at once, needs that",
		"testing":                       "test code is not for the shipped program",
		"jacamar-ci/test":               "test code is not for the shipped program",
	}})
}
