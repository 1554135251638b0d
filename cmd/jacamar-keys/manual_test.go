package main

import (
	"flag"
	"testing"

	"jacamar-ci/test/repo/docs"
)

var updateManual = flag.Bool("update-manual", false, "write the documentation again")

func TestManual(t *testing.T) {
	program := docs.Program{
		Name: "jacamar-keys", Usage: "fetch a server's public keys for jacamar-auth",
		Commands: []docs.Command{{
			Args: "URL [PROXY]", Usage: "fetch a server's public keys for jacamar-auth", Options: []docs.Option{{Names: []string{"version"}, Usage: "print the version"}},
		}},
	}
	docs.Hold(t, *updateManual, "../../docs/man/jacamar-keys.8", program.Man(docs.Text{
		Section: 8,
		Description: []string{
			"jacamar-auth(8) and jacamar-admin(8) start `jacamar-keys`, which requests the key set of a server once and prints the result as JSON. It is the only program with HTTP and TLS, and it has no privileges: root's becomes the account nobody.",
			"The certificate authorities that it trusts are its standard input, in PEM form; for an http address it reads none. PROXY is the URL of a web proxy for an https server. No variable of the environment has an effect.",
			"Use `jacamar-admin keys refresh` to fetch and keep keys by hand.",
		},
		After: []docs.Section{
			{Title: "EXIT STATUS", Terms: []docs.Term{
				{Word: "0", Meaning: "There is a result, which may be that the server did not answer."},
				{Word: "2", Meaning: "The command line is wrong, or the process could not give up its privileges."},
			}},
			{Title: "EXAMPLES", Terms: []docs.Term{{
				Word:    "jacamar-keys https://gitlab.example.com/oauth/discovery/keys </etc/ssl/certs/ca-certificates.crt",
				Meaning: "Shows whether this host reaches the keys of GitLab, and what the server answers.",
			}}},
			{Title: "SEE ALSO", Paragraphs: []string{"jacamar-auth(8), jacamar-admin(8), jacamar.toml(5)"}},
		},
	}))
}
