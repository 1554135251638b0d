package config

import (
	"slices"
	"strings"

	"jacamar-ci/internal/settings"
)

func containerKeys() []Key {
	return slices.Concat(imageKeys(), startKeys(), servicesKeys(), imageRuleKeys(), moduleKeys())
}

// enginesKeys are the tables of all engines. The key that chooses one is among those of
// [general].
func enginesKeys() []Key {
	return slices.Concat(engineKeys(settings.Podman, "podman run"), engineKeys(settings.Charliecloud, "ch-run"), engineKeys(settings.Apptainer, "apptainer exec"))
}

// engineKeys are in a table of [general], as in files of the original.
func engineKeys(m settings.Mechanism, command string) []Key {
	table, program := "general."+string(m), strings.Fields(command)[0]
	example := map[settings.Mechanism]string{
		settings.Podman: "--shm-size=1g", settings.Charliecloud: "--bind=/apps", settings.Apptainer: "--nv",
	}[m]
	return []Key{
		{
			Path: table + ".application_path", Otherwise: "the program of that name in /usr/local/bin, /usr/bin and /bin", Since: first,
			Meaning: "The engine's program.",
			Example: `application_path = "/usr/bin/` + program + "\"",
		},
		{
			Path: table + ".default_image", Otherwise: "none: a job without `image:` runs on the host", Since: first,
			Meaning: "The image of jobs that name none. No rule applies to it.",
			Example: `default_image = "registry.example.com/ci/base:1"`,
		},
		{
			Path: table + ".custom_options", Otherwise: "none", Since: first,
			Meaning: "Options of `" + command + "` for every job, before those in the job's `JACAMAR_CI_" + strings.ToUpper(string(m)) + "_ARGS`.",
			Example: `custom_options = ["` + example + `"]`,
		},
		{
			Path: table + ".user_entry_point", Otherwise: "the image's own", Since: first,
			Meaning: "Entrypoint of images where the job names none. It has to execute its arguments.",
			Example: `user_entry_point = ["/usr/bin/env"]`,
		},
		{
			Path: table + ".step_script_only", Default: false, Since: first,
			Meaning: "Run nothing but the job's `script` in a container: `after_script` and the runner's own scripts run on the host.",
			Example: `step_script_only = true`,
		},
		{
			Path: table + ".runner_image", Otherwise: "they run on the host", Since: first,
			Meaning: "The image in which the runner's own scripts run: sources, caches and artifacts, of all jobs. It needs `git` and `gitlab-runner`. No rule applies to it.",
			Example: `runner_image = "registry.example.com/ci/runner:1"`,
		},
		{
			Path: table + ".runner_options", Otherwise: "none", Since: first,
			Meaning: "Options of `" + command + "` for the runner's own scripts in `runner_image`.",
			Example: `runner_options = ["` + example + `"]`,
		},
		{
			Path: table + ".runner_entry_point", Otherwise: "the image's own", Since: first,
			Meaning: "Entrypoint of `runner_image`. It has to execute its arguments.",
			Example: `runner_entry_point = ["/usr/bin/env"]`,
		},
		{
			Path: table + ".image_pull_policy", Otherwise: "`container.pull_policy`", Since: first,
			Meaning: "One pull policy, in the words of GitLab or of podman, for files of the original.",
			Example: `image_pull_policy = "missing"`,
		},
		{
			Path: table + ".disable_container_removal", Default: false, Since: first,
			Meaning: "Accepted from files of the original, without an effect: a start leaves no container behind.",
			Example: `disable_container_removal = true`,
		},
	}
}

