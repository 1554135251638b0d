package failure

import "fmt"

// Crowded is the failure of a start for which the account has too many processes
// and threads: tasks of them, which is 0 where that is not known, as is the limit.
func Crowded(tasks int, limit uint64, cause error) error {
	text := "no more processes or threads can be started as your account"
	switch {
	case tasks > 0 && limit > 0:
		text += fmt.Sprintf(": it has %d, and its limit is %d (RLIMIT_NPROC, ulimit -u)", tasks, limit)
	case limit > 0:
		text += fmt.Sprintf(": its limit is %d (RLIMIT_NPROC, ulimit -u)", limit)
	case tasks > 0:
		text += fmt.Sprintf(": it has %d, and the machine or the runner's service allows no more", tasks)
	}
	return &Error{Public: text, Hint: "end what you do not need on this machine, or start fewer processes in the job", Cause: cause}
}
