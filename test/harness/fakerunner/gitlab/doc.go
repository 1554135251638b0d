// Package gitlab imitates GitLab's side of a CI job on a loopback address: the
// issuer of id_tokens with its key set, over TLS with an authority of its own,
// git over smart HTTP, job artifacts, and the coordinator from which an official
// runner gets jobs. Tests can produce every fault that a driver must withstand: tokens
// with any content, and a key set with faults.
package gitlab
