package auth

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"jacamar-ci/internal/auth/internal/idtoken"
	"jacamar-ci/internal/auth/internal/statedir"
	"jacamar-ci/internal/auth/internal/thread"
	"jacamar-ci/internal/driver"
	"jacamar-ci/internal/ipc"
	"jacamar-ci/internal/job"
	"jacamar-ci/internal/journal"
	"jacamar-ci/internal/jwks"
	"jacamar-ci/test/harness/fakerunner"
	"jacamar-ci/test/harness/fakerunner/gitlab"
	"jacamar-ci/test/harness/standin"
	"jacamar-ci/test/harness/testutil"
)

// Whole stages run here in processes of their own, as the runner starts them: the test program
// stands in for jacamar-auth and for jacamar. A mount namespace of each has accounts of these
// tests instead of the machine's.

func TestMain(m *testing.M) {
	switch filepath.Base(os.Args[0]) {
	case "enter":
		fmt.Fprintln(os.Stderr, "enter:", enterPlace(os.Args[1], os.Args[2:]))
		os.Exit(99)
	case "jacamar-auth":
		runtime.GOMAXPROCS(1)
		os.Exit(asAuth(os.Args[1], os.Args[2:]))
	case "jacamar":
		os.Exit(standin.Jacamar(os.Args[0]))
	}
	if len(os.Args) == 2 && strings.HasPrefix(os.Args[1], siteURL) { // jacamar-keys
		_, err := io.Copy(os.Stdout, os.Stdin)
		fmt.Fprintln(os.Stderr, err)
		return
	}
	os.Exit(m.Run())
}

// enterPlace puts the files of a place over the machine's, in the mount namespace of this
// process, and executes a command there.
func enterPlace(dir string, argv []string) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return err
	}
	over := map[string]string{filepath.Join(dir, "jacamar"): self, filepath.Join(dir, "jacamar-auth"): self}
	for _, to := range []string{"/etc/passwd", "/etc/group", "/etc/shadow", "/etc/shells", "/usr/bin/getent"} {
		if from := filepath.Join(dir, filepath.Base(to)); exists(from) {
			over[to] = from
		}
	}
	for to, from := range over {
		if err := unix.Mount(from, to, "", unix.MS_BIND, ""); err != nil {
			return fmt.Errorf("%s: %w", to, err)
		}
	}
	path, err := exec.LookPath(argv[0])
	if err == nil {
		err = placeSockets(dir)
	}
	if err != nil {
		return err
	}
	return syscall.Exec(path, argv, os.Environ())
}

