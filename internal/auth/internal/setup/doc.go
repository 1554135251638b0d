// Package setup makes the first configuration of a site: a commented file with
// what an administrator chose, and the runner's table that calls jacamar-auth.
//
// What it makes is judged by the packages that will read it: the configuration is
// loaded before it takes its place, and a runner's file is compared, key by key,
// with what was meant.
package setup
