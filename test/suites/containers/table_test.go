package containers

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"jacamar-ci/test/harness/fakerunner"
	"jacamar-ci/test/harness/site"
)

// contractCase is what a job does with an image, and must be the same with every engine
// and every executor. Its script prints values that its text does not contain, because the
// job's log shows the commands too.
type contractCase struct {
	name   string
	image  string
	script []string
	change func(*fakerunner.Job)
	// arrange changes the site for this case alone, and its job.
	arrange func(*testing.T, *rig, *fakerunner.Job)
	// code is the script's exit code, of a job that fails where it is not 0.
	code         int
	shows, hides []string
	check        func(*testing.T, *rig, fakerunner.Result)
}

// whole are scripts that run to their end.
func whole() []contractCase {
	return []contractCase{
		{name: "exit 0", image: "bb:1", script: []string{"echo answer $((6*7))"}, shows: []string{"answer 42"}},
		{name: "inside the image", image: "bb:1", script: []string{"cut -d: -f1 /etc/passwd | tr '\\n' ' '"}, shows: []string{"root app nobody"}},
		{name: "several lines", image: "bb:1", script: []string{"a=1", "b=$((a+1))", "echo sum $((a+b))"}, shows: []string{"sum 3"}},
		{name: "of a list of architectures", image: "listed:1", script: []string{"echo answer $((6*7))"}, shows: []string{"answer 42"}},
		{name: "bash", image: "group/project/bash:1", script: []string{"echo ${BASH_VERSION:+has-bash}"}, shows: []string{"\nhas-bash\n"}},
		{name: "no bash", image: "bb:1", script: []string{"echo ${BASH_VERSION:-has-none}"}, shows: []string{"\nhas-none\n"}},
		{
			name: "dash", image: "dash:1", script: []string{"echo it\\'s $((6*7))"},
			change: variable("FF_POSIXLY_CORRECT_ESCAPES", "true"), shows: []string{"it's 42"},
		},
		{name: "environment of the image", image: "bb:1", script: []string{"echo from image: $FROM_IMAGE, $PATH"}, shows: []string{"from image: yes, /usr/local/sbin:/usr/local/bin:"}},
		{
			name: "odd values in the image's environment", image: "oddenv:1",
			script: []string{`printf '<%s>\n' "$DOLLAR" "$QUOTES" "${EMPTY-none}" "$BLANKS" "$EQUALS" "$GLOB"`},
			shows:  []string{"<a$PATH$(id)`id`:$HOME>\n<'it''s \"q\" \\>\n<>\n< a  b >\n<a=b=c>\n<*>\n"},
		},
		{name: "several lines in the image's environment", image: "oddenv:1", script: []string{`echo "lines $LINES."`}, shows: []string{"\nlines one\ntwo.\n"}},
		{name: "no environment in the image", image: "noenv:1", script: []string{"echo answer $((6*7))"}, shows: []string{"answer 42"}},
		{
			name: "variables of the job", image: "bb:1", script: []string{"echo $GREETING, $CI_JOB_ID; cat $A_FILE"},
			change: func(j *fakerunner.Job) {
				j.Variables = append(j.Variables,
					fakerunner.Variable{Key: "GREETING", Value: "it's \"two\nlines\""},
					fakerunner.Variable{Key: "A_FILE", Value: "in-a-file\n", File: true, Raw: true})
			},
			shows: []string{"it's \"two lines\",", "in-a-file"},
		},
		{name: "standard input is empty", image: "bb:1", script: []string{"cat; echo read $((6*7))"}, shows: []string{"read 42"}},
		{name: "standard error", image: "bb:1", script: []string{"echo error $((6*7)) >&2"}, shows: []string{"error 42"}},
		{
			name: "home of the image", image: "bb:1", script: []string{"cd; pwd; echo text >own; echo home is $HOME"},
			shows: []string{"home is /root"}, hides: []string{"home is /home"},
		},
		{name: "entrypoint", image: "entry:1", script: []string{"echo from entrypoint: $FROM_ENTRYPOINT"}, shows: []string{"entrypoint-ran", "from entrypoint: yes"}},
		{
			name: "entrypoint that stays", image: "fork:1", script: []string{"echo answer $((6*7)); exit 7"}, code: 7,
			shows: []string{"answer 42"},
		},
		{
			name: "entrypoint of the job", image: "swallow:1", script: []string{"echo from job: $FROM_JOB"},
			change: func(j *fakerunner.Job) { j.ImageEntrypoint = []string{"/bin/env", "FROM_JOB=a b"} }, shows: []string{"from job: a b"},
		},
		{
			name: "no entrypoint by the job", image: "swallow:1", script: []string{"echo answer $((6*7))"},
			change: func(j *fakerunner.Job) { j.ImageEntrypoint = []string{""} }, shows: []string{"answer 42"}, hides: []string{"swallowed"},
		},
		{name: "working directory is not there", image: "workdir:1", script: []string{"pwd"}, shows: []string{"/builds/"}},
		{
			name: "user of the image", image: "user:1", script: []string{"echo ids $(id -u):$(id -g) $HOME; echo text >made"},
			shows: []string{"ids 1000:1000 /home/app"}, check: madeByAccount,
		},
		{name: "numeric user of the image", image: "userid:1", script: []string{"echo ids $(id -u):$(id -g); echo text >made"}, shows: []string{"ids 1000:1000"}, check: madeByAccount},
		{
			name: "user of the job", image: "bb:1", script: []string{"echo ids $(id -u); echo text >made"},
			change: func(j *fakerunner.Job) { j.ImageUser = "app" }, shows: []string{"ids 1000"}, check: madeByAccount,
		},
		{name: "owner of files", image: "bb:1", script: []string{"echo text >made; echo ids $(id -u)"}, shows: []string{"ids 0"}, check: madeByAccount},
		{
			name: "service", image: "bb:1", script: []string{"wget -q -O - http://db:8080/; wget -q -O - http://127.0.0.1-web:8080/; echo count $((6*7))"},
			change: withService("web:1", "db"), shows: []string{"web-service\nweb-service\ncount 42", "network of their own"},
		},
		{name: "many layers with whiteouts", image: "layers:1", script: []string{"echo left $(ls /layers) $(ls /opaque/3)."}, shows: []string{"left 38 ."}},
		{name: "links in the image", image: "links:1", script: []string{"head -n 1 /absolute; stat -c '%a' /setuid"}, shows: []string{"root:x:0:0"}},
	}
}

