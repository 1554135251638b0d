// Package trustedfile opens a file that a privileged process will believe.
//
// A file is believed when it is a regular file that only root or the process's
// own account can change: both it and every directory and symbolic link on the
// way to it are owned by one of the two, and nobody else may write the file or
// one of those directories. A sticky directory such as /tmp is refused like any
// other that others can write.
//
// Every judgement is made on an open descriptor, never on a name, and the last
// component of the path may not be a symbolic link. A link on the way to the
// last component is followed by its text, one component at a time, so that each
// directory it leads through is judged as well (/var/run and a relocated
// /etc/gitlab-runner are such links at real sites).
//
// An access control list that lets somebody else write shows in the group bits
// of the mode, because those are its mask (acl(5)); it needs no look of its own.
// The kernel's own files (/proc/self/fd/N, /dev/stdin) are links and refused.
package trustedfile
