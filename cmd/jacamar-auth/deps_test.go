package main

import (
	"testing"

	"jacamar-ci/test/repo/deps"
)

func TestDeps(t *testing.T) {
	deps.Check(t, deps.Limits{Linked: 220, Never: map[string]string{
		"jacamar-ci/internal/jobrun":       "the privileged half runs no job: jacamar does, as its user",
		"os/user":                          "without cgo it reads /etc/passwd only: accounts of LDAP and SSSD are not in it",
		"plugin":                           "nothing is loaded at run time",
		"runtime/cgo":                      "static: no library of the machine and no NSS module comes into the privileged process",
		"net/http":                         "jacamar-keys has HTTP and TLS, and no privileges",
		"crypto/tls":                       "jacamar-keys has HTTP and TLS, and no privileges",
		"net/rpc":                          "no door for calling in",
		"expvar":                           "no door for looking in",
		"html/template":                    "there are no pages",
		"encoding/gob":                     "what comes from outside is parsed strictly, and gob is not made for that",
		"encoding/xml":                     "nothing that is spoken here is XML",
		"github.com/cpuguy83/go-md2man":    "urfave_cli_no_docs keeps it out",
		"github.com/russross/blackfriday":  "urfave_cli_no_docs keeps it out",
		"github.com/xrash/smetrics":        "urfave_cli_no_suggest keeps it out",
		"testing":                          "test doors are not for the shipped program",
		"jacamar-ci/test":                  "test doors are not for the shipped program",
		"github.com/urfave/cli/v2/altsrc":  "no flag has a value from a file or the environment",
		"github.com/sirupsen/logrus/hooks": "records are written by our own code, which bounds the time",
		"github.com/go-jose":               "one algorithm needs no library: crypto/rsa and a strict parser verify RS256",
	}})
}
