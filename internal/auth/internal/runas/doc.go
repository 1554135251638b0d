// Package runas asks the site's validation script whether a job may run as the
// account that was chosen for it, or as which other one.
//
// The script is called as
//
//	script USER            or, where the job asks for another account,
//	script TARGET USER
//
// with PATH, LANG, the site's validation_env and the verified claims as JWT_*
// variables, an empty input and 30 seconds. Exit status 0 accepts. Its output is
// then empty or one JSON object with any of
//
//	{"username": "…", "data_dir": "/…", "user_message": "…"}
//
// and everything else refuses the job. On a refusal the same object may give a
// user_message, which the job log shows.
//
// # The bytes that run
//
// The script is read once, through a descriptor that was judged, into a sealed
// memfd; that is hashed, and that is executed, so a file that changes later
// changes nothing. The kernel runs it as /proc/self/fd/3. An interpreter opens
// that name again after it has been started, so descriptor 3 stays open in the
// script and in what it starts; nothing but the script's own text can be read
// from it. A script therefore finds no neighbours through $0: it names other
// files by their full path.
//
// A kernel that forbids to execute memfds (vm.memfd_noexec = 2) cannot run
// validation scripts. There is no second way that would be as safe.
package runas