// codes are scripts that end with a code of their own, also with those that engines use.
func codes() (cases []contractCase) {
	for _, code := range []int{1, 7, 64, 125, 126, 127, 137, 255} {
		cases = append(cases, contractCase{
			name: fmt.Sprintf("exit %d", code), image: "bb:1", script: []string{fmt.Sprintf("echo before; exit %d", code)}, code: code,
		})
	}
	return append(cases,
		contractCase{name: "command that is not there", image: "bb:1", script: []string{"no-such-command-here"}, code: 127, shows: []string{"not found"}},
		contractCase{name: "killed script", image: "bb:1", script: []string{"echo before; kill -9 $$; sleep 5"}, code: 137},
		contractCase{name: "killed command", image: "bb:1", script: []string{"sh -c 'kill -TERM $$'"}, code: 143},
	)
}

// refused are images with which no script runs: the job fails with one line.
func refused() []contractCase {
	none := []string{"echo ran $((6*7))"}
	never := []string{"ran 42"}
	return []contractCase{
		{name: "entrypoint that swallows the script", image: "swallow:1", script: none, code: 1, shows: []string{"entrypoint", "exit code 0", "without starting the job's script"}, hides: never},
		{name: "entrypoint that fails", image: "fail:1", script: none, code: 1, shows: []string{"the entrypoint failed", "exit code 41"}, hides: never},
		{name: "entrypoint that is not there", image: "noexec:1", script: none, code: 1, shows: []string{"/no/such/entry"}, hides: never},
		{name: "program as entrypoint", image: "tool:1", script: none, code: 1, hides: never},
		{name: "no shell", image: "noshell:1", script: none, code: 1, shows: []string{"shell"}, hides: never},
		{name: "unknown user", image: "userunknown:1", script: none, code: 1, shows: []string{"stranger"}, hides: never},
		{name: "other architecture", image: "foreign:1", script: none, code: 1, shows: []string{"s390x"}, hides: never},
		{name: "list without this architecture", image: "foreignlist:1", script: none, code: 1, shows: []string{"arch"}, hides: never},
		{name: "not there", image: "nothing/here:1", script: none, code: 1, shows: []string{"nothing/here:1"}, hides: never},
		{name: "dash without the flag", image: "dash:1", script: none, code: 2, shows: []string{"FF_POSIXLY_CORRECT_ESCAPES"}, hides: never},
	}
}

func variable(key, value string) func(*fakerunner.Job) {
	return func(j *fakerunner.Job) { *j = site.WithVariable(*j, key, value) }
}

