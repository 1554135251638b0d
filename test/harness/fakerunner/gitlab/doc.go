// Package gitlab plays GitLab's side of a CI job on a loopback address: the
// issuer of id_tokens with its key set, over TLS with an authority of its own,
// git over smart HTTP, job artifacts, and the coordinator from which an official
// runner gets jobs. Everything a driver must withstand can be made to happen:
// tokens are signed as asked, and the key set misbehaves on demand.
package gitlab
