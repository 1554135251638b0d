package idtoken

import (
	"time"

	"jacamar-ci/internal/failure"
	"jacamar-ci/internal/job"
)

// Rules are the site's rules for tokens and what the config stage of the same
// job has settled.
type Rules struct {
	// Issuer is what iss must be, byte for byte. Required.
	Issuer string
	// Audience must be aud or one of its entries. Required.
	Audience string
	// Advice tells the job's author what to write for a token with that audience.
	Advice string
	// MaxLife bounds exp - iat; 0 is no bound.
	MaxLife time.Duration
	// RunnerIDs are this site's runners; empty is any.
	RunnerIDs []job.ID
	// AllowForks lets merge request pipelines of forks run.
	AllowForks bool
	// Accepted is the id (jti) of the token that this job's config stage
	// accepted, "" in config itself. A later stage has to show the same token.
	Accepted string
	// Expiry is what an expired token means, once it is the accepted one.
	Expiry Expiry
}

// Expiry is how long after exp the token of this job, once accepted, is still
// good. A token lives as long as the job may, so the stages after a timeout meet
// an expired one. The zero value tolerates nothing.
type Expiry struct {
	grace   time.Duration
	ignored bool
}

// Grace tolerates an accepted token for a time after its end.
func Grace(d time.Duration) Expiry { return Expiry{grace: d} }

// Ignored tolerates an accepted token indefinitely. It is for cleanup, which must
// not leave a batch job behind.
func Ignored() Expiry { return Expiry{ignored: true} }

func (r Rules) check() error {
	switch {
	case r.Issuer == "":
		return failure.Configf("cannot verify a token: no issuer is configured")
	case r.Audience == "":
		return failure.Configf("cannot verify a token: no audience is configured")
	}
	return nil
}
