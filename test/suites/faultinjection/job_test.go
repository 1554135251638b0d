package faultinjection

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"jacamar-ci/test/harness/fakerunner"
	"jacamar-ci/test/harness/site"
)

// ended is a job that is over, and what its script has recorded of itself, a line for
// each time that it ran.
type ended struct {
	result   fakerunner.Result
	recorded []string
	secret   []string
	begun    time.Time
}

// recordScript records its own process attributes before it ends with the code.
const recordScript = `{
while read -r name value; do
case $name in Uid:|Gid:|Groups:|Cap???:|NoNewPrivs:|Seccomp:|SigBlk:|SigIgn:) printf '%%s %%s;' $name "${value//	/ }";; esac
done </proc/self/status
umask
} >>%s
: %s
echo the last words
exit %d
`

// run runs a job whose script ends with the code. launch chooses how the calls of the
// driver are started.
func (r *harness) run(code int, launch func(stage string) []string) ended {
	r.jobs++
	record := filepath.Join(r.evidence, fmt.Sprint(r.jobs))
	secret := fmt.Sprintf("scripts-own-secret-%d-%d", os.Getpid(), r.jobs)
	job := r.site.Job()
	job.Timeout, job.Bare = time.Minute, true
	job.Raw = map[string][]byte{"build_script": fmt.Appendf(nil, recordScript, record, secret, code)}
	r.contained.prepare(&job, r.jobs)
	runner := r.site.Runner()
	runner.Judge = nil // a fault can prevent cleanup: the harness itself checks what is left
	runner.Hooks.Launch, runner.FinishWait = launch, 5*time.Second
	e := ended{begun: time.Now(), secret: []string{secret, job.Token}}
	for _, v := range job.Variables {
		if v.Key == site.TokenVariable {
			e.secret = append(e.secret, v.Value[strings.LastIndex(v.Value, ".")+1:])
		}
	}
	e.result = runner.Run(job)
	if text, err := os.ReadFile(record); err == nil {
		e.recorded = strings.Split(strings.TrimSpace(string(text)), "\n")
	}
	_ = os.Remove(record)
	return e
}
