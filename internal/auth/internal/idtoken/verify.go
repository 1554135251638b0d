package idtoken

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"jacamar-ci/internal/auth/internal/claims"
	"jacamar-ci/internal/job"
)

// skew is how far the clocks of GitLab and of this host may be apart.
const skew = time.Minute

// Verify checks the signature with the token's own key of the set, and then
// every claim against the rules and the job that is expected.
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
	return judge(payload, rules, expected, now)
}

// judge reads the claims, which the server has signed.
func judge(payload []byte, rules Rules, expected claims.Expected, now time.Time) (claims.Identity, error) {
	values, ok := decodeObject(payload)
	if !ok {
		return claims.Identity{}, refuse(RuleClaims, "they are not one JSON object with distinct keys")
	}
	c := &claimSet{values: values}
	token, err := acceptToken(c, rules, now)
	if err != nil {
		return claims.Identity{}, err
	}
	return bind(c, token, rules, expected)
}

// acceptToken holds the claims about the token itself against the rules.
func acceptToken(c *claimSet, rules Rules, now time.Time) (claims.Token, error) {
	if iss := c.values["iss"]; iss != rules.Issuer {
		s, _ := iss.(string)
		return claims.Token{}, refuse(RuleIssuer, "%q made it, not %q", job.Clip(s), rules.Issuer)
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

// audience reports whether aud, one text or a list of texts (RFC 7519 section
// 4.1.3), has the wanted one.
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

// wrongAudience is the refusal of a mistake that job authors often make. What it
// repeats is of their own token, whose signature holds.
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
	return refuse(RuleAudience, "it is not for %q: it has %s", rules.Audience, has).
		WithPublic("the job's id_token has %s, and this resource expects %q", has, rules.Audience).
		WithHint("%s", rules.Advice)
}

func checkTimes(t claims.Token, rules Rules, now time.Time) error {
	life := t.Expires.Sub(t.IssuedAt)
	switch {
	case t.IssuedAt.After(now.Add(skew)):
		return refuse(RuleTime, "it was issued %s from now: check both clocks", whole(t.IssuedAt.Sub(now)))
	case t.NotBefore.After(now.Add(skew)):
		return refuse(RuleTime, "it is not valid before %s from now", whole(t.NotBefore.Sub(now)))
	case life <= 0:
		return refuse(RuleTime, "it ends before it was issued")
	case rules.MaxLife > 0 && life > rules.MaxLife:
		return refuse(RuleLife, "it lives for %s, longer than %s", life, rules.MaxLife)
	case rules.Accepted != "" && t.ID != rules.Accepted:
		return refuse(RuleSame, "it is %q, but the config stage accepted %q", t.ID, job.Clip(rules.Accepted))
	case rules.Accepted != "" && rules.Expiry.ignored:
		return nil
	}
	end := t.Expires.Add(skew)
	if rules.Accepted != "" {
		end = end.Add(rules.Expiry.grace)
	}
	if !now.Before(end) {
		return refuse(RuleExpired, "it ended %s ago", whole(now.Sub(t.Expires))).
			WithPublic("the job's id_token has expired: it was valid until %s", t.Expires.UTC().Format("2006-01-02 15:04:05 UTC")).
			WithHint("start the job again; a token is valid for as long as the job's timeout allows, which may be too short for the job")
	}
	return nil
}

func whole(d time.Duration) time.Duration { return d.Truncate(time.Second) }
