package ending

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"jacamar-ci/test/harness/fakerunner"
	"jacamar-ci/test/harness/site"
)

// storms are arguments of testdata/storm.c. On a busy machine a chain takes long, as each
// of its processes waits to run.
func storms() []string {
	all := []string{"comets 16", "sessions 16", "siblings 16", "bomb 1", "headless 8"}
	if testing.Short() {
		return append(all, "chain 200", "hidden 100")
	}
	return append(all, "chain 2000", "hidden 300")
}

// stormLimit is how long a storm may take to end on a busy machine, from the event
// that ends the job on. On an idle one it is some tenths of a second.
const stormLimit = 25 * time.Second

// TestStormsAreEnded: K14, jobs start processes faster than /proc can be read, in long
// chains and hidden, and are ended in each way.
func TestStormsAreEnded(t *testing.T) {
	program := compiled(t, "storm")
	for nth, d := range site.Deployments() {
		t.Run(d.Name, func(t *testing.T) {
			s := d.Open(t, quick)
			for _, p := range []proc{open, invisible} {
				at := under(t, s, p)
				for i, storm := range storms() {
					for _, b := range stormEvents(p) {
						if testing.Short() && b.name == "success" && i%len(site.Deployments()) != nth {
							continue // jacamar waits more than a second for what is left
						}
						at.storm(t, b, program, storm)
					}
				}
			}
		})
	}
}

// stormEvents are those to try with a kind of /proc. Where all processes are hidden only a
// killed jacamar makes a difference.
func stormEvents(p proc) []endEvent {
	all := []endEvent{
		{"kill -9 $PPID", "while :; do wait; done\n", seen},
		{"cancel", "trap '' TERM\nwhile :; do sleep 1; done\n", cancel},
		{"timeout", "trap '' TERM\nwhile :; do sleep 1; done\n", nil},
		{"success", "exit 0\n", nil},
	}
	switch {
	case p == invisible:
		return all[:1]
	case testing.Short():
		return []endEvent{all[0], all[3]}
	}
	return all
}

func (p place) storm(t *testing.T, b endEvent, program, storm string) {
	t.Helper()
	name := fmt.Sprintf("%s, %s, %s", p.proc, storm, b.name)
	b.script = whenSeen + fmt.Sprintf("exec 9< <(%s %s)\nread -r line <&9\necho \"$line, under way below $PPID.\"\n%s", program, storm, b.script)
	var ended time.Time
	r := p.runner()
	r.Hooks.Ended = func(c fakerunner.Call) {
		if c.Stage == "build_script" {
			ended = time.Now()
		}
	}
	job := p.site.Job()
	job.Raw = map[string][]byte{"build_script": []byte(b.script)}
	if b.name == "timeout" {
		job = site.WithVariable(job, "RUNNER_SCRIPT_TIMEOUT", "5s")
	}
	e := r.Start(job)
	jacamar, err := underWay(e, 4*limit)
	begun := time.Now()
	if err != nil {
		t.Errorf("%s: %v; the log:\n%s", name, err, e.Trace())
		e.Abort()
	} else if b.act != nil {
		if err := b.act(e, jacamar); err != nil {
			t.Errorf("%s: %v", name, err)
			e.Abort()
		}
	}
	res := e.Wait()
	took := ended.Sub(begun)
	t.Logf("%s: %v", name, took)
	if took > stormLimit {
		t.Errorf("%s: it ended after %v", name, took)
	}
	if ok := res.Outcome == fakerunner.Success; ok != (b.name == "success") {
		t.Errorf("%s: ended as %s; the log:\n%s", name, res.Outcome, res.Trace)
	}
	if strings.Contains(res.Trace, "could not be ended") {
		t.Errorf("%s: the log:\n%s", name, res.Trace)
	}
	if c, _ := res.Call("cleanup"); c.Err != nil {
		t.Errorf("%s: the cleanup failed: %s", name, c.Stderr)
	}
	site.NoProcess(t, 20*time.Second, ours(p.site))
}
