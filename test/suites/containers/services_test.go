package containers

import (
	"context"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"

	"jacamar-ci/internal/proctree"
	"jacamar-ci/test/harness/fakerunner"
	"jacamar-ci/test/harness/site"
)

// service is one of the suite's images as a service.
func (r *rig) service(image, alias string) fakerunner.Service {
	return fakerunner.Service{Name: r.own.Host + "/" + image, Alias: alias}
}

// shellService is a service that runs commands of a shell.
func (r *rig) shellService(alias string, commands ...string) fakerunner.Service {
	s := r.service("bb:1", alias)
	s.Command = []string{"sh", "-c", lines(commands...)}
	return s
}

// listening is a command that serves files of a directory on a port, as the service's only
// process.
const listening = "mkdir /www; echo \"$TEXT\" >/www/text; exec httpd -f -p "

// onPort sets the port for which the script waits.
func onPort(s fakerunner.Service, port string, more ...fakerunner.Variable) fakerunner.Service {
	s.Variables = append(more, fakerunner.Variable{Key: "HEALTHCHECK_TCP_PORT", Value: port})
	return s
}

// Services that do their work, and those that do not: the script runs all the same.
func TestServices(t *testing.T) {
	onHost(t, func(t *testing.T, r *rig) {
		for i, c := range r.serviceCases() {
			if testing.Short() && i%2 > 0 && c.code == 0 {
				continue
			}
			t.Run(c.name, func(t *testing.T) { c.play(t, r) })
		}
	})
}

// A service that does not listen is a warning with its log; the script runs, and its exit
// code is the job's. The site's limit grows until the service has printed its log within
// it: that takes long on a busy machine.
func TestServiceThatNeverListens(t *testing.T) {
	for _, x := range executors()[:2] {
		if x.name != onShell.name && testing.Short() {
			continue
		}
		t.Run(x.name, func(t *testing.T) {
			r := openRig(t, engines()[0], x)
			j := r.job("bb:1", "echo ran $((6*7)); exit 7")
			j.Bare, j.Services = true, []fakerunner.Service{onPort(r.shellService("deaf", "trap '' TERM", "echo its-log $((6*7))", "while :; do sleep 1; done"), "8081")}
			for wait := time.Second; wait < 2*time.Minute; wait *= 2 {
				r.reconfigure(t, func(c site.Config) { c.Set("container", "services_wait", wait.String()) })
				result := r.run(t, j)
				site.Want(t, result, fakerunner.ScriptFailure, 7, "WARNING: the service deaf probably did not start: it did not listen on the port 8081 within "+wait.String(), "ran 42")
				if !strings.Contains(result.Trace, "it has printed nothing") {
					site.Want(t, result, fakerunner.ScriptFailure, 7, "; the end of its log:", "    its-log 42\n")
					return
				}
			}
			t.Error("the service has printed nothing in two minutes")
		})
	}
}

