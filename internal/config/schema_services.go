package config

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
