// Package site sets up what a computing centre has around a job: the two
// programs installed where other accounts can run them, accounts, a
// configuration, a GitLab, and a runner wired to the driver as the deployment
// guide says.
//
// As root it makes accounts, several sets of them, and jobs run as the first of
// the set; as an ordinary user nothing is downscoped and jobs run as that user.
// One process at a time has a set of accounts, so that a test may say of every process of
// its accounts that it is the test's own.
package site
