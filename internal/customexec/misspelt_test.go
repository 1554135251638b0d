package customexec

import (
	"maps"
	"testing"
)

func TestMisspelt(t *testing.T) {
	known := []string{"SCHEDULER_PARAMETERS", "CUSTOM_CI_BUILDS_DIR"}
	for name, meant := range map[string]string{
		"SCHEDULER_PARAMETER": "SCHEDULER_PARAMETERS", "SCHEDULER_PARAMETERSS": "SCHEDULER_PARAMETERS", "SCHEDULER_PARAMTERS": "SCHEDULER_PARAMETERS",
		"SCHEDULER-PARAMETERS": "SCHEDULER_PARAMETERS", "scheduler_parameters": "SCHEDULER_PARAMETERS", "CHEDULER_PARAMETERS": "SCHEDULER_PARAMETERS",
		"CUSTOM_CI_BUILD_DIR": "CUSTOM_CI_BUILDS_DIR", "SCHEDULER_PARAMS": "", "SLURM_PARAMETERS": "", "": "", "S": "", "CI_BUILDS_DIR": "", "SCHEDULER_PARAMETERS_A": "",
	} {
		want := map[string]string{}
		if meant != "" {
			want[name] = meant
		}
		e, err := ParseEnviron([]string{"CUSTOM_ENV_" + name + "=x"})
		if got := e.Misspelt(known); err != nil || !maps.Equal(got, want) {
			t.Errorf("%q: %v, %v, want %v", name, got, err, want)
		}
		e, _ = ParseEnviron([]string{"CUSTOM_ENV_" + name + "=x", "CUSTOM_ENV_" + meant + "=y"})
		if got := e.Misspelt(known); len(got) > 0 {
			t.Errorf("%q next to the right name: %v", name, got)
		}
	}
}
