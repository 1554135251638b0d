package main

import (
	"testing"

	"jacamar-ci/test/repo/cmdline"
	"jacamar-ci/test/repo/deps"
)

func TestMain(m *testing.M) { cmdline.Main(m) }

func TestCommandLine(t *testing.T) { cmdline.Run(t, "jacamar-admin") }

func TestDeps(t *testing.T) {
	const runs = "this program runs no job: of its parts only the grammars of engines are for check"
	deps.Check(t, deps.Limits{Linked: 250, Exactly: map[string]string{"jacamar-ci/internal/jobrun": runs}, Never: map[string]string{
		"jacamar-ci/internal/jobrun/own":                 runs,
		"jacamar-ci/internal/jobrun/internal/batch":      runs,
		"jacamar-ci/internal/jobrun/internal/executor":   runs,
		"jacamar-ci/internal/jobrun/internal/imagestore": runs,
		"jacamar-ci/internal/jobrun/internal/process":    runs,
		"os/user":                         "without cgo it reads /etc/passwd only: accounts of LDAP and SSSD are not in it",
		"plugin":                          "nothing is loaded at run time",
		"runtime/cgo":                     "static: no library of the machine and no NSS module is loaded",
		"net/http":                        "jacamar-keys has HTTP and TLS",
		"crypto/tls":                      "jacamar-keys has HTTP and TLS",
		"github.com/cpuguy83/go-md2man":   "urfave_cli_no_docs keeps it out",
		"github.com/russross/blackfriday": "urfave_cli_no_docs keeps it out",
		"github.com/xrash/smetrics":       "urfave_cli_no_suggest keeps it out",
		"github.com/urfave/cli/v2/altsrc": "no flag has a value from a file or the environment",
		"testing":                         "test code is not for the shipped program",
		"jacamar-ci/test":                 "test code is not for the shipped program",
	}})
}
