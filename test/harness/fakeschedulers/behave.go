package fakeschedulers

import (
	"encoding/json"
	"fmt"
	"os"
	"syscall"
	"time"
)

// Behaviour configures the cluster; the zero value is a cluster without faults.
type Behaviour struct {
	// Programs are the faults of programs, by their names.
	Programs map[string]Fault `json:"programs,omitempty"`
	// Pending is how many seconds new jobs wait, for PendingReason.
	Pending       float64 `json:"pending,omitempty"`
	PendingReason string  `json:"pending_reason,omitempty"`
	// End is a state in which a running job ends at once, as NODE_FAIL; its
	// processes are killed.
	End string `json:"end,omitempty"`
	// Away is an unreachable server.
	Away bool `json:"away,omitempty"`
	// Lost makes the queue drop every job.
	Lost bool `json:"lost,omitempty"`
	// Minute is how long a minute of a time limit lasts, in seconds; 0 means 60.
	Minute float64 `json:"minute,omitempty"`
	// KillWait is the time between TERM and KILL, in seconds; 0 means 5.
	KillWait float64 `json:"kill_wait,omitempty"`
	// NoAccounting is a cluster without slurmdbd.
	NoAccounting bool `json:"no_accounting,omitempty"`
	// History is a PBS that keeps jobs which have ended; by default it does not.
	History bool `json:"history,omitempty"`
	// MaxJobs is how many jobs a user may have at a time; 0 means any number.
	MaxJobs int `json:"max_jobs,omitempty"`
	// Refuse is the message with which a plugin, a hook, a filter or a verifier of the
	// site refuses every job.
	Refuse string `json:"refuse,omitempty"`
	// Old is a PBS version whose nodes cannot write a job's output to its file.
	Old bool `json:"old,omitempty"`
	// AccountingDelay is how late Grid Engine's record of a job is, in seconds.
	AccountingDelay float64 `json:"accounting_delay,omitempty"`
}

// Fault is how one program misbehaves.
type Fault struct {
	// Before and After are faults before and after its work: "hang", "fail", "die"
	// (by a signal), or "" for nothing. After "fail" or "hang" Before, no work is
	// done.
	Before string `json:"before,omitempty"`
	After  string `json:"after,omitempty"`
	// Banner is printed on standard output first.
	Banner string `json:"banner,omitempty"`
	// Instead replaces its standard output.
	Instead *string `json:"instead,omitempty"`
	// Stderr is printed when it fails.
	Stderr string `json:"stderr,omitempty"`
	// Seconds bounds a hang; 0 means that it never ends.
	Seconds float64 `json:"seconds,omitempty"`
	// Times is how often the fault occurs; 0 means always.
	Times int `json:"times,omitempty"`
}

// Create creates an empty cluster in dir, which every user may change. Kind is the
// scheduler that it imitates, one of Kinds.
func Create(dir, kind string) (Store, error) {
	s := Store{dir, kind}
	if schedulerDefs()[kind].conf == "" {
		return s, fmt.Errorf("there is no fake of the scheduler %q", kind)
	}
	for _, d := range []string{dir, s.path("jobs")} {
		if err := os.MkdirAll(d, 0o777); err != nil {
			return s, err
		}
		if err := os.Chmod(d, 0o777); err != nil {
			return s, err
		}
	}
	if err := writeForAll(s.path("lock"), nil); err != nil {
		return s, err
	}
	return s, os.WriteFile(s.Conf(), []byte("# a fake cluster\n"), 0o644)
}

// Conf is the path of the cluster's configuration.
func (s Store) Conf() string { return s.path(s.kind + ".conf") }

// Env is the variable by which the scheduler's commands find the cluster.
func (s Store) Env() string { return schedulerDefs()[s.kind].conf + "=" + s.Conf() }

// Behave sets how the cluster acts from now on.
func (s Store) Behave(b Behaviour) error {
	text, err := json.Marshal(b)
	if err != nil {
		return err
	}
	if err := writeForAll(s.path("behave.new"), text); err != nil {
		return err
	}
	return os.Rename(s.path("behave.new"), s.path("behave.json"))
}

func (s Store) behaviour() (b Behaviour) {
	text, err := os.ReadFile(s.path("behave.json"))
	if err == nil {
		_ = json.Unmarshal(text, &b)
	}
	return b
}

// fault returns the program's fault for this call.
func (s Store) fault(program string) (f Fault) {
	_ = s.locked(func() error {
		b := s.behaviour()
		f = b.Programs[program]
		if f.Times > 0 {
			left := f
			if left.Times--; left.Times == 0 {
				delete(b.Programs, program)
			} else {
				b.Programs[program] = left
			}
			return s.Behave(b)
		}
		return nil
	})
	return f
}

// happen causes a fault; it returns false when the program must end.
func (f Fault) happen(what string) bool {
	switch what {
	case "hang":
		if f.Seconds == 0 {
			select {}
		}
		time.Sleep(time.Duration(f.Seconds * float64(time.Second)))
		return true
	case "die":
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
	case "fail":
		return false
	}
	return true
}
