// Package briefing says the site's configuration in the terms of a brief, in
// which jacamar gets it.
package briefing

import (
	"jacamar-ci/internal/config"
	"jacamar-ci/internal/customexec"
	"jacamar-ci/internal/ipc"
)

// noProfile is the CI variable by which a job's author leaves out the login
// profiles.
const noProfile = "JACAMAR_CI_NO_PROFILE"

// Settings are those of the site, without [batch].
func Settings(site config.Config, env customexec.Environ) ipc.Settings {
	general, asked := site.General, false
	if value, ok := env.Variable(noProfile); ok {
		asked = value == "true" || value == "1"
	}
	return ipc.Settings{
		Executor: string(general.Executor), DataDir: general.DataDir.String(), ShellPath: general.ShellPath,
		BashEnv: general.UserBashEnv, Login: env.Login, NoProfile: asked,
		Downscope: string(site.Auth.Downscope), Message: string(general.JobMessage),
		KillTimeout: general.KillTimeout, RetainLogs: general.RetainLogs, Storage: storage(general, env), Confinement: confinement(site.Auth),
	}
}

// confinement leaves a filter out that jacamar could not set.
func confinement(a config.Auth) ipc.Confinement {
	c := ipc.Confinement{NoNewPrivs: a.NoNewPrivs, Limits: a.Limits.Set(), RaiseStack: a.SetStackSize}
	if a.NoNewPrivs {
		c.Filter = a.Seccomp.Filter()
	}
	return c
}
