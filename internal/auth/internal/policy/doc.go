// Package policy decides whether a job may run, and as which local account. It
// is pure: verified claims, the site's rules and facts about the account go in, a
// decision with its reasons comes out.
//
//	Choose       whose account the job asks for, by the site's account_source
//	PreValidate  the lists, on that name, before a RunAs script sees it (optional)
//	Decide       every rule, on the account that the job would get
//
// # The lists
//
// user_allowlist, user_blocklist, groups_allowlist and groups_blocklist are read
// in this order and the first match decides. Where nothing matches and an
// allowlist is set, the job is refused. A list that is set and empty is set: as
// an allowlist it matches nobody. Entries are compared exactly.
//
// An entry of a list of groups is compared by the id that the name service gives for
// it, and by the names that it gives for the account's groups (Membership). A group
// id without a readable name cannot be compared with groups_blocklist; where that
// list is in use and would have the last word, such an account is refused.
//
// # The account
//
// Refused whatever the lists say: user id 0 and primary group 0; nobody (65534)
// as either; ids over 2^31-1, the two spellings of -1 among them, and 65535; a
// user id under min_uid; the runner's own service account; a name that shares its
// user id with another name; an account that is locked or expired; a login shell
// named nologin or false.
//
// Group 0 as a further group is accepted: it gives what a login would give.
//
// With downscope = "none" (Rules.Keep) the job gets no account but the service
// account itself. Then that account is the only one allowed, the lists look at
// the name that the job asked for, and every other rule holds as well.
//
// # Projects
//
// project_blocklist and project_allowlist hold globs on the path of the project
// that the job runs in; a match in the blocklist wins. See Glob.
package policy
