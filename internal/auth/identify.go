package auth

import (
	"context"
	"time"

	"jacamar-ci/internal/auth/internal/claims"
	"jacamar-ci/internal/auth/internal/idtoken"
	"jacamar-ci/internal/customexec"
	"jacamar-ci/internal/failure"
	"jacamar-ci/internal/job"
)

// identify verifies the job's token against the keys of the site's GitLab and against
// the job response.
func (d *authDriver) identify(ctx context.Context) (claims.Identity, error) {
	name := string(d.Site.General.JWTEnvVariable)
	raw, ok := d.Env.Token(name, d.Facts)
	if !ok {
		return claims.Identity{}, idtoken.Absent(name, d.tokenAdvice())
	}
	token, err := idtoken.Parse(raw)
	if err != nil {
		return claims.Identity{}, err
	}
	keys, err := d.keys(ctx, token.KeyID())
	if err != nil {
		return claims.Identity{}, err
	}
	return token.Verify(keys, d.tokenRules(), expected(d.Facts), time.Now())
}

func expected(r customexec.Response) claims.Expected {
	return claims.Expected{
		JobID: r.ID, ProjectID: r.ProjectID, PipelineID: r.PipelineID, UserID: r.UserID, ScopedUserID: r.ScopedUserID,
	}
}

func (d *authDriver) tokenAdvice() failure.Advice {
	return customexec.TokenAdvice(string(d.Site.General.JWTEnvVariable), d.Site.General.JWTRequiredAud)
}

// tokenRules are the site's. An expired token is accepted in the stages after config if
// config has accepted the same one, and always in cleanup.
func (d *authDriver) tokenRules() idtoken.Rules {
	rules := idtoken.Rules{
		Issuer: d.Site.General.JWTIssuer, Audience: d.Site.General.JWTRequiredAud, Advice: d.tokenAdvice(),
		RunnerIDs: d.Site.Auth.RunnerIDs.Items, AllowForks: d.Site.Auth.AllowForkPipelines,
		Accepted: d.state.TokenID,
	}
	switch d.Call.Stage {
	case job.Config:
	case job.Cleanup:
		rules.Expiry = idtoken.Ignored()
		if d.Resumed {
			rules.RunnerIDs, rules.AllowForks = nil, true // the config stage accepted this very token
		}
	default:
		rules.Expiry = idtoken.Grace(d.Site.General.JWTExpDelay)
	}
	return rules
}

func (d *authDriver) keys(ctx context.Context, kid string) (idtoken.KeySet, error) {
	keys, err := d.keySource(ctx)
	if err != nil {
		return idtoken.KeySet{}, err
	}
	return keys.Get(ctx, kid, time.Now())
}

func (d *authDriver) keySource(ctx context.Context) (*idtoken.Keys, error) {
	dir, err := d.stateDir(ctx)
	if err != nil {
		return nil, err
	}
	general := d.Site.General
	return idtoken.NewKeys(idtoken.KeySettings{
		GitLab: general.GitLabServer, JWKS: general.JWKSURL, AnyLoopbackPort: general.InsecureLoopbackHTTP, Proxy: general.HTTPSProxy.URL(), CAFile: general.TLSCAFile, State: dir,
		MaxAge: general.JWKSMaxAge, StaleMax: general.JWKSStaleMax, Program: d.keysProgram, FetchAs: d.fetchIDs(), Warn: d.warn,
	})
}

// ownAccount is the account that this process itself runs as.
func (d *authDriver) ownAccount(ctx context.Context) (job.Account, error) {
	return d.names().ByUID(ctx, d.uid)
}
