package check

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"jacamar-ci/internal/auth/admin/setup"
	"jacamar-ci/internal/config"
	"jacamar-ci/test/harness/testutil"
)

const goodRunner = `shutdown_timeout = 150
[[runners]]
  name = "hpc"
  executor = "custom"
  [runners.custom]
    config_exec = "/opt/jacamar/bin/jacamar-auth"
    config_args = ["config", "--configuration", "/etc/gitlab-runner/jacamar.toml"]
    prepare_exec = "/opt/jacamar/bin/jacamar-auth"
    prepare_args = ["prepare"]
    run_exec = "/opt/jacamar/bin/jacamar-auth"
    run_args = ["run"]
    cleanup_exec = "/opt/jacamar/bin/jacamar-auth"
    cleanup_args = ["cleanup", "--configuration", "/etc/gitlab-runner/jacamar.toml"]
`

// TestRunnerConfig: every mistake in the runner's file that a site can make, one by one.
func TestRunnerConfig(t *testing.T) {
	for name, tc := range map[string]struct {
		from, to string
		want     []string
	}{
		"as init writes it":      {"", "", []string{"ok calls /opt/jacamar/bin/jacamar-auth in every stage"}},
		"unobfuscated":           {`["prepare"]`, `["-u", "prepare"]`, []string{"ok calls"}},
		"a joined option":        {`"--configuration", "/etc/gitlab-runner/jacamar.toml"]` + "\n    prepare", `"--configuration=/etc/gitlab-runner/jacamar.toml"]` + "\n    prepare", []string{"ok calls"}},
		"the shell executor":     {`executor = "custom"`, `executor = "shell"`, []string{`fail has executor = "shell": its jobs run as the account of the runner's service`}},
		"no executor":            {`executor = "custom"`, ``, []string{`fail has executor = ""`}},
		"no prepare":             {`    prepare_exec = "/opt/jacamar/bin/jacamar-auth"`, ``, []string{"fail prepare_exec is missing"}},
		"no arguments":           {`    run_args = ["run"]`, ``, []string{"fail run_args is [], and must name the stage run"}},
		"another stage":          {`run_args = ["run"]`, `run_args = ["prepare"]`, []string{"fail must name the stage run"}},
		"no configuration":       {`config_args = ["config", "--configuration", "/etc/gitlab-runner/jacamar.toml"]`, `config_args = ["config"]`, []string{"fail config_args lacks --configuration"}},
		"the option first":       {`["config", "--configuration", "/etc/gitlab-runner/jacamar.toml"]`, `["--configuration", "/etc/gitlab-runner/jacamar.toml", "config"]`, []string{"fail must name the stage config"}},
		"one string":             {`["config", "--configuration", "/etc/gitlab-runner/jacamar.toml"]`, `["config --configuration /etc/gitlab-runner/jacamar.toml"]`, []string{"fail must name the stage config"}},
		"cleanup without":        {`["cleanup", "--configuration", "/etc/gitlab-runner/jacamar.toml"]`, `["cleanup"]`, []string{"fail cleanup_args lacks --configuration"}},
		"a relative file":        {`["cleanup", "--configuration", "/etc/gitlab-runner/jacamar.toml"]`, `["cleanup", "--configuration", "jacamar.toml"]`, []string{"fail an absolute path"}},
		"prepare with more":      {`["prepare"]`, `["prepare", "--configuration", "/x"]`, []string{"fail behind the stage, not nothing"}},
		"jacamar itself":         {`run_exec = "/opt/jacamar/bin/jacamar-auth"`, `run_exec = "/opt/jacamar/bin/jacamar"`, []string{"fail which only jacamar-auth starts"}},
		"another installation":   {`run_exec = "/opt/jacamar/bin/jacamar-auth"`, `run_exec = "/usr/bin/jacamar-auth"`, []string{`fail run_exec is "/usr/bin/jacamar-auth", not /opt/jacamar/bin/jacamar-auth`}},
		"another configuration":  {`["config", "--configuration", "/etc/gitlab-runner/jacamar.toml"]`, `["config", "--configuration", "/etc/other.toml"]`, []string{"warn uses the configuration /etc/other.toml"}},
		"a short grace":          {"  [runners.custom]\n", "  [runners.custom]\n    graceful_kill_timeout = 1\n", []string{"warn graceful_kill_timeout = 1, and a job may take kill_timeout (2m0s)"}},
		"a short config":         {"  [runners.custom]\n", "  [runners.custom]\n    config_exec_timeout = 5\n", []string{"warn config_exec_timeout = 5"}},
		"a short cleanup":        {"  [runners.custom]\n", "  [runners.custom]\n    cleanup_exec_timeout = 60\n", []string{"warn cleanup_exec_timeout = 60"}},
		"no shutdown_timeout":    {"shutdown_timeout = 150\n", "", []string{"warn shutdown_timeout of 30s"}},
		"a short one":            {"shutdown_timeout = 150\n", "shutdown_timeout = 60\n", []string{"warn shutdown_timeout of 1m0s"}},
		"a shell runner as well": {"[[runners]]\n", "[[runners]]\n  name = \"other\"\n  executor = \"shell\"\n[[runners]]\n", []string{`warn the runner "other"`}},
		"a docker one as well":   {"[[runners]]\n", "[[runners]]\n  name = \"other\"\n  executor = \"docker\"\n[[runners]]\n", []string{"ok calls"}},
		"no runner of ours":      {"jacamar", "else", []string{"warn no runner of"}},
		"not TOML":               {"[[runners]]", "[[runners]", []string{"fail config.toml: toml"}},
	} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "config.toml")
			text := strings.ReplaceAll(goodRunner, tc.from, tc.to)
			if tc.from == "" {
				text = goodRunner
			}
			if name != "as init writes it" && text == goodRunner {
				t.Fatal("nothing was changed")
			}
			if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			found(t, runnerConfig(t.Context(), runnerSite(t, file)), tc.want...)
		})
	}
}

