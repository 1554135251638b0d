package main

import (
	"time"

	"github.com/urfave/cli/v2"

	"jacamar-ci/internal/auth/admin"
	"jacamar-ci/internal/executors"
)

// installation are the commands about the installation and its configuration.
func installation(status *int) []*cli.Command {
	return []*cli.Command{
		{
			Name: "init", Usage: "write a first configuration and check the installation",
			Flags: []cli.Flag{
				&cli.StringFlag{Name: "configuration", Usage: "write `FILE`", Value: admin.UsualConfiguration},
				&cli.StringFlag{Name: "gitlab-server", Usage: "the `URL` of the GitLab server"},
				&cli.StringFlag{Name: "tls-ca-file", Usage: "`FILE` with the certificate authorities for that server"},
				&cli.StringFlag{Name: "deployment", Usage: "`KIND` of deployment: root, caps, sudo, none or no-auth"},
				&cli.StringFlag{Name: "executor", Usage: "`EXECUTOR` of jobs: " + executors.Names()},
				&cli.StringFlag{Name: "data-dir", Usage: "`DIRECTORY` for the files of jobs, such as $HOME"},
				&cli.StringFlag{Name: "allow-groups", Usage: "the `GROUPS` whose members may run jobs, with commas between them, or all"},
				&cli.StringFlag{Name: "state-dir", Usage: "`DIRECTORY` for the state of jacamar-auth"},
				&cli.StringFlag{Name: "log", Usage: "`FILE` for the operator's log, instead of one in the state directory"},
				&cli.StringFlag{Name: "service", Usage: "the `ACCOUNT` of the runner's service, where it is not root", Value: "gitlab-runner"},
				&cli.StringFlag{Name: "helper-account", Usage: "the `ACCOUNT` for helpers and state, where it is not jacamar"},
				&cli.StringFlag{Name: "runner-config", Usage: "merge the table for the runner into `FILE`, the runner's config.toml, instead of printing it"},
				&cli.StringFlag{Name: "runner", Usage: "the `NAME` of the runner in that file, where it has several"},
				&cli.BoolFlag{Name: "force", Usage: "replace a configuration that exists, and keep it under another name"},
				&cli.BoolFlag{Name: "wire", Usage: "only make a runner call jacamar-auth, with a configuration that exists"},
			},
			Action: noArguments(exits(status, initialize)),
		},
		{
			Name: "check", Usage: "look at the installation and print what to fix",
			Flags: []cli.Flag{
				site(),
				&cli.StringFlag{Name: "runner-config", Usage: "the runner's config.toml, where it is not the usual `FILE`"},
				&cli.StringFlag{Name: "account", Usage: "run a job of its own as the `ACCOUNT` as well, of which nothing is left"},
				trialLimit(),
				&cli.BoolFlag{Name: "json", Usage: "print JSON"},
			},
			Action: noArguments(exits(status, func(c *cli.Context) int {
				return admin.Check(admin.CheckOptions{
					Configuration: c.String("configuration"), RunnerConfig: c.String("runner-config"),
					Account: c.String("account"), Limit: c.Duration("timeout"), JSON: c.Bool("json"),
				})
			})),
		},
		{
			Name: "selftest", Usage: "run a job of its own through all stages as an account",
			Flags: []cli.Flag{
				site(),
				&cli.StringFlag{Name: "account", Usage: "the `ACCOUNT` that the job's user has here", Required: true},
				trialLimit(),
				&cli.BoolFlag{Name: "verbose", Usage: "print the job's log as well"},
			},
			Action: noArguments(exits(status, func(c *cli.Context) int {
				return admin.SelfTest(admin.SelfTestOptions{
					Configuration: c.String("configuration"), Account: c.String("account"), Limit: c.Duration("timeout"), Verbose: c.Bool("verbose"),
				})
			})),
		},
		{
			Name: "config", Usage: "print the configuration, and where each value comes from",
			Flags: []cli.Flag{
				site(),
				&cli.BoolFlag{Name: "effective", Usage: "print the defaults of keys that are left out as well"},
				&cli.BoolFlag{Name: "json", Usage: "print JSON"},
			},
			Action: noArguments(exits(status, func(c *cli.Context) int {
				return admin.Settings(admin.SettingsOptions{Configuration: c.String("configuration"), Effective: c.Bool("effective"), JSON: c.Bool("json")})
			})),
		},
		{
			Name: "explain", Usage: "show the decision about one job, rule by rule",
			Flags: []cli.Flag{
				site(),
				&cli.StringFlag{Name: "token", Usage: "`FILE` with the job's id_token; needs --job-response"},
				&cli.StringFlag{Name: "job-response", Usage: "`FILE` with the runner's JOB_RESPONSE_FILE of the job, or a copy"},
				&cli.StringFlag{Name: "claims", Usage: "`FILE` with a token's claims, instead of a token; what is missing of issuer, audience and times is filled in"},
				&cli.StringFlag{Name: "user", Usage: "the `LOGIN` of a user at GitLab, instead of a token; needs --project"},
				&cli.StringFlag{Name: "project", Usage: "the `PATH` of the project, such as group/project"},
				&cli.StringFlag{Name: "ref", Usage: "the branch or tag `NAME`, which counts as protected", Value: "main"},
				&cli.StringFlag{Name: "user-id", Usage: "the `NUMBER` of that user, for an account map"},
				&cli.BoolFlag{Name: "runas", Usage: "run the RunAs script as well; no other program of the site is started"},
				&cli.StringFlag{Name: "target", Usage: "the `ACCOUNT` that the job asks for by auth.runas.user_variable"},
				&cli.StringFlag{Name: "image", Usage: "the `NAME` of the job's image, instead of the one in --job-response"},
				&cli.StringFlag{Name: "modules", Usage: "the `NAMES` in the job's JACAMAR_CI_CONTAINER_MODULES"},
			},
			Action: func(c *cli.Context) error { return explain(c, status) },
		},
		{
			Name: "bugreport", Usage: "write an archive without secrets for the maintainers",
			Flags: []cli.Flag{
				site(),
				&cli.StringFlag{Name: "runner-config", Usage: "the runner's config.toml, where it is not the usual `FILE`"},
				&cli.StringFlag{Name: "output", Usage: "write `FILE`, instead of jacamar-bugreport-TIME.tar.gz"},
			},
			Action: noArguments(exits(status, func(c *cli.Context) int {
				return admin.BugReport(admin.BugReportOptions{Configuration: c.String("configuration"), RunnerConfig: c.String("runner-config"), Output: c.String("output")})
			})),
		},
		{
			Name: "keys", Usage: "the server's public keys",
			Subcommands: []*cli.Command{{
				Name: "refresh", Usage: "fetch the keys and keep them, for a timer",
				Flags:  []cli.Flag{site(), &cli.BoolFlag{Name: "forget", Usage: "trust no key that was fetched before"}},
				Action: noArguments(exits(status, func(c *cli.Context) int { return admin.RefreshKeys(c.String("configuration"), c.Bool("forget")) })),
			}},
			Action: func(c *cli.Context) error { return usage("keys has no command %q, only refresh", c.Args().First()) },
		},
	}
}

