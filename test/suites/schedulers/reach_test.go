package schedulers

import (
	"encoding/json"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// realName runs the suite over the scheduler that is installed here: its programs
// on PATH, its variables in the environment. The accounts of the suite must be
// able to submit to it.
var realName = flag.String("real", "", "run over an installed scheduler: flux, lsf, pbs or sge")

func installed(t *testing.T, kind string) cluster {
	t.Helper()
	d, ok := schedulerCases()[kind]
	if !ok {
		t.Fatalf("-real=%s is none of the schedulers here", kind)
	}
	program, err := exec.LookPath(d.submit)
	if err != nil {
		t.Skipf("-real=%s: %v", kind, err)
	}
	c := cluster{schedulerCase: d, kind: kind, bin: filepath.Dir(program)}
	for _, name := range d.confs {
		if v, ok := os.LookupEnv(name); ok {
			c.env = append(c.env, name+"="+v)
		}
	}
	if kind == "pbs" {
		c.needHistory(t)
	}
	return c
}

// needHistory skips over a PBS without history: its jobs cannot be counted. One with
// history reports more than the fake, which has none.
func (c *cluster) needHistory(t *testing.T) {
	t.Helper()
	out, _ := exec.Command(filepath.Join(c.bin, "qmgr"), "-c", "print server").Output()
	if !strings.Contains(string(out), "job_history_enable = True") {
		t.Skip("-real=pbs: needs job_history_enable, by which submissions are counted")
	}
	c.records, c.limitTexts = true, []string{"longer than its walltime", "Exit_status=-29"}
}

// played lists the jobs of a fake.
func (c cluster) played(t *testing.T, name string, all bool) []row {
	t.Helper()
	jobs, err := c.fake.Jobs()
	if err != nil {
		t.Fatal(err)
	}
	var rows []row
	for _, j := range jobs {
		if j.Name == name && (all || j.End.IsZero()) {
			rows = append(rows, row{strconv.Itoa(j.ID), j.Name, j.State})
		}
	}
	return rows
}

// listed returns an installed scheduler's jobs of a name, the running ones and those with
// a record.
func (c cluster) listed(t *testing.T, name string, all bool) (rows []row) {
	t.Helper()
	add := func(id, state string) { rows = append(rows, row{id, name, state}) }
	switch c.executor {
	case "sge":
		for part := range strings.SplitSeq(c.ask("qstat", "-xml", "-u", "*"), "<job_list") {
			if id := between(part, "<JB_job_number>", "<"); between(part, "<JB_name>", "<") == name {
				add(id, between(part, "<state>", "<"))
			}
		}
		for part := range strings.SplitSeq(c.ask("qacct", "-j", name), "\n=====") {
			if id := strings.TrimSpace(between(part, "\njobnumber", "\n")); all && id != "" && !has(rows, id) {
				state := "ENDED"
				if strings.HasPrefix(strings.TrimSpace(between(part, "\nfailed", "\n")), "100") {
					state = "CANCELLED"
				}
				add(id, state)
			}
		}
	case "flux":
		for line := range strings.Lines(c.ask("flux", "jobs", "-A", "-a", "--name="+name, "-no", "{id.f58plain}|{state}|{result}")) {
			f := strings.Split(strings.TrimSpace(line), "|")
			if len(f) == 3 && (all || f[1] != "INACTIVE") {
				add(f[0], strings.Replace(f[2], "CANCELED", "CANCELLED", 1))
			}
		}
	case "pbs":
		which := []string{"-N", name}
		if all {
			which = append(which, "-x")
		}
		for line := range strings.Lines(c.ask("qselect", which...)) {
			id := strings.TrimSpace(line)
			add(id, pbsEnd(c.ask("qstat", "-x", "-f", id)))
		}
	case "bsub":
		var list struct {
			Records []struct{ JOBID, STAT string }
		}
		_ = json.Unmarshal([]byte(c.ask("bjobs", "-a", "-u", "all", "-J", name, "-json", "-o", "jobid stat")), &list)
		for _, j := range list.Records {
			if all || (j.STAT != "DONE" && j.STAT != "EXIT") {
				add(j.JOBID, j.STAT)
			}
		}
	}
	return rows
}

// pbsEnd reports whether a job was ended, by its deletion or by a signal.
func pbsEnd(record string) string {
	for _, mark := range []string{"substate = 91\n", "Exit_status = 143\n", "Exit_status = 137\n", "Exit_status = 271\n", "Exit_status = 265\n"} {
		if strings.Contains(record, mark) {
			return "CANCELLED"
		}
	}
	return ""
}

func has(rows []row, id string) bool {
	for _, r := range rows {
		if r.id == id {
			return true
		}
	}
	return false
}

func between(text, before, after string) string {
	_, rest, ok := strings.Cut(text, before)
	if !ok {
		return ""
	}
	value, _, _ := strings.Cut(rest, after)
	return value
}

// ask runs a program that may print nothing.
func (c cluster) ask(name string, args ...string) string {
	cmd := exec.Command(filepath.Join(c.bin, name), args...)
	cmd.Env = append([]string{"PATH=/usr/bin:/bin"}, c.env...)
	out, _ := cmd.Output()
	return string(out)
}

// kill ends a job as another user would.
func (c cluster) kill(t *testing.T, id string) {
	t.Helper()
	args := []string{id}
	if c.executor == "flux" {
		if c.fake != nil {
			args = []string{c.fluxID(t, id)}
		}
		args = append([]string{"cancel"}, args...)
	}
	c.command(t, c.cancel, args...)
}

// fluxID is a fake job's id in flux's form.
func (c cluster) fluxID(t *testing.T, number string) string {
	t.Helper()
	for line := range strings.Lines(c.command(t, "flux", "jobs", "-a", "-u", "*", "-no", "{id}|{name}")) {
		id, name, _ := strings.Cut(strings.TrimSpace(line), "|")
		for _, r := range c.played(t, name, true) {
			if r.id == number {
				return id
			}
		}
	}
	t.Fatal("no job " + number)
	return ""
}

// quick reports that the waits may be short and the numbers small: the fakes share the
// engine with Slurm's, which has the long tests.
func (c cluster) quick() bool { return c.fake != nil && c.executor != "slurm" }

// many is how many jobs a test of numbers runs.
func (c cluster) many(n int) int {
	if c.quick() || testing.Short() {
		return n / 3
	}
	return n
}

// mayKillNode skips where the test may not kill a node.
func (c cluster) mayKillNode(t *testing.T) {
	t.Helper()
	if c.fake == nil && c.real == nil {
		t.Skipf("-real=%s: the test may not kill a real node", *realName)
	}
}