func runnerSite(t *testing.T, file string) Site {
	s := Site{
		Config: &config.Config{}, RunnerConfig: file, File: testutil.AbsPath(t, "/etc/gitlab-runner/jacamar.toml"), Auth: testutil.AbsPath(t, "/opt/jacamar/bin/jacamar-auth"),
	}
	s.Config.General.KillTimeout = setup.KillTimeout
	return s
}

// TestRunnersOfThisInstallation: in the usual file only a runner that calls this jacamar-auth,
// or gives its configuration, is judged, and the fix is for that runner alone.
func TestRunnersOfThisInstallation(t *testing.T) {
	const (
		auth   = "config_exec = '/opt/jacamar/bin/jacamar-auth'\n"
		file   = "config_args = ['config', '--configuration', '/etc/gitlab-runner/jacamar.toml']\n"
		table  = "[[runners]]\nname = 'a b'\nexecutor = 'custom'\n[runners.custom]\n"
		rest   = " prepare_exec is missing"
		stages = " run_exec is missing"
		end    = " cleanup_exec is missing"
		late   = "warn shutdown_timeout of 30s"
	)
	for name, tt := range map[string]struct {
		named bool
		text  string
		want  []string
		fix   string
	}{
		"our program":                 {false, table + auth + file, []string{"fail" + rest, "fail" + stages, "fail" + end, late}, "--runner 'a b'"},
		"our program alone":           {false, table + auth, []string{"fail config_args is []", "fail" + rest, "fail" + stages, "fail" + end, late}, "--runner 'a b'"},
		"our configuration alone":     {false, table + "config_exec = '/usr/bin/x'\n" + file, []string{`fail config_exec is "/usr/bin/x"`, "fail" + rest, "fail" + stages, "fail" + end, late}, "--runner 'a b'"},
		"another installation":        {false, table + "config_exec = '/usr/bin/jacamar-auth'\n", nil, ""},
		"another one, but named":      {true, table + "config_exec = '/usr/bin/jacamar-auth'\n", []string{`fail config_exec is "/usr/bin/jacamar-auth"`, "fail" + rest, "fail" + stages, "fail" + end, late}, ""},
		"another executor":            {false, "[[runners]]\nexecutor = 'docker'\n", nil, ""},
		"another executor, but named": {true, "[[runners]]\nexecutor = 'docker'\n", []string{"warn no runner of"}, "init --wire --configuration /etc/gitlab-runner/jacamar.toml --runner-config f\n"},
		"jobs without Jacamar":        {false, "[[runners]]\nexecutor = 'shell'\n", []string{"warn no runner of"}, "--runner-config f\n"},
		"no runner":                   {false, "", nil, ""},
	} {
		t.Run(name, func(t *testing.T) {
			got := runnerJudge{runnerSite(t, "f"), "f", tt.named}.text(tt.text, true)
			found(t, got, tt.want...)
			if !strings.Contains(fixes(got), tt.fix) {
				t.Errorf("no fix %q in %q", tt.fix, fixes(got))
			}
		})
	}
}

// TestMissingRunnerConfig: the usual file is a finding only where it cannot be examined for
// another reason than that it is not there, or not for this account.
func TestMissingRunnerConfig(t *testing.T) {
	for _, tt := range []struct {
		err   error
		named bool
		want  []string
	}{
		{fs.ErrNotExist, true, []string{"fail not exist"}},
		{fs.ErrPermission, true, []string{"fail permission"}},
		{unix.EIO, true, []string{"fail input/output error"}},
		{fs.ErrNotExist, false, nil},
		{fs.ErrPermission, false, nil},
		{unix.EIO, false, []string{"fail input/output error"}},
	} {
		found(t, runnerJudge{file: "f", named: tt.named}.missing(tt.err), tt.want...)
	}
}

// TestWithoutConfiguration: the runner's times are compared with the default.
func TestWithoutConfiguration(t *testing.T) {
	j := runnerJudge{file: "f", named: true}
	if j.killTimeout() != setup.KillTimeout {
		t.Error(j.killTimeout())
	}
	found(t, j.shutdown(runnerFile{ShutdownTimeout: int(setup.KillTimeout.Seconds())}), "warn shutdown_timeout of 2m0s")
}

func TestRunnerConfigOfOthers(t *testing.T) {
	file := filepath.Join(t.TempDir(), "config.toml")
	found(t, runnerConfig(t.Context(), runnerSite(t, file)), "fail no such file")
	if err := os.WriteFile(file, []byte(goodRunner), 0o644); err != nil {
		t.Fatal(err)
	}
	found(t, runnerConfig(t.Context(), runnerSite(t, file)), "warn read the runner's token")
}

// TestKillTimeout: the runner's times are derived from the default of the configuration.
func TestKillTimeout(t *testing.T) {
	for _, k := range config.Reference() {
		if k.Path == "general.kill_timeout" && k.Default != setup.KillTimeout.String() && k.Default != "120s" {
			t.Errorf("the default of kill_timeout is %v", k.Default)
		}
	}
	if setup.KillTimeout != 2*time.Minute {
		t.Error(setup.KillTimeout)
	}
}