// placeSockets puts the sockets of a place in that of the machine's log services: in new
// directories /dev and /run, as the machine may have none.
func placeSockets(dir string) error {
	if exists(filepath.Join(dir, "socket")) {
		err := errors.Join(unix.Mount("tmpfs", "/run", "tmpfs", 0, ""), os.MkdirAll("/run/systemd/journal", 0o755), os.WriteFile("/run/systemd/journal/socket", nil, 0o666),
			unix.Mount(filepath.Join(dir, "socket"), "/run/systemd/journal/socket", "", unix.MS_BIND, ""))
		if err != nil {
			return err
		}
	}
	if !exists(filepath.Join(dir, "log")) {
		return nil
	}
	dev := filepath.Join(dir, "dev")
	err := errors.Join(os.MkdirAll(dev, 0o755), unix.Mount("tmpfs", dev, "tmpfs", 0, "mode=755"))
	for _, name := range []string{"/dev/null", "/dev/zero", "/dev/urandom", filepath.Join(dir, "log")} {
		to := filepath.Join(dev, filepath.Base(name))
		err = errors.Join(err, os.WriteFile(to, nil, 0o666), unix.Mount(name, to, "", unix.MS_BIND, ""))
	}
	return errors.Join(err, unix.Mount(dev, "/dev", "", unix.MS_MOVE, ""))
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

// asAuth is what jacamar-auth does with its arguments.
func asAuth(what string, args []string) int {
	call := driver.Call{Stage: job.Stage(what), Configuration: args[0], Script: args[1], SubStage: args[2]}
	switch what {
	case "reap":
		key, err := journal.ParseKey(args[1])
		if err != nil {
			return 98
		}
		return Reap(driver.Call{Stage: job.Cleanup, Configuration: args[0]}, key)
	case "misused":
		return Misused(driver.Call{}, errors.New("unknown option --what"))
	case "open-config":
		call.Stage, call.Unobfuscated = job.Config, true
	case "administer":
		return asAdmin(args[0])
	}
	return Main(call)
}

// The accounts of a place.
const (
	aliceUID, svcUID, helperUID = 5001, 5991, 5990

	passwdFile = `root:x:0:0:root:/root:/bin/bash
nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin
alice:x:5001:5001::/home/alice:/bin/bash
carol:x:5003:5003::/home/carol:/bin/bash
svc:x:5991:5991::/home/svc:/bin/bash
jci-helper:x:5990:5990::/nonexistent:/usr/sbin/nologin
`
	groupFile = "root:x:0:\nnogroup:x:65534:\nalice:x:5001:\ncarol:x:5003:\nsvc:x:5991:\njci-helper:x:5990:\nci:x:6000:alice\ndup:x:6001:\ndup:x:6002:alice\n"
)

// place is an installation with one job of alice's.
type place struct {
	t   *testing.T
	dir string
	// service is the account of the runner; capable gives it the capabilities of
	// jacamar-auth.
	service int
	capable bool
	config  map[string]string
	job     fakerunner.Job
	claims  gitlab.Claims
	// person calls jacamar-auth, and not the runner.
	person bool
	// env is added to the environment of each stage, and state is that of the config stage.
	env   []string
	state string
}

// signingKey is made once, as it takes a while.
var signingKey = sync.OnceValues(func() (*gitlab.Key, error) { return gitlab.NewKey(2048) })

const siteURL = "https://gitlab.example.org"

func newPlace(t *testing.T, change ...func(*place)) *place {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("only root can enter a mount namespace")
	}
	dir, err := os.MkdirTemp("/srv", "jacamar-place-")
	testutil.Must(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	p := &place{t: t, dir: dir, config: map[string]string{
		"general.executor": `"shell"`, "general.data_dir": `"$HOME"`, "general.gitlab_server": quoted(siteURL), "general.jwt_env_variable": `"SITE_ID_TOKEN"`,
		"general.state_dir": quoted(filepath.Join(dir, "state")), "general.kill_timeout": `"5s"`,
		"auth.downscope": `"setuid"`, "auth.helper_account": `"jci-helper"`, "auth.logging.level": `"debug"`,
	}}
	p.job = fakerunner.Job{
		ID: 7, PipelineID: 42, UserID: 70, Token: "glcbt-x", Project: fakerunner.Project{ID: 12, FullPath: "group/project", NamespaceID: 3},
		ServerURL: siteURL, Git: fakerunner.Git{RepoURL: siteURL + "/group/project.git", Ref: "main", RefType: "branch"},
	}
	p.claims = (&gitlab.Server{URL: siteURL}).Claims(p.job, gitlab.User{ID: 70, Login: "alice"})
	for _, f := range change {
		f(p)
	}
	p.install()
	return p
}

func quoted(text string) string { return fmt.Sprintf("%q", text) }

// install writes the files of the place. State belongs to the helper account where the
// service has capabilities.
func (p *place) install() {
	t, keeper := p.t, p.service
	if p.capable {
		keeper = helperUID
	}
	testutil.Must(t, os.Chmod(p.dir, 0o755), os.Mkdir(p.path("state"), 0o700), os.Chown(p.path("state"), keeper, keeper))
	p.jacamar().Prepare(t)
	for name, text := range map[string]string{
		"passwd": passwdFile, "group": groupFile, "shadow": shadowOf(passwdFile), "jacamar": "", "jacamar-auth": "", "script": "echo hello\n",
	} {
		p.write(name, text)
	}
	testutil.Must(t, os.Chown(p.path("script"), p.service, -1))
	p.answers(job.Config, ipc.Result{Dirs: ipc.Dirs{
		Base: p.abs("base"), Builds: p.abs("base/builds"), Cache: p.abs("base/cache"), Scripts: p.abs("base/scripts/runner/7"),
	}})
	p.configure()
	p.keepKeys(keeper)
	p.respond()
}

// shadowOf has an entry that is neither locked nor expired for each account.
func shadowOf(passwd string) (text string) {
	for line := range strings.Lines(passwd) {
		name, _, _ := strings.Cut(line, ":")
		text += name + ":$6$x$y:19000:0:99999:7:::\n"
	}
	return text
}

func (p *place) path(name string) string { return filepath.Join(p.dir, name) }

func (p *place) abs(name string) job.AbsPath { return testutil.AbsPath(p.t, p.path(name)) }

func (p *place) write(name, text string) {
	p.t.Helper()
	testutil.Must(p.t, os.WriteFile(p.path(name), []byte(text), 0o644))
}

func (p *place) program(name, text string) {
	p.t.Helper()
	testutil.Must(p.t, testutil.WriteProgram(p.path(name), []byte(text), 0o755))
}

// answers sets the result of jacamar in a stage.
func (p *place) answers(stage job.Stage, result ipc.Result) {
	p.t.Helper()
	p.jacamar().Answer(p.t, stage, result)
}

func (p *place) jacamar() standin.Dir { return standin.Dir(p.dir) }

func (p *place) configure() {
	var text strings.Builder
	for _, key := range slices.Sorted(maps.Keys(p.config)) {
		fmt.Fprintf(&text, "%s = %s\n", key, p.config[key])
	}
	p.write("jacamar.toml", text.String())
}

// keepKeys caches the key set of GitLab, so that no stage fetches it. The file of authorities
// is the standard input of jacamar-keys, which here returns it.
func (p *place) keepKeys(keeper int) {
	t := p.t
	key, err := signingKey()
	testutil.Must(t, err)
	var answer strings.Builder
	testutil.Must(t, jwks.Result{Connected: true, Secured: true, Set: gitlab.Set(key.JWK())}.Write(&answer))
	p.write("keys.json", answer.String())
	dir, err := statedir.New(p.abs("state"), &thread.IDs{UID: uint32(keeper), GID: uint32(keeper)})
	testutil.Must(t, err)
	server, err := jwks.ParseServer(siteURL)
	testutil.Must(t, err)
	program := func() (job.AbsPath, error) { return job.ParseAbsPath("/proc/self/exe") }
	keys, err := idtoken.NewKeys(idtoken.KeySettings{GitLab: server, CAFile: p.abs("keys.json"), State: dir, Program: program})
	testutil.Must(t, err)
	_, err = keys.Refresh(t.Context(), time.Now(), false)
	testutil.Must(t, err)
}

// respond writes the job response, with the token of the job's claims.
func (p *place) respond() {
	key, err := signingKey()
	testutil.Must(p.t, err)
	j := p.job
	if p.claims != nil {
		token := gitlab.Sign(key.Header(), p.claims, gitlab.RS256(key))
		j.Variables = append(slices.Clone(j.Variables), fakerunner.Variable{Key: "SITE_ID_TOKEN", Value: token, Masked: true, Raw: true})
	}
	p.write("response", string(j.Response()))
	testutil.Must(p.t, os.Chown(p.path("response"), p.service, -1))
}

// outcome is how a call ended.
type outcome struct {
	status    int
	out, errs string
}

// The exit statuses that the runner expects.
const (
	buildFailed  = 11
	systemFailed = 12
)

// run makes one call of a stage. The state of a config stage is passed to the later ones.
func (p *place) run(stage job.Stage) outcome {
	p.t.Helper()
	p.jacamar().Forget(p.t, stage)
	configuration, script, sub := p.path("jacamar.toml"), "", ""
	if stage == job.Run {
		script, sub = p.path("script"), "step_script"
	}
	if stage == job.Prepare || stage == job.Run {
		configuration = ""
	}
	o := p.call(string(stage), configuration, script, sub)
	if stage == job.Config && o.status == 0 {
		p.state = p.stateOf(o.out)
	}
	return o
}

// stateOf is the state in the answer of a config stage.
func (p *place) stateOf(answer string) string {
	var a struct {
		Env map[string]string `json:"job_env"`
	}
	if err := json.Unmarshal([]byte(answer), &a); err != nil || a.Env["JACAMAR_CI_STATE"] == "" {
		p.t.Fatalf("the answer of config has no state: %v: %s", err, answer)
	}
	return a.Env["JACAMAR_CI_STATE"]
}

// command is a call of jacamar-auth as the account of the service.
func (p *place) command(args ...string) *exec.Cmd {
	self, err := os.Executable()
	testutil.Must(p.t, err)
	argv := append([]string{p.path("jacamar-auth")}, args...)
	if p.service != 0 {
		as := []string{"setpriv", fmt.Sprintf("--reuid=%d", p.service), fmt.Sprintf("--regid=%d", p.service), "--clear-groups"}
		if p.capable {
			as = append(as, "--inh-caps=-all,+setuid,+setgid", "--ambient-caps=-all,+setuid,+setgid")
		}
		argv = append(as, argv...)
	}
	cmd := exec.Command(self)
	cmd.Args = append([]string{"enter", p.dir}, argv...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: unix.CLONE_NEWNS, Setsid: true}
	cmd.Env = append([]string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "JOB_RESPONSE_FILE=" + p.path("response"), fmt.Sprintf("SYSTEM_FAILURE_EXIT_CODE=%d", systemFailed)}, p.env...)
	if !p.person {
		cmd.Env = append(cmd.Env, fmt.Sprintf("BUILD_FAILURE_EXIT_CODE=%d", buildFailed))
	}
	if p.state != "" {
		cmd.Env = append(cmd.Env, "JACAMAR_CI_STATE="+p.state)
	}
	return cmd
}

