// Package loginshell writes the program by which bash reads its user's login
// profiles and then runs a job's script in the same shell, so that functions,
// aliases, unexported variables and loaded modules are there, and nothing else
// that a profile does changes the script's result.
//
// The program has two processes. The guard is a bash that has read nothing of the
// user's. It forks the login shell, a subshell of its own, which reads the
// profiles, undoes what they must not leave behind, and evaluates the script. The
// whole program is parsed before the first profile is read, so that no alias
// reaches it. The login shell begins without the descriptors that it will need:
// it opens them later, through /proc, from the guard, where no profile can close
// or redirect them.
//
// The first command of a script empties the file that holds it. A script whose
// file is not empty has not begun, whatever the shell's exit code is; one whose
// file is empty never runs again. The file ends in a zero byte, without which the
// login shell does not take the text for whole.
package loginshell
