// Package account asks the machine's name services about local accounts.
//
// The binaries are static, so the C library's name service modules (LDAP, SSSD
// and so on) are reached through getent(1). The process that holds privilege
// loads none of them.
//
// # Groups
//
// getent initgroups gives the ids of an account's groups, and is quick. getent group
// prints the members of each group, for which a directory may need seconds a group,
// and names in any encoding. So names are asked for only where a rule is about them:
// first the ids of the names that a list has (GroupIDs), which are as many as the list
// is long, whatever the account is in; then the names of the account's groups
// (GroupNames), within a bound.
//
// # What cannot be known
//
// getent initgroups ends with status 0 in three cases that look alike: the user
// has no further groups, the user does not exist, and one of the sources could
// not be reached. The last is seen at real sites: while an LDAP server is down,
// a local user simply lacks the groups that LDAP would have added. The C library
// gives no sign, so neither can this package. It narrows the gap in three ways:
// an account that itself comes from the lost source is unknown, and refused; a
// first query to a dead server takes longer than the time limit, and is refused;
// and no answer is ever believed in part. A site that grants or blocks by groups
// of a remote directory should let its client cache them (SSSD does).
package account
