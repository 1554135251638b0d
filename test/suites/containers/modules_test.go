package containers

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"jacamar-ci/test/harness/fakerunner"
	"jacamar-ci/test/harness/site"
)

// modules are two that a site offers: one by a rule, and one for jobs that name it. file is
// on the host.
func modules(file string) func(site.Config) {
	module := func(name string) site.Table {
		return site.Table{
			"name":         name,
			"podman":       []string{"--env", "OPTION_" + name + "=by-option"},
			"charliecloud": []string{"--set-env=OPTION_" + name + "=by-option"},
			"apptainer":    []string{"--env", "OPTION_" + name + "=by-option"},
			"binds":        []string{file + ":/opt/" + name + ":ro"},
			"pass_env":     []string{"LOGIN_" + name},
		}
	}
	return func(c site.Config) {
		c.Set("container", "module", []site.Table{module("ruled"), module("named")})
		c.Set("container", "rule", []site.Table{{"namespace": "group/**", "modules": []string{"ruled"}}})
	}
}

// offersModules makes the site offer the modules, and the account's login set what they pass
// on.
func offersModules(t *testing.T, r *rig, _ *fakerunner.Job) {
	t.Helper()
	file := filepath.Join(r.site.Dir, "module")
	if err := os.WriteFile(file, []byte("in-the-module\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	r.inHome(t, ".bash_profile", "export LOGIN_ruled=by-login LOGIN_named=by-login\n")
	r.reconfigure(t, modules(file))
}

// withModules are jobs that have what the modules of their rule, and those that they name,
// add: options of the engine, files and variables. Services have none of it.
func withModules() []contractCase {
	const (
		report = "for m in ruled named; do eval echo $m \\$OPTION_$m \\$LOGIN_$m; cat /opt/$m 2>/dev/null || echo none; done"
		has    = " by-option by-login\nin-the-module\n"
		named  = "JACAMAR_CI_CONTAINER_MODULES"
	)
	return []contractCase{
		{
			name: "module of the rule", image: "bb:1", script: []string{report}, arrange: offersModules,
			shows: []string{"\nruled" + has + "named\nnone\n", "Modules of the container: ruled"},
		},
		{
			name: "module of the job", image: "bb:1", script: []string{report, "wget -q -O - http://own:8081/text"}, change: variable(named, "named, ruled"),
			arrange: func(t *testing.T, r *rig, j *fakerunner.Job) {
				offersModules(t, r, j)
				j.AfterScript = []string{report}
				j.Services = []fakerunner.Service{onPort(r.shellService("own", "TEXT=\"service: $OPTION_named$LOGIN_named$(ls /opt 2>&1 | grep -c named)\"", listening+"8081 -h /www"), "8081")}
			},
			shows: []string{"\nruled" + has + "named" + has, "Modules of the container: ruled, named", "\nservice: 0\n"},
			check: func(t *testing.T, _ *rig, result fakerunner.Result) {
				if n := strings.Count(result.Trace, "named"+has); n != 2 {
					t.Errorf("%d of script and after_script have the module:\n%s", n, result.Trace)
				}
			},
		},
		{
			name: "module that is not there", image: "bb:1", script: []string{"echo ran $((6*7))"}, change: variable(named, "gpu"), arrange: offersModules, code: 1,
			shows: []string{"modules of this resource: ruled, named"}, hides: []string{"ran 42"},
		},
	}
}

// A module that the site does not have ends the job before anything is fetched, with the
// names of those that it has.
func TestUnknownModule(t *testing.T) {
	onHost(t, func(t *testing.T, r *rig) {
		for _, tt := range []struct {
			change func(site.Config)
			texts  []string
		}{
			{modules("/etc/hostname"), []string{`the job names the container module "gpu" in JACAMAR_CI_CONTAINER_MODULES, and this resource has no such module`, "modules of this resource: ruled, named"}},
			{func(site.Config) {}, []string{"remove JACAMAR_CI_CONTAINER_MODULES: this resource has no modules"}},
		} {
			r.reconfigure(t, tt.change)
			j := site.WithVariable(r.job("bb:1", "echo ran $((6*7))"), "JACAMAR_CI_CONTAINER_MODULES", "gpu")
			j.Bare = true
			before := r.own.Requests("/v2/")
			result := r.run(t, j)
			site.Want(t, result, fakerunner.ScriptFailure, 1, tt.texts...)
			if n := r.own.Requests("/v2/"); n != before || strings.Contains(result.Trace, "ran 42") {
				t.Errorf("%d requests to the registry:\n%s", n-before, result.Trace)
			}
		}
	})
}

// An option of a module that the engine does not take, or that is set by Jacamar, is a
// finding of check, and a failure of the system in a job.
func TestModuleWithWrongOptions(t *testing.T) {
	onHost(t, func(t *testing.T, r *rig) {
		for word, text := range map[string]string{"image": "is not an option", "--help": "contains --help, which is set by Jacamar"} {
			r.reconfigure(t, func(c site.Config) {
				c.Set("container", "module", []site.Table{{"name": "gpu", r.engine.name: []string{word}}})
			})
			out, err := exec.Command(r.site.Admin, "check", "--configuration", r.site.ConfigFile).CombinedOutput()
			words := strings.Join(strings.Fields(string(out)), " ")
			if err == nil || !strings.Contains(words, "the site's module gpu") || !strings.Contains(words, text) {
				t.Errorf("check: %v\n%s", err, out)
			}
			j := site.WithVariable(r.job("bb:1", "echo ran $((6*7))"), "JACAMAR_CI_CONTAINER_MODULES", "gpu")
			j.Bare = true
			site.Want(t, r.run(t, j), fakerunner.SystemFailure, 0, "the site's module gpu", text)
		}
	})
}