func imageKeys() []Key {
	return []Key{
		{
			Path: "container.image_required", Default: false, Since: first,
			Meaning: "Fail jobs that name no image where there is no default image.",
			Example: `image_required = true`,
		},
		{
			Path: "container.pull_policy", Otherwise: "`if-not-present`", Since: first,
			Meaning: "When images are fetched, for jobs without `image:pull_policy`: `always`, `if-not-present` or `never`, tried in this order. " +
				"Docker's default is `always`; this one needs no connection to the registry for each job.",
			Example: `pull_policy = ["always", "if-not-present"]`,
		},
		{
			Path: "container.allowed_pull_policies", Otherwise: "`pull_policy`", Since: first,
			Meaning: "The pull policies that jobs may name.",
			Example: `allowed_pull_policies = ["always", "if-not-present"]`,
		},
		{
			Path: "container.pull_timeout", Default: "20m", Since: first,
			Meaning: "How long fetching an image may take, or waiting for another job of the account that fetches it.",
			Example: `pull_timeout = "1h"`,
		},
		{
			Path: "container.cache_dir", Otherwise: "`images` in the account's directory below `data_dir`", Since: first,
			Meaning: "Directory on a local disk, below which each account has a directory of its name for its images. The rules for `data_dir` apply.",
			Example: `cache_dir = "/local/images"`,
		},
		{
			Path: "container.cache_form", Default: "overlay", Since: first,
			Meaning: "How Podman stores images. `overlay`: in layers, on a local disk. `squashfs`: one file for each image, on any file system, also one that nodes share; " +
				"it needs mksquashfs, squashfuse and `/dev/fuse`. Charliecloud and Apptainer always have one file.",
			Example: `cache_form = "squashfs"`,
		},
		{
			Path: "container.cache_days", Default: int64(14), Since: first,
			Meaning: "Remove images that no job of the account has used for so many days: at the end of a job, one image at a time. `0` keeps them.",
			Example: `cache_days = 30`,
		},
		{
			Path: "container.cache_size", Default: "50G", Since: first,
			Meaning: "The size of all images of an account above which the longest unused one is removed at the end of a job, with K, M, G or T for powers of 1024; `0` for no limit. " +
				"Images that a job uses, or has used in the last hour, stay.",
			Example: `cache_size = "200G"`,
		},
		{
			Path: "container.local_images", Otherwise: "none", Since: first,
			Meaning: "Patterns of paths that jobs may name as their image: SIF and squashfs files, and directories with a root file system. " +
				"`**` stands for any number of directories. The patterns apply to the path and to where its symbolic links lead; " +
				"what is on the way belongs to root or to the job's account, and others cannot write it. Rules for images do not apply.",
			Example: `local_images = ["/apps/images/**"]`,
		},
		{
			Path: "container.registry_ca", Otherwise: "the system's certificate authorities", Since: first,
			Meaning: "File with the certificate authorities (PEM) of registries. The job's account has to be able to read it.",
			Example: `registry_ca = "/etc/pki/registry.pem"`,
		},
	}
}

func startKeys() []Key {
	return []Key{
		{
			Path: "container.temp_dir", Default: "/tmp", Since: first,
			Meaning: "Directory on a local disk for the files of a running container, which are removed at its end. Its path has at most 30 characters.",
			Example: `temp_dir = "/local/tmp"`,
		},
		{
			Path: "container.binds", Otherwise: "none: only the job's own directories", Since: first,
			Meaning: "Files and directories of the host in every container: `SOURCE`, `SOURCE:TARGET` or `SOURCE:TARGET:ro`.",
			Example: `binds = ["/apps:/apps:ro"]`,
		},
		{
			Path: "container.pass_env", Otherwise: "none", Since: first,
			Meaning: "Variables of the account's login shell that containers have, and that fetching an image uses; a `*` at the end stands for any text.",
			Example: `pass_env = ["http_proxy", "https_proxy", "no_proxy"]`,
		},
	}
}

func imageRuleKeys() []Key {
	return append(matcherKeys("container.rule"), []Key{
		{
			Path: "container.rule.images", Otherwise: "all", Since: first,
			Meaning: "Patterns of the images that the jobs may name, as `docker.io/library/*`: of the whole name, with or without the tag. The first rule that matches a job applies.",
			Example: `images = ["registry.example.com/**"]`,
		},
		servicesRuleKey(),
		{
			Path: "container.rule.required", Default: false, Since: first,
			Meaning: "`image_required` for these jobs.",
			Example: `required = true`,
		},
		{
			Path: "container.rule.modules", Otherwise: "none", Since: first,
			Meaning: "Modules of these jobs, in addition to those that a job names itself in `JACAMAR_CI_CONTAINER_MODULES`.",
			Example: `modules = ["gpu"]`,
		},
	}...)
}

func servicesKeys() []Key {
	return []Key{
		{
			Path: "container.services", Default: "private", Since: first,
			Meaning: "The network of jobs with `services:`. `private`: one of the job's own, in which its script and its services reach each other and nothing else. " +
				"`host`: that of the host, where other jobs and users reach the services too, and two jobs cannot have the same port. `off`: no services are started.",
			Example: `services = "host"`,
		},
		{
			Path: "container.services_limit", Default: int64(5), Since: first,
			Meaning: "How many services a job may have; 0 for no limit.",
			Example: `services_limit = 2`,
		},
		{
			Path: "container.services_wait", Default: "30s", Since: first,
			Meaning: "How long the script waits for its services to listen. Then it begins all the same, with a warning. `0s`: it does not wait.",
			Example: `services_wait = "2m"`,
		},
	}
}

func servicesRuleKey() Key {
	return Key{
		Path: "container.rule.services", Otherwise: "all", Since: first,
		Meaning: "Patterns of the images that the jobs may name in `services:`, as for `images`.",
		Example: `services = ["docker.io/library/postgres"]`,
	}
}

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
