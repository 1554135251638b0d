package config

import (
	"strings"

	"jacamar-ci/internal/settings"
)

// engineKeys are in a table of [general], as in files of the original. The key that
// chooses an engine is among those of [general].
func engineKeys(m settings.Mechanism, command string) []Key {
	table, program := "general."+string(m), strings.Fields(command)[0]
	example := map[settings.Mechanism]string{
		settings.Podman: "--shm-size=1g", settings.Charliecloud: "--bind=/apps", settings.Apptainer: "--nv",
	}[m]
	return []Key{
		optional(table+".application_path", "the program of that name in bin or sbin of /usr/local, /usr and /", `"/usr/bin/`+program+"\"",
			"The engine's program."),
		optional(table+".default_image", "none: a job without `image:` runs on the host", `"registry.example.com/ci/base:1"`,
			"The image of jobs that name none. No rule applies to it."),
		optional(table+".custom_options", "none", `["`+example+`"]`,
			"Options of `"+command+"` for every job, before those in the job's `JACAMAR_CI_"+strings.ToUpper(string(m))+"_ARGS`."),
		optional(table+".user_entry_point", "the image's own", `["/usr/bin/env"]`,
			"Entrypoint of images where the job names none. It has to execute its arguments."),
		defaults(table+".step_script_only", false, `true`,
			"Run nothing but the job's `script` in a container: `after_script` and the runner's own scripts run on the host."),
		optional(table+".runner_image", "they run on the host", `"registry.example.com/ci/runner:1"`,
			"The image in which the runner's own scripts run: sources, caches and artifacts, of all jobs. It needs `git` and `gitlab-runner`. No rule applies to it."),
		optional(table+".runner_options", "none", `["`+example+`"]`,
			"Options of `"+command+"` for the runner's own scripts in `runner_image`."),
		optional(table+".runner_entry_point", "the image's own", `["/usr/bin/env"]`,
			"Entrypoint of `runner_image`. It has to execute its arguments."),
		optional(table+".image_pull_policy", "`container.pull_policy`", `"missing"`,
			"One pull policy, in the words of GitLab or of podman, for files of the original."),
		defaults(table+".disable_container_removal", false, `true`,
			"Accepted from files of the original, without an effect: a start leaves no container behind."),
	}
}

func imageKeys() []Key {
	return []Key{
		defaults("container.image_required", false, `true`,
			"Fail jobs that name no image where there is no default image."),
		optional("container.pull_policy", "`if-not-present`", `["always", "if-not-present"]`,
			"When images are fetched, for jobs without `image:pull_policy`: `always`, `if-not-present` or `never`, tried in this order. "+
				"Docker's default is `always`; this one needs no connection to the registry for each job."),
		optional("container.allowed_pull_policies", "`pull_policy`", `["always", "if-not-present"]`,
			"The pull policies that jobs may name."),
		defaults("container.pull_timeout", "20m", `"1h"`,
			"How long fetching an image may take, or waiting for another job of the account that fetches it."),
		optional("container.cache_dir", "`images` in the account's directory below `data_dir`", `"/local/images"`,
			"Directory on a local disk, below which each account has a directory of its name for its images. The rules for `data_dir` apply."),
		defaults("container.cache_form", "overlay", `"squashfs"`,
			"How Podman stores images. `overlay`: in layers, on a local disk. `squashfs`: one file for each image, on any file system, also one that nodes share; "+
				"it needs mksquashfs, squashfuse and `/dev/fuse`. Charliecloud and Apptainer always have one file."),
		defaults("container.cache_days", int64(14), `30`,
			"Remove images that no job of the account has used for so many days: at the end of a job, one image at a time. `0` keeps them."),
		defaults("container.cache_size", "50G", `"200G"`,
			"The size of all images of an account above which the longest unused one is removed at the end of a job, with K, M, G or T for powers of 1024; `\"0\"` for no limit. "+
				"Images that a job uses, or has used in the last hour, stay."),
		optional("container.local_images", "none", `["/apps/images/**"]`,
			"Patterns of paths that jobs may name as their image: SIF and squashfs files, and directories with a root file system. "+
				"`**` stands for any number of directories. The patterns apply to the path and to where its symbolic links lead; "+
				"what is on the way belongs to root or to the job's account, and others cannot write it. Rules for images do not apply."),
		optional("container.registry_ca", "the system's certificate authorities", `"/etc/pki/registry.pem"`,
			"File with the certificate authorities (PEM) of registries. The job's account has to be able to read it."),
	}
}