func (r *rig) serviceCases() []contractCase {
	with := func(services ...fakerunner.Service) func(*fakerunner.Job) {
		return func(j *fakerunner.Job) { j.Services = services }
	}
	own := r.service("swallow:1", "own")
	own.Entrypoint, own.Command = []string{"/bin/sh", "-c"}, []string{listening + "8081 -h /www"}
	own = onPort(own, "8081", fakerunner.Variable{Key: "TEXT", Value: "own-$OPEN-$HIDDEN"}, fakerunner.Variable{Key: "PATH", Value: "/nowhere"})
	return []contractCase{
		{
			name: "two, one by the other", image: "bb:1", script: []string{"wget -q -O - http://first:8080/", "wget -q -O - http://own:8081/text"},
			change: func(j *fakerunner.Job) {
				j.Services = []fakerunner.Service{r.service("web:1", "first, other"), own}
				j.Variables = append(j.Variables, fakerunner.Variable{Key: "OPEN", Value: "open", Public: true}, fakerunner.Variable{Key: "HIDDEN", Value: "hidden"})
			},
			shows: []string{"\nweb-service\n", "\nown-open-hidden\n", "the service own does not get the variables PATH"},
		},
		{
			name: "public variables of the job", image: "bb:1", script: []string{"wget -q -O - http://own:8081/text"},
			change: func(j *fakerunner.Job) {
				s := r.shellService("own", "TEXT=\"$OPEN and ${HIDDEN:-nothing}, $FROM_IMAGE\"", listening+"8081 -h /www")
				j.Services = []fakerunner.Service{onPort(s, "8081")}
				j.Variables = append(j.Variables, fakerunner.Variable{Key: "OPEN", Value: "open", Public: true}, fakerunner.Variable{Key: "HIDDEN", Value: "hidden"})
			},
			shows: []string{"open and nothing, yes"},
		},
		{
			name: "ends at once", image: "bb:1", script: []string{"echo ran $((6*7))"},
			change: with(onPort(r.shellService("gone", "echo its-log; exit 3"), "8081")),
			shows:  []string{"the service gone ended with the exit code 3; the end of its log:", "    its-log\n", "ran 42"},
		},
		{
			name: "entrypoint is not there", image: "bb:1", script: []string{"echo ran $((6*7))"},
			change: with(onPort(r.service("noexec:1", "none"), "8081")), shows: []string{"the service none ended with the exit code", "/no/such/entry", "ran 42"},
		},
		{
			name: "no port", image: "bb:1", script: []string{"echo ran $((6*7))"},
			change: with(r.shellService("portless", "exec sleep 1000")), shows: []string{"the image of the service portless exposes no port", "ran 42"},
		},
		{
			name: "log in the job's log", image: "bb:1", script: []string{"wget -q -O - http://db:8080/index.html"},
			change: func(j *fakerunner.Job) {
				variable("CI_DEBUG_SERVICES", "true")(j)
				withService("web:1", "db")(j)
			},
			shows: []string{"[service:db] [::ffff:127.0.0.1]:", "web-service"},
		},
		{
			name: "one alias twice", image: "bb:1", script: []string{"wget -q -O - http://db:8080/"},
			change: with(r.service("web:1", "db"), onPort(r.shellService("db", "exec httpd -f -p 8081"), "8081")),
			shows:  []string{"the alias db of the service", "web-service"},
		},
		{
			name: "one port twice", image: "bb:1", script: []string{"echo ran $((6*7))"}, code: 1,
			change: with(r.service("web:1", "one"), r.service("web:1", "two")), shows: []string{"the services one and two listen on the port 8080"}, hides: []string{"ran 42"},
		},
		{
			name: "nothing to run", image: "bb:1", script: []string{"echo ran $((6*7))"}, code: 1,
			change: with(r.service("noenv:1", "idle")), shows: []string{"the service idle has nothing to run"}, hides: []string{"ran 42"},
		},
		{
			name: "not there", image: "bb:1", script: []string{"echo ran $((6*7))"}, code: 1,
			change: with(r.service("nothing/here:1", "")), shows: []string{"nothing/here:1"}, hides: []string{"ran 42"},
		},
		{
			name: "empty name", image: "bb:1", script: []string{"echo ran $((6*7))"}, code: 1,
			change: with(fakerunner.Service{}), shows: []string{"cannot use a service of the job: the image has no name"}, hides: []string{"ran 42"},
		},
		{
			name: "alias that is no name", image: "bb:1", script: []string{"echo ran $((6*7))"}, code: 1,
			change: with(r.service("web:1", "a b;c")), shows: []string{`"b;c" is not the name of a host`}, hides: []string{"ran 42"},
		},
		{
			name: "too many", image: "bb:1", script: []string{"echo ran $((6*7))"}, code: 1,
			change: with(make([]fakerunner.Service, 6)...), shows: []string{"the job has 6 services, and this resource allows 5"}, hides: []string{"ran 42"},
		},
	}
}

// hostPort is a port of the host on which a service of a test listens.
const hostPort = "18643"

// A site keeps services on the host's network, or starts none; its rules name the images
// of services.
func TestServicesOfTheSite(t *testing.T) {
	onHost(t, func(t *testing.T, r *rig) {
		web := onPort(r.shellService("db", "TEXT=from-the-host", listening+hostPort+" -h /www"), hostPort)
		for _, tt := range []struct {
			network string
			service fakerunner.Service
			rules   []site.Table
			contractCase
		}{
			{"host", web, nil, contractCase{image: "bb:1", shows: []string{"\nfrom-the-host\n"}, hides: []string{"network of their own"}}},
			{"off", web, nil, contractCase{image: "bb:1", code: 1, shows: []string{"services: has no effect on this resource"}}},
			{"private", web, nil, contractCase{image: "", code: 1, shows: []string{"services: has no effect for a job without image:"}}},
			{
				"private", web,
				[]site.Table{{"namespace": "group/**", "services": []string{"registry.example.com/**"}}},
				contractCase{image: "bb:1", code: 1, shows: []string{"is not allowed for services of this job", "registry.example.com/**"}},
			},
		} {
			t.Run(tt.network+" "+tt.image, func(t *testing.T) {
				r.reconfigure(t, func(c site.Config) {
					c.Set("container", "services", tt.network)
					c.Set("container", "rule", tt.rules)
				})
				tt.script = []string{"wget -q -O - http://db:" + hostPort + "/text || exit 1"}
				tt.change = func(j *fakerunner.Job) {
					if j.Services = []fakerunner.Service{tt.service}; tt.image == "" {
						j.Image, j.Script = "", []string{"exit 1"}
					}
				}
				tt.play(t, r)
			})
		}
		t.Run("port in use", func(t *testing.T) { r.portInUse(t) })
	})
}