// trialLimit bounds the stages of a trial.
func trialLimit() cli.Flag {
	return &cli.DurationFlag{Name: "timeout", Usage: "end a stage of the job after `TIME`", Value: 10 * time.Minute}
}

func initialize(c *cli.Context) int {
	return admin.Init(admin.InitOptions{
		Configuration: c.String("configuration"), Server: c.String("gitlab-server"), CAFile: c.String("tls-ca-file"),
		Deployment: c.String("deployment"), Executor: c.String("executor"), DataDir: c.String("data-dir"), StateDir: c.String("state-dir"),
		Service: c.String("service"), Helper: c.String("helper-account"), RunnerConfig: c.String("runner-config"), Runner: c.String("runner"), Log: c.String("log"), Force: c.Bool("force"), Groups: c.String("allow-groups"), Wire: c.Bool("wire"),
	})
}

// exits is the action of a command that prints its own errors, and returns the exit status.
func exits(status *int, do func(*cli.Context) int) func(*cli.Context) error {
	return func(c *cli.Context) error {
		*status = do(c)
		return nil
	}
}

func explain(c *cli.Context, status *int) error {
	q := admin.ExplainOptions{
		Configuration: c.String("configuration"), Token: c.String("token"), Response: c.String("job-response"), Claims: c.String("claims"),
		User: c.String("user"), UserID: c.String("user-id"), Project: c.String("project"), Ref: c.String("ref"),
		RunAs: c.Bool("runas"), Target: c.String("target"), Image: c.String("image"), Modules: c.String("modules"),
	}
	ways := 0
	for _, given := range []string{q.Token, q.Claims, q.User} {
		if given != "" {
			ways++
		}
	}
	switch {
	case c.NArg() != 0:
		return usage("explain takes no arguments")
	case ways != 1 || (q.Token == "") != (q.Response == "") || (q.User == "") != (q.Project == ""):
		return usage("explain needs one of: --token and --job-response, --claims, --user and --project")
	}
	*status = admin.Explain(q)
	return nil
}
