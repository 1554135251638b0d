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

// ended is a job that is over, and what its script has said of itself, a line for
// each time that it ran.
type ended struct {
	result fakerunner.Result
	said   []string
	secret []string
	begun  time.Time
}

// recordScript has a script say as what it runs, before it ends with the code.
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

// run runs a job whose script ends with the code. The calls of the driver are
// started by what launch says.
func (r *harness) run(code int, launch func(stage string) []string) ended {
	r.jobs++
	said := filepath.Join(r.evidence, fmt.Sprint(r.jobs))
	secret := fmt.Sprintf("scripts-own-secret-%d-%d", os.Getpid(), r.jobs)
	job := r.site.Job()
	job.Timeout, job.Bare = time.Minute, true
	job.Raw = map[string][]byte{"build_script": fmt.Appendf(nil, recordScript, said, secret, code)}
	runner := r.site.Runner()
	runner.Judge = nil // a fault can keep cleanup from its work: the harness itself judges what is left
	runner.Hooks.Launch, runner.FinishWait = launch, 5*time.Second
	e := ended{begun: time.Now(), secret: []string{secret, job.Token}}
	for _, v := range job.Variables {
		if v.Key == site.TokenVariable {
			e.secret = append(e.secret, v.Value[strings.LastIndex(v.Value, ".")+1:])
		}
	}
	e.result = runner.Run(job)
	if text, err := os.ReadFile(said); err == nil {
		e.said = strings.Split(strings.TrimSpace(string(text)), "\n")
	}
	_ = os.Remove(said)
	return e
}