func (p *place) call(args ...string) (o outcome) {
	p.t.Helper()
	cmd := p.command(args...)
	var out, errs strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &errs
	testutil.Must(p.t, cmd.Start())
	limit := time.AfterFunc(2*time.Minute, func() { _ = cmd.Process.Kill() })
	defer limit.Stop()
	if err := cmd.Wait(); err != nil {
		if exit := (*exec.ExitError)(nil); !errors.As(err, &exit) {
			p.t.Fatal(err)
		}
	}
	return outcome{cmd.ProcessState.ExitCode(), out.String(), errs.String()}
}

// sent is what jacamar received in a stage; ok is false where it did not run.
func (p *place) sent(stage job.Stage) (s standin.Sent, ok bool) {
	p.t.Helper()
	return p.jacamar().Sent(p.t, stage)
}

// records are those of the operator's log.
func (p *place) records() (all []map[string]any) {
	p.t.Helper()
	text, err := os.ReadFile(p.path("state/operator.log"))
	if err != nil {
		return nil
	}
	for line := range strings.Lines(string(text)) {
		var r map[string]any
		testutil.Must(p.t, json.Unmarshal([]byte(line), &r))
		all = append(all, r)
	}
	return all
}

// lives are the live jobs of the journal.
func (p *place) lives() []journal.Record {
	p.t.Helper()
	lives, err := journal.LiveJobs(p.abs("state/journal"), hostName(p.t))
	testutil.Must(p.t, err)
	return lives
}

// mark sets a mark of administrators.
func (p *place) mark(name journal.MarkName, m journal.Mark) {
	p.t.Helper()
	testutil.Must(p.t, os.MkdirAll(p.path("state/journal"), 0o700))
	testutil.Must(p.t, journal.SetMark(p.abs("state/journal"), name, m))
}
