package main

import (
	"testing"

	"jacamar-ci/test/repo/deps"
)

func TestDeps(t *testing.T) {
	deps.Check(t, deps.Limits{Linked: 132, Never: map[string]string{
		"net/http":                       "the user's half has no network code",
		"net/textproto":                  "the user's half has no network code",
		"net/smtp":                       "the user's half has no network code",
		"crypto/tls":                     "the user's half has no network code",
		"crypto/x509":                    "there is nothing to verify here: jacamar-auth has done it",
		"github.com/go-jose":             "the token never comes here",
		"github.com/BurntSushi/toml":     "the configuration never comes here",
		"github.com/sirupsen/logrus":     "the operator's log is jacamar-auth's",
		"github.com/urfave/cli":          "one argument needs no library, which would slow the start of each stage",
		"jacamar-ci/internal/auth":       "the privileged packages are behind a wall",
		"jacamar-ci/internal/config":     "the configuration never comes here",
		"jacamar-ci/internal/customexec": "the runner's contract is jacamar-auth's: the request contains what is needed of it",
		"os/exec":                        "process.Family alone waits for children",
		"os/user":                        "without cgo it reads /etc/passwd only: accounts of LDAP and SSSD are not in it",
		"plugin":                         "nothing is loaded at run time",
		"runtime/cgo":                    "the programs are static",
		"testing":                        "test doors are not for the shipped program",
		"jacamar-ci/test":                "test doors are not for the shipped program",
	}})
}
