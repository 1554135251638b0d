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
