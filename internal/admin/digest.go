package admin

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"jacamar-ci/internal/admin/status"
	"jacamar-ci/internal/job"
	"jacamar-ci/internal/journal"
)

// accounting is the line of one ended job in a digest: figures and numbers, no name, ref
// or path. Its JSON form is an interface: fields are never removed or changed.
type accounting struct {
	Job       string    `json:"job"`
	UID       *job.UID  `json:"uid,omitempty"`
	ProjectID job.ID    `json:"project_id,omitempty"`
	Executor  string    `json:"executor,omitempty"`
	Ended     time.Time `json:"ended"`
	Exit      string    `json:"exit,omitempty"`
	Code      int       `json:"code,omitempty"`
	Wall      float64   `json:"wall_seconds"`
	Waited    float64   `json:"waited_seconds"`
	CPU       float64   `json:"cpu_seconds"` // on this host
	BatchCPU  float64   `json:"batch_cpu_seconds"`
	Peak      int64     `json:"peak_bytes"`
	Disk      int64     `json:"disk_bytes"`
}

func newAccounting(r journal.Record) accounting {
	j := status.NewJob(r)
	granted, _ := r.Find(journal.Granted)
	return accounting{
		Job: j.ID, UID: granted.Context.UID, ProjectID: granted.Context.ProjectID, Executor: j.Executor, Ended: j.Last, Exit: j.Exit, Code: j.Code,
		Wall: j.Last.Sub(j.Began).Seconds(), Waited: j.Waited, CPU: j.CPU - j.BatchCPU, BatchCPU: j.BatchCPU, Peak: j.Peak, Disk: j.Disk,
	}
}

// lateEnds is how long after midnight the jobs of the day before may still be being recorded.
const lateEnds = time.Minute

// Digest writes for each day before today, that has none yet, one accounting line a job.
// It is for the account that has the journal.
func Digest(w io.Writer, dir job.AbsPath, now time.Time) error {
	written, today := 0, now.Add(-lateEnds).UTC().Format(time.DateOnly)
	err := Journals{dir}.each(func(dir job.AbsPath, host string) error {
		days, err := journal.Undigested(dir, host, today)
		if err != nil {
			return err
		}
		for _, day := range days {
			if err := digestDay(w, dir, host, day); err != nil {
				return err
			}
			written++
		}
		return nil
	})
	if err == nil && written == 0 {
		_, err = fmt.Fprintln(w, "every day before today has its digest: nothing to do")
	}
	return err
}

func digestDay(w io.Writer, dir job.AbsPath, host, day string) error {
	var out bytes.Buffer
	lines := 0
	err := eachEnded(dir, host, day, func(r journal.Record) error {
		line, err := json.Marshal(newAccounting(r))
		if err != nil {
			return fmt.Errorf("cannot encode the digest: %w", err)
		}
		out.Write(append(line, '\n'))
		lines++
		return nil
	})
	if err != nil {
		return err
	}
	j, err := journal.Open(dir, host)
	if err != nil {
		return err
	}
	defer j.Close()
	if err := j.WriteDigest(day, out.Bytes()); err != nil {
		return err
	}
	_, err = fmt.Fprintf(w, "%s %s: %d jobs\n", host, day, lines)
	return err
}

// eachEnded calls do once for each job that ended on a day.
func eachEnded(dir job.AbsPath, host, day string, do func(journal.Record) error) (failed error) {
	seen := map[journal.Begin]bool{}
	err := journal.EachRecord(dir, host, day, func(r journal.Record) {
		begin, begun := r.Begin()
		if _, refused := r.Find(journal.Refused); refused || begun && seen[begin] || failed != nil {
			return
		}
		seen[begin] = true
		failed = do(r)
	})
	return errors.Join(err, failed)
}

// digested returns the jobs of days whose digest is all that is left, by the numbers of
// their account and project. unread is why digests are left out.
func (js Journals) digested(since time.Time) (jobs []status.Job, unread, err error) {
	err = js.each(func(dir job.AbsPath, host string) error {
		more, left, err := digestedOf(dir, host, since)
		jobs, unread = append(jobs, more...), errors.Join(unread, left)
		return err
	})
	return jobs, unread, err
}

func digestedOf(dir job.AbsPath, host string, since time.Time) (jobs []status.Job, unread, err error) {
	days, err := journal.Days(dir, host)
	if err != nil {
		return nil, nil, err
	}
	digests, err := journal.Digests(dir, host)
	if err != nil {
		return nil, nil, err
	}
	for _, day := range digests {
		if slices.Contains(days, day) || day < since.UTC().Format(time.DateOnly) {
			continue
		}
		text, err := journal.ReadDigest(dir, host, day)
		if err != nil {
			unread = errors.Join(unread, missing(err))
			continue
		}
		for line := range bytes.Lines(text) {
			var a accounting
			if json.Unmarshal(line, &a) == nil && !a.Ended.Before(since) {
				jobs = append(jobs, a.job(host))
			}
		}
	}
	return jobs, unread, nil
}

// job is the job of a digest as a report has it.
func (a accounting) job(host string) status.Job {
	j := status.Job{
		Host: host, ID: a.Job, Executor: a.Executor, Began: a.Ended.Add(-time.Duration(a.Wall * float64(time.Second))), Last: a.Ended,
		Exit: a.Exit, Code: a.Code, Waited: a.Waited, CPU: a.CPU + a.BatchCPU, BatchCPU: a.BatchCPU, Peak: a.Peak, Disk: a.Disk,
	}
	if a.UID != nil {
		j.Account = fmt.Sprintf("uid %d", *a.UID)
	}
	if a.ProjectID != 0 {
		j.Project = "project " + a.ProjectID.String()
	}
	return j
}

// Forget removes the ended and refused jobs of an account from the journal, for the
// account that has the journal. Live jobs have to end first: what they still append
// would be a trace again.
func Forget(w io.Writer, dir job.AbsPath, account job.Username) error {
	name := account.String()
	lives, err := liveJobs(dir, func(r journal.Record) bool {
		granted, _ := r.Find(journal.Granted)
		return r.Unread != nil || granted.Context.Account == name
	})
	if err != nil {
		return err
	}
	if i := slices.IndexFunc(lives, func(r journal.Record) bool { return r.Unread != nil }); i >= 0 {
		return fmt.Errorf("cannot forget %s: %s may be one of its jobs: %w", name, title(lives[i]), lives[i].Unread)
	}
	if len(lives) > 0 {
		return fmt.Errorf("cannot forget %s: %s is live; end its jobs first: jacamar-admin stop --account %s", name, title(lives[0]), name)
	}
	p, lines := journal.Person{Account: name, Logins: map[string]bool{}}, 0
	if err := (Journals{dir}).each(p.LoginsOf); err != nil {
		return err
	}
	err = Journals{dir}.each(func(dir job.AbsPath, host string) error {
		n, err := journal.Forget(dir, host, p)
		lines += n
		return err
	})
	if err != nil {
		return err
	}
	if lines == 0 {
		_, err = fmt.Fprintf(w, "the journal has no ended or refused job of %s: nothing to do\n", name)
		return err
	}
	_, err = fmt.Fprintf(w, "removed %d lines about %s. Digests have the number of the account alone; the operator's log is not changed.\n", lines, name)
	return err
}
