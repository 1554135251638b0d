// Package site sets up the environment of a job in a computing centre: the programs
// installed where other accounts can run them, accounts, a configuration, a GitLab, and a
// runner connected to the driver as in docs/install.md.
//
// As root it creates accounts, several sets of them, and jobs run as the first of
// the set; as an ordinary user nothing is downscoped and jobs run as that user.
// One process at a time uses a set of accounts, so that every process of these accounts
// belongs to the test.
package site