func startKeys() []Key {
	return []Key{
		defaults("container.temp_dir", "/tmp", `"/local/tmp"`,
			"Directory on a local disk for the files of a running container, which are removed at its end. Its path has at most 30 characters."),
		optional("container.binds", "none: only the job's own directories", `["/apps:/apps:ro"]`,
			"Files and directories of the host in every container: `SOURCE`, `SOURCE:TARGET` or `SOURCE:TARGET:ro`."),
		optional("container.pass_env", "none", `["http_proxy", "https_proxy", "no_proxy"]`,
			"Variables of the account's login shell that containers have, and that fetching an image uses; a `*` at the end stands for any text. `PATH` and `HOME` are the image's own and never among them."),
	}
}

func imageRuleKeys() []Key {
	return append(matcherKeys("container.rule"), []Key{
		optional("container.rule.images", "all", `["registry.example.com/**"]`,
			"Patterns of the images that the jobs may name, as `docker.io/library/*`: of the whole name, with or without the tag. The first rule that matches a job applies."),
		optional("container.rule.services", "all", `["docker.io/library/postgres"]`,
			"Patterns of the images that the jobs may name in `services:`, as for `images`."),
		defaults("container.rule.required", false, `true`,
			"`image_required` for these jobs."),
		optional("container.rule.modules", "none", `["gpu"]`,
			"Modules of these jobs, in addition to those that a job names itself in `JACAMAR_CI_CONTAINER_MODULES`."),
	}...)
}

func servicesKeys() []Key {
	return []Key{
		defaults("container.services", "private", `"host"`,
			"The network of jobs with `services:`. `private`: one of the job's own, in which its script and its services reach each other and nothing else. "+
				"`host`: that of the host, where other jobs and users reach the services too, and two jobs cannot have the same port. `off`: no services are started."),
		defaults("container.services_limit", int64(5), `2`,
			"How many services a job may have; 0 for no limit."),
		defaults("container.services_wait", "30s", `"2m"`,
			"How long the script waits for its services to listen. Then it begins all the same, with a warning. `0s`: it does not wait."),
	}
}

func moduleKeys() []Key {
	keys := []Key{required("container.module.name", `"gpu"`,
		"The name of a module: what the site offers to add to the containers of a job's scripts. A rule names it for its jobs in `modules`, and any job "+
			"for itself in `JACAMAR_CI_CONTAINER_MODULES`. Services do not have it.")}
	for _, one := range []struct {
		engine           settings.Mechanism
		command, example string
	}{
		{settings.Podman, "podman run", "--device=nvidia.com/gpu=all"},
		{settings.Charliecloud, "ch-run", "--bind=/usr/lib64/nvidia"},
		{settings.Apptainer, "apptainer exec", "--nv"},
	} {
		keys = append(keys, optional("container.module."+string(one.engine), "none", `["`+one.example+`"]`,
			"Options of `"+one.command+"`, after `custom_options` and before the job's own."))
	}
	return append(keys,
		optional("container.module.binds", "none", `["/opt/mpich:/opt/mpich:ro"]`,
			"As `container.binds`. A module's bind replaces another one with the same target."),
		optional("container.module.pass_env", "none", `["NVIDIA_*"]`,
			"As `container.pass_env`."),
	)
}
