package config

import "jacamar-ci/internal/settings"

func moduleKeys() []Key {
	keys := []Key{{
		Path: "container.module.name", Required: true, Since: first,
		Meaning: "The name of a module: what the site offers to add to the containers of a job's scripts. A rule names it for its jobs in `modules`, and any job " +
			"for itself in `JACAMAR_CI_CONTAINER_MODULES`. Services do not have it.",
		Example: `name = "gpu"`,
	}}
	for _, one := range []struct {
		engine           settings.Mechanism
		command, example string
	}{
		{settings.Podman, "podman run", "--device=nvidia.com/gpu=all"},
		{settings.Charliecloud, "ch-run", "--bind=/usr/lib64/nvidia"},
		{settings.Apptainer, "apptainer exec", "--nv"},
	} {
		keys = append(keys, Key{
			Path: "container.module." + string(one.engine), Otherwise: "none", Since: first,
			Meaning: "Options of `" + one.command + "`, after `custom_options` and before the job's own.",
			Example: string(one.engine) + ` = ["` + one.example + `"]`,
		})
	}
	return append(keys,
		Key{
			Path: "container.module.binds", Otherwise: "none", Since: first,
			Meaning: "As `container.binds`. A module's bind replaces another one with the same target.",
			Example: `binds = ["/opt/mpich:/opt/mpich:ro"]`,
		},
		Key{
			Path: "container.module.pass_env", Otherwise: "none", Since: first,
			Meaning: "As `container.pass_env`.",
			Example: `pass_env = ["NVIDIA_*"]`,
		},
	)
}