// withService adds a service with an image of the registry of the job's own.
func withService(image, alias string) func(*fakerunner.Job) {
	return func(j *fakerunner.Job) {
		registry, _, _ := strings.Cut(j.Image, "/")
		j.Services = append(j.Services, fakerunner.Service{Name: registry + "/" + image, Alias: alias})
	}
}

// madeByAccount requires that the file "made" in the project belongs to the account.
func madeByAccount(t *testing.T, r *rig, result fakerunner.Result) {
	t.Helper()
	a, err := stat(filepath.Join(result.ProjectDir, "made"))
	if err != nil || a.Uid != r.site.Account.UID || a.Gid != r.site.Account.GID {
		t.Errorf("the file belongs to %+v, want the account: %v", a, err)
	}
}

func stat(path string) (s syscall.Stat_t, err error) {
	err = syscall.Lstat(path, &s)
	return s, err
}

// The contract: the same job has the same result with every engine and executor.
func TestContract(t *testing.T) {
	over(t, func(t *testing.T, r *rig) { r.contract(t) })
}

func (r *rig) contract(t *testing.T) {
	for _, c := range slices.Concat(whole(), codes(), refused(), withModules(), withRunnerImage()) {
		if !r.brief || slices.Contains(sample, c.name) || r.executor == onShell.name && c.name == sampleOnHost {
			t.Run(c.name, func(t *testing.T) { c.play(t, r) })
		}
	}
}

// sample are the cases of a brief run.
var sample = []string{
	"exit 0", "exit 127", "killed script", "entrypoint", "numeric user of the image", "entrypoint that swallows the script", "service",
	"module of the job",
}

// sampleOnHost is the one more of a brief run on this host, where the runner's own scripts
// always run.
const sampleOnHost = "image for the runner's scripts"

func (c contractCase) play(t *testing.T, r *rig) {
	if why := r.engine.unlike[c.name]; why != "" {
		t.Skipf("not with %s: %s", r.engine.name, why)
	}
	j := r.job(c.image, c.script...)
	j.Bare = true
	if c.change != nil {
		c.change(&j)
	}
	if c.arrange != nil {
		defer r.reconfigure(t)
		c.arrange(t, r, &j)
	}
	result := r.run(t, j)
	outcome := fakerunner.Success
	if c.code != 0 {
		outcome = fakerunner.ScriptFailure
	}
	site.Want(t, result, outcome, c.code, c.shows...)
	for _, text := range c.hides {
		if strings.Contains(result.Trace, text) {
			t.Errorf("%q is in the job log:\n%s", text, result.Trace)
		}
	}
	if c.check != nil {
		c.check(t, r, result)
	}
}

// A job of all stages has its sources inside, and a second one finds the image.
func TestAllStages(t *testing.T) {
	over(t, func(t *testing.T, r *rig) {
		if r.brief && r.engine.name != "podman" {
			r.only(t)
		}
		repo, err := r.site.GitLab.AddRepository("group/project", repository(t))
		if err != nil {
			t.Fatal(err)
		}
		layer := "/v2/bb/blobs/" + r.all["bb:1"].Blobs[0].Digest
		before := r.own.Requests("GET", layer)
		shows := []string{"from-the-repository", "\nmade\n", "fresh 42", "status success"}
		if r.engine.name != "apptainer" { // its files do not have the digest
			shows = append(shows, "@sha256:")
		}
		for range 2 {
			j := site.WithSources(r.job("bb:1", "cat README; echo made >made; echo left >/left"), repo)
			j.AfterScript = []string{"cat made; ls /left || echo fresh $((6*7)); echo status $CI_JOB_STATUS"}
			result := r.run(t, j)
			site.Want(t, result, fakerunner.Success, 0, shows...)
			for _, c := range result.Calls {
				if c.Status != 0 {
					t.Errorf("stage %s: status %d: %s", c.Stage, c.Status, c.Failure)
				}
			}
		}
		if n := r.own.Requests("GET", layer) - before; n != 1 {
			t.Errorf("the layer was fetched %d times, want once", n)
		}
	})
}

// repository is a local git repository with one file.
func repository(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "README"), []byte("from-the-repository\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"init", "--quiet"}, {"add", "README"}, {"-c", "user.name=a", "-c", "user.email=a@b", "commit", "--quiet", "-m", "one"}} {
		if out, err := exec.Command("git", append([]string{"-C", dir}, args...)...).CombinedOutput(); err != nil {
			t.Fatalf("git %v: %v: %s", args, err, out)
		}
	}
	return dir
}
