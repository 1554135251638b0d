package main

import (
	"testing"

	"jacamar-ci/test/repo/deps"
)

func TestDeps(t *testing.T) {
	deps.Check(t, deps.Limits{Linked: 200, Foreign: 150, Exactly: map[string]string{
		"net": "remote logs are sent over plain sockets to numeric addresses",
	}, Never: map[string]string{
		"jacamar-ci/internal/jobrun":       "the privileged half runs no job: jacamar does, as its user",
		"jacamar-ci/internal/auth/admin":   "commands for administrators are jacamar-admin's, which has no privileges",
		"os/user":                          "without cgo it reads /etc/passwd only: accounts of LDAP and SSSD are not in it",
		"plugin":                           "nothing is loaded at run time",
		"runtime/cgo":                      "static: no library of the machine and no NSS module comes into the privileged process",
		"net/http":                         "jacamar-keys has HTTP and TLS, and no privileges",
		"net/rpc":                          "no remote-call server",
		"crypto/tls":                       "jacamar-keys has HTTP and TLS, and no privileges",
		"vendor/golang.org/x/net":          "no resolver: addresses are numbers",
		"expvar":                           "no server that shows the process's state",
		"regexp":                           "patterns are matched by code that was written for them",
		"text/template":                    "messages are format strings",
		"text/tabwriter":                   "jacamar-admin prints tables",
		"html/template":                    "there are no pages",
		"flag":                             "the command line is parsed by hand",
		"github.com/urfave/cli":            "the command line is parsed by hand",
		"encoding/gob":                     "input from outside is parsed strictly, and gob is not made for that",
		"encoding/xml":                     "nothing that is parsed here is XML",
		"testing":                          "test code is not for the shipped program",
		"jacamar-ci/test":                  "test code is not for the shipped program",
		"github.com/sirupsen/logrus/hooks": "records are written by our own code, which bounds the time",
		"github.com/go-jose":               "one algorithm needs no library: crypto/rsa and a strict parser verify RS256",
	}})
}
