package config

import (
	"fmt"
	"strings"
	"testing"
)

func TestModules(t *testing.T) {
	const gpu = "[[container.module]]\nname = \"gpu\"\npodman = [\"--device=x\"]\n"
	for _, tt := range []struct{ text, fault, warning string }{
		{gpu + "[[container.rule]]\nmodules = [\"gpu\"]\n", "", ""},
		{gpu + "[[container.rule]]\nmodules = [\"mpi\"]\n", `container.rule[1].modules[1]: there is no [[container.module]] with the name "mpi"`, ""},
		{gpu + gpu, `container.module[2].name: "gpu" is the name of another module`, ""},
		{"[[container.module]]\npodman = []\n", "container.module[1].name: missing", ""},
		{"[[container.module]]\nname = \"a b\"\n", "is not the name of a module", ""},
		{"[[container.module]]\nname = \"-a\"\n", "is not the name of a module", ""},
		{"[[container.module]]\nname = \"" + strings.Repeat("a", 65) + "\"\n", "is not the name of a module", ""},
		{"[[container.module]]\nname = \"a\"\nbinds = [\"x\"]\n", "container.module[1].binds[1]", ""},
		{"[[container.module]]\nname = \"a\"\napptainer = [\"--nv\"]\n", "", "container.module[1]: adds nothing to containers of podman"},
	} {
		c, err := parse(strings.Replace(leastFile, "[general]\n", "[general]\nrun_mechanism = \"podman\"\n", 1) + tt.text)
		if tt.fault == "" && err != nil || tt.fault != "" && (err == nil || !strings.Contains(err.Error(), tt.fault)) {
			t.Errorf("%s\n%v, want %q", tt.text, err, tt.fault)
		}
		if warnings := fmt.Sprint(c.Warnings); err == nil && strings.Contains(warnings, "adds nothing") != (tt.warning != "") || !strings.Contains(warnings, tt.warning) {
			t.Errorf("%s\n%s, want %q", tt.text, warnings, tt.warning)
		}
	}
}

// Keys about the runner's own scripts that have no effect are a warning.
func TestRunnerImageWarnings(t *testing.T) {
	for keys, want := range map[string]string{
		"runner_image = \"a\"\nrunner_options = [\"--env=A\"]\nrunner_entry_point = [\"/e\"]\n": "",
		"runner_image = \"a\"\nstep_script_only = true\n":                                       "general.podman.runner_image: has no effect with step_script_only",
		"runner_options = [\"--env=A\"]\n":                                                      "general.podman.runner_options: has no effect without runner_image",
		"runner_entry_point = [\"/e\"]\n":                                                       "general.podman.runner_entry_point: has no effect without runner_image",
	} {
		c, err := parse(strings.Replace(leastFile, "[general]\n", "[general]\nrun_mechanism = \"podman\"\n", 1) + "[general.podman]\n" + keys)
		if warnings := fmt.Sprint(c.Warnings); err != nil || strings.Contains(warnings, "runner_") != (want != "") || !strings.Contains(warnings, want) {
			t.Errorf("%s%v, %s, want %q", keys, err, warnings, want)
		}
	}
}

// Keys that have no effect without an engine, or for another one, are a warning each.
func TestContainerWarnings(t *testing.T) {
	const none, rule, module = "run_mechanism: jobs run on the host", "[[container.rule]]\nimages = [\"a/**\"]\n", "[[container.module]]\nname = \"gpu\"\npodman = [\"--x\"]\n"
	const unused = "general.apptainer: has no effect without run_mechanism = \"apptainer\""
	for _, tt := range []struct{ engine, text, want string }{
		{"", "", ""},
		{"", "[container]\nimage_required = true\n", none},
		{"", rule, none},
		{"", module, none},
		{"podman", rule + module, ""},
		{"podman", "[container]\nimage_required = true\n", ""},
		{"podman", "[general.podman]\ndefault_image = \"a\"\n", ""},
		{"podman", "[general.podman]\ndefault_image = \"a\"\n[container]\nimage_required = true\n", "container.image_required: has no effect: jobs without an image run in default_image"},
		{"podman", "[general.podman]\nimage_pull_policy = \"never\"\n", ""},
		{"podman", "[general.podman]\ncustom_options = [\"--x\"]\n", ""},
		{"podman", "[general.podman]\napplication_path = \"/usr/bin/podman\"\n", ""},
		{"podman", "[general.apptainer]\ndefault_image = \"a\"\n", unused},
		{"podman", "[general.apptainer]\ncustom_options = [\"--x\"]\n", unused},
		{"podman", "[general.apptainer]\napplication_path = \"/usr/bin/apptainer\"\n", unused},
		{"", "[general.podman]\ndefault_image = \"a\"\n", "general.podman: has no effect without run_mechanism = \"podman\""},
	} {
		text := leastFile
		if tt.engine != "" {
			text = strings.Replace(text, "[general]\n", "[general]\nrun_mechanism = \""+tt.engine+"\"\n", 1)
		}
		c, err := parse(text + tt.text)
		found := strings.Contains(fmt.Sprint(c.Warnings), "container") || strings.Contains(fmt.Sprint(c.Warnings), "run_mechanism")
		if err != nil || found != (tt.want != "") || !strings.Contains(fmt.Sprint(c.Warnings), tt.want) {
			t.Errorf("%q %s%v, %v, want %q", tt.engine, tt.text, err, c.Warnings, tt.want)
		}
	}
}
