package admin

import (
	"fmt"
	"io"

	"jacamar-ci/internal/job"
	"jacamar-ci/internal/journal"
)

// Forget removes the ended and refused jobs of an account from the journal, for the
// account that has the journal. Live jobs have to end first: what they still append
// would be a trace again.
func Forget(w io.Writer, dir job.AbsPath, account job.Username) error {
	name := account.String()
	hosts, err := hostsOf(dir)
	if err != nil {
		return err
	}
	lives, err := liveJobs(dir, func(r journal.Record) bool {
		granted, _ := r.Find(journal.Granted)
		return granted.Context.Account == name
	})
	if err != nil {
		return err
	}
	if len(lives) > 0 {
		return fmt.Errorf("cannot forget %s: %s is live; end its jobs first: jacamar-admin stop --account %s", name, title(lives[0]), name)
	}
	p := journal.Person{Account: name, Logins: map[string]bool{}}
	for _, host := range hosts {
		if err := p.LoginsOf(dir, host); err != nil {
			return err
		}
	}
	lines := 0
	for _, host := range hosts {
		n, err := journal.Forget(dir, host, p)
		if err != nil {
			return err
		}
		lines += n
	}
	if lines == 0 {
		_, err = fmt.Fprintf(w, "the journal has no ended or refused job of %s: nothing to do\n", name)
		return err
	}
	_, err = fmt.Fprintf(w, "removed %d lines about %s. Digests have the number of the account alone; the operator's log is not changed.\n", lines, name)
	return err
}
