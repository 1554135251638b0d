package idtoken

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"jacamar-ci/internal/auth/internal/claims"
	"jacamar-ci/internal/failure"
	"jacamar-ci/internal/job"
	"jacamar-ci/internal/strictjson"
)

// MaxSkew is the accepted difference between the clocks of GitLab and this host.
const MaxSkew = time.Minute

// Verify checks the signature with the key of the set that the token names, and then
// every claim against the rules and the expected job.
func (t Token) Verify(keys KeySet, rules Rules, expected claims.Expected, now time.Time) (claims.Identity, error) {
	if err := rules.check(); err != nil {
		return claims.Identity{}, err
	}
	key := keys.keys[t.kid]
	if key == nil {
		return claims.Identity{}, refuse(RuleKey, "the server has no key %q", t.kid)
	}
	payload, err := t.verify(key)
	if err != nil {
		return claims.Identity{}, err
	}
	return checkPayload(payload, rules, expected, now)
}

// checkPayload checks the claims, whose signature was verified.
func checkPayload(payload []byte, rules Rules, expected claims.Expected, now time.Time) (claims.Identity, error) {
	values, err := strictjson.Object(payload)
	if err != nil {
		return claims.Identity{}, refuse(RuleClaims, "not one JSON object with distinct keys")
	}
	c := &claimSet{values: values}
	token, err := acceptToken(c, rules, now)
	if err != nil {
		return claims.Identity{}, err
	}
	return bind(c, token, rules, expected)
}

// acceptToken checks the claims about the token itself.
func acceptToken(c *claimSet, rules Rules, now time.Time) (claims.Token, error) {
	if iss := c.values["iss"]; iss != rules.Issuer {
		s, _ := iss.(string)
		return claims.Token{}, refuse(RuleIssuer, "issuer is %q, want %q", job.Clip(s), rules.Issuer)
	}
	if !audience(c.values["aud"], rules.Audience) {
		return claims.Token{}, wrongAudience(c.values["aud"], rules)
	}
	token := claims.Token{
		ID:        c.text("jti", nameLength),
		Issuer:    rules.Issuer,
		IssuedAt:  c.second("iat"),
		NotBefore: c.second("nbf"),
		Expires:   c.second("exp"),
	}
	if c.err != nil {
		return claims.Token{}, c.err
	}
	return token, checkTimes(token, rules, now)
}

// audience reports whether aud, a string or a list of strings (RFC 7519 section
// 4.1.3), contains want.
func audience(aud any, want string) bool {
	list, ok := aud.([]any)
	if !ok {
		return aud == want
	}
	for _, a := range list {
		if _, text := a.(string); !text {
			return false
		}
	}
	return slices.Contains(list, any(want))
}

// Absent is the refusal of a job without the variable of that name.
func Absent(name string, advice failure.Advice) error {
	text := fmt.Sprintf("the job has no id_token %s", name)
	return refuse(RuleAbsent, "%s", text).WithPublic("%s", text).WithAdvice(advice)
}

// wrongAudience is the refusal of a mistake that job authors often make. It repeats
// a value of their own token, whose signature was verified.
func wrongAudience(aud any, rules Rules) error {
	has := "no aud"
	switch aud := aud.(type) {
	case string:
		has = fmt.Sprintf("the aud %q", job.Clip(aud))
	case []any:
		var all []string
		for _, a := range aud {
			all = append(all, fmt.Sprint(a))
		}
		has = fmt.Sprintf("the aud %q", job.Clip(strings.Join(all, ", ")))
	}
	return refuse(RuleAudience, "the token has %s, want %q", has, rules.Audience).
		WithPublic("the job's id_token has %s, and this resource expects %q", has, rules.Audience).
		WithAdvice(rules.Advice)
}

func checkTimes(t claims.Token, rules Rules, now time.Time) error {
	switch {
	case t.IssuedAt.After(now.Add(MaxSkew)):
		return refuse(RuleTime, "issued %s in the future: check the clocks of GitLab and of this host", wholeSeconds(t.IssuedAt.Sub(now)))
	case t.NotBefore.After(now.Add(MaxSkew)):
		return refuse(RuleTime, "not valid for another %s: check the clocks of GitLab and of this host", wholeSeconds(t.NotBefore.Sub(now)))
	case !t.Expires.After(t.IssuedAt):
		return refuse(RuleTime, "its exp is not after its iat")
	case rules.Accepted != "" && t.ID != rules.Accepted:
		return refuse(RuleSame, "token id is %q, but the config stage accepted %q", t.ID, job.Clip(rules.Accepted))
	case rules.Accepted != "" && rules.Expiry.ignored:
		return nil
	}
	end := t.Expires.Add(MaxSkew)
	if rules.Accepted != "" {
		end = end.Add(rules.Expiry.grace)
	}
	if !now.Before(end) {
		return refuse(RuleExpired, "expired %s ago", wholeSeconds(now.Sub(t.Expires))).
			WithPublic("the job's id_token has expired: it was valid until %s", t.Expires.UTC().Format("2006-01-02 15:04:05 UTC")).
			WithHint("start the job again; a token is valid for the job's timeout, which may be too short for the job")
	}
	return nil
}

func wholeSeconds(d time.Duration) time.Duration { return d.Truncate(time.Second) }