// portInUse runs a job whose service needs a port that another process of the host has: a
// script must not reach that one.
func (r *rig) portInUse(t *testing.T) {
	t.Helper()
	r.reconfigure(t, func(c site.Config) { c.Set("container", "services", "host") })
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	_, port, _ := net.SplitHostPort(listener.Addr().String())
	j := r.job("bb:1", "echo ran $((6*7))")
	j.Bare, j.Services = true, []fakerunner.Service{onPort(r.shellService("db", "exec sleep 1000"), port)}
	result := r.run(t, j)
	site.Want(t, result, fakerunner.SystemFailure, 0, "the service db cannot start, because this host uses its port "+port)
	if strings.Contains(result.Trace, "ran 42") {
		t.Error("the script ran")
	}
}

// A cancelled job ends with its services, also with one that ignores the request: the trap
// of its script runs, and so does its after_script, with services of its own.
func TestCancelWithServices(t *testing.T) {
	for i, e := range engines() {
		for _, x := range executors()[:2] {
			if testing.Short() && (i > 0 || x.name != onShell.name) {
				continue
			}
			t.Run(e.name+"/"+x.name, func(t *testing.T) { openRig(t, e, x).cancelWithServices(t) })
		}
	}
}

func (r *rig) cancelWithServices(t *testing.T) {
	t.Helper()
	j := r.job("bb:1", lines("trap 'echo trapped $((6*7)); exit 42' TERM", "echo ready $((6*7))", "while :; do sleep 0.1; done"))
	j.AfterScript, j.Bare = []string{"echo after $CI_JOB_STATUS; wget -q -O - http://db:8080/"}, true
	j.Services = []fakerunner.Service{r.service("web:1", "db"), r.shellService("deaf", "trap '' TERM INT HUP", "while :; do sleep 1; done")}
	e := r.begin(t, j, "ready 42")
	e.Cancel()
	site.Want(t, e.Wait(), fakerunner.Canceled, 0, "trapped 42", "after canceled", "web-service")
	r.nothingLeft(t)
}

// Whatever of the services is killed: the job ends, and nothing is left. The end of a
// service is a warning, that of the supervisor ends the script.
func TestKillWithServices(t *testing.T) {
	onHost(t, func(t *testing.T, r *rig) {
		r.runner.Judge = nil
		for name, want := range map[string]struct {
			outcome fakerunner.Outcome
			text    string
		}{
			"httpd": {fakerunner.Success, "the service db ended with the exit code"},
			"bash":  {fakerunner.SystemFailure, "was killed before the job's script ended"},
		} {
			t.Run(name, func(t *testing.T) {
				j := r.job("bb:1", lines("echo ready $((6*7))", "while wget -q -O /dev/null http://db:8080/; do sleep 0.1; done", "sleep 1"))
				j.Bare, j.Services = true, []fakerunner.Service{r.service("web:1", "db")}
				e := r.begin(t, j, "ready 42")
				r.killNamed(t, e, name)
				site.Want(t, e.Wait(), want.outcome, 0, want.text)
				r.nothingLeft(t)
			})
		}
	})
}

// killNamed kills the process of the script's stage with the name.
func (r *rig) killNamed(t *testing.T, e *fakerunner.Execution, name string) {
	t.Helper()
	ctx, stop := context.WithTimeout(t.Context(), limit)
	defer stop()
	p, err := e.AwaitStage(ctx, "build_script", 1)
	if err != nil {
		t.Fatal(err)
	}
	for _, pid := range proctree.Descendants(p.PID) {
		if proctree.Look(pid).Name == name {
			if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
				t.Error(err)
			}
			return
		}
	}
	t.Errorf("the job has no process %s", name)
}
