package idtoken

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"jacamar-ci/internal/auth/internal/claims"
	"jacamar-ci/internal/failure"
	"jacamar-ci/internal/job"
)

func soundIdentity() claims.Identity {
	return claims.Identity{
		JobID:     1001,
		Project:   claims.Project{ID: 20, Path: "hpc/solver"},
		Source:    claims.Project{ID: 20, Path: "hpc/solver"},
		Namespace: claims.Namespace{ID: 7, Path: "hpc"},
		Pipeline:  claims.Pipeline{ID: 501, Source: "push"},
		User: claims.User{
			ID: 42, Login: "alice", Email: "alice@site.example",
			Identities: []claims.External{{Provider: "ldapmain", ExternUID: "uid=alice,dc=site"}},
		},
		Ref:      claims.Ref{Name: "main", Protected: true},
		RunnerID: 3,
		Token: claims.Token{
			ID: "6f9e3c1e-5a04-4c39-9c8e-0f2f5d3a7b11", Issuer: siteIssuer,
			IssuedAt: issued, NotBefore: issued.Add(-5 * time.Second), Expires: issued.Add(time.Hour),
		},
	}
}

// TestVerify is what each sound token comes out as.
func TestVerify(t *testing.T) {
	forks := func(r *Rules) { r.AllowForks = true }
	for _, c := range []struct {
		name   string
		claims fields
		rules  func(*Rules)
		want   func(*claims.Identity)
	}{
		{"GitLab 18.4", soundClaims(), nil, nil},
		{"GitLab 18.2", oldGitLab(soundClaims()), nil, nil},
		{"GitLab 15.7", oldGitLab(soundClaims()).with("user_access_level", absent).with("ref_path", absent).with("runner_id", absent), nil, func(id *claims.Identity) {
			id.RunnerID = 0
		}},
		{"what a user may lack", soundClaims().with("user_identities", absent).with("groups_direct", absent).with("environment", absent).with("user_email", absent), nil, func(id *claims.Identity) {
			id.User.Identities, id.User.Email = nil, ""
		}},
		{"the same as null", soundClaims().with("user_identities", nil).with("groups_direct", nil).with("environment", nil).with("user_email", nil).with("user_access_level", nil), nil, func(id *claims.Identity) {
			id.User.Identities, id.User.Email = nil, ""
		}},
		{"a half-made link", soundClaims().with("user_identities", []fields{{"provider": "x", "extern_uid": ""}, {"provider": "", "extern_uid": "y"}}), nil, func(id *claims.Identity) { id.User.Identities = nil }},
		{"runner id as text", soundClaims().with("runner_id", "3"), nil, nil},
		{"protected as boolean", soundClaims().with("ref_protected", true), nil, nil},
		{"not protected", soundClaims().with("ref_protected", "false"), nil, func(id *claims.Identity) { id.Ref.Protected = false }},
		{"not protected, as boolean", soundClaims().with("ref_protected", false), nil, func(id *claims.Identity) { id.Ref.Protected = false }},
		{"other letters than ASCII", soundClaims().with("ref", "größe-π").with("user_login", "zoë"), nil, func(id *claims.Identity) { id.Ref.Name, id.User.Login = "größe-π", "zoë" }},
		{"names at the longest", soundClaims().with("user_login", strings.Repeat("a", 255)).with("ref", strings.Repeat("r", 4096)), nil, func(id *claims.Identity) {
			id.User.Login, id.Ref.Name = strings.Repeat("a", 255), strings.Repeat("r", 4096)
		}},
		{"an audience list", soundClaims().with("aud", []string{"vault", siteAudience}), nil, nil},
		{"an allowed fork, GitLab 18.4", fork(), forks, func(id *claims.Identity) {
			id.Source = claims.Project{ID: 21, Path: "mallory/solver"}
		}},
		{"an allowed fork, GitLab 18.2.2", oldGitLab(fork()), forks, func(id *claims.Identity) {
			id.Source = claims.Project{ID: 21, Path: "mallory/solver"}
			id.Project.Path, id.Namespace = "", claims.Namespace{}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			rules, want := soundRules(), soundIdentity()
			if c.rules != nil {
				c.rules(&rules)
			}
			if c.want != nil {
				c.want(&want)
			}
			got, err := verify(t, sign(t, soundHeader(), c.claims), rules, soundExpected(), issued)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("identity (-want +got):\n%s", diff)
			}
		})
	}
}

func TestVerifyRequiresRules(t *testing.T) {
	for _, c := range []struct {
		name  string
		rules Rules
	}{
		{"H7 no audience configured", Rules{Issuer: siteIssuer}},
		{"H6 no issuer configured", Rules{Audience: siteAudience}},
	} {
		t.Run(c.name, func(t *testing.T) {
			// A token that would agree with the gap.
			token := sign(t, soundHeader(), soundClaims().with("aud", c.rules.Audience).with("iss", c.rules.Issuer))
			_, err := verify(t, token, c.rules, soundExpected(), issued)
			if failure.KindOf(err) != failure.Config || err == nil {
				t.Errorf("error %v, want a fault of the configuration", err)
			}
		})
	}
}

func TestVerifySignature(t *testing.T) {
	parts := strings.Split(soundToken(t), ".")
	evil := b64(marshal(t, soundClaims().with("user_login", "root")))
	for _, c := range []struct {
		name, token string
		want        Rule
	}{
		{"H2 unknown key", sign(t, soundHeader().with("kid", "another"), soundClaims()), RuleKey},
		{"H2 the login key's id on the CI key's signature", sign(t, soundHeader().with("kid", loginID), soundClaims()), RuleSignature},
		{"signed with the key of another server", signBytes(t, marshal(t, soundHeader()), marshal(t, soundClaims()), otherKey()), RuleSignature},
		{"other claims under a sound signature", parts[0] + "." + evil + "." + parts[2], RuleSignature},
		{"no signature", parts[0] + "." + parts[1] + ".", RuleSignature},
		{"half a signature", parts[0] + "." + parts[1] + "." + parts[2][:172], RuleSignature},
		{"a signature with a byte more", parts[0] + "." + parts[1] + "." + parts[2][:340] + "AAAA", RuleSignature},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := verify(t, c.token, soundRules(), soundExpected(), issued)
			wantRefusal(t, err, c.want, c.token)
		})
	}
}

// TestVerifyEveryByte changes each byte of a sound token in turn.
func TestVerifyEveryByte(t *testing.T) {
	sound := soundToken(t)
	keys := soundKeys(t)
	for i := range sound {
		for _, c := range []byte{'A', 'B', '_', '.', '=', ' ', '\n', 0, 0x80} {
			token := []byte(sound)
			if token[i] == c {
				continue
			}
			token[i] = c
			tok, err := Parse(job.NewSecret(string(token)))
			if err == nil {
				_, err = tok.Verify(keys, soundRules(), soundExpected(), issued)
			}
			if !isDenied(err) {
				t.Fatalf("byte %d as %q: error %v, want a denial", i, c, err)
			}
		}
	}
}

// TestVerifySignatureFirst: the claims are broken in every rule at
// once, and the signature is what is refused.
func TestVerifySignatureFirst(t *testing.T) {
	token := signBytes(t, marshal(t, soundHeader()), []byte(`{"iss":"x","iss":"y"}`), otherKey())
	_, err := verify(t, token, soundRules(), claims.Expected{}, issued)
	wantRefusal(t, err, RuleSignature, token)
}

func TestVerifyPayload(t *testing.T) {
	sound := string(marshal(t, soundClaims()))
	for _, c := range []struct{ name, payload string }{
		{"not JSON", "hello"},
		{"empty", ""},
		{"null", "null"},
		{"a list", "[]"},
		{"two objects", sound + sound},
		{"H5 a claim twice", sound[:len(sound)-1] + `,"user_login":"root"}`},
		{"H5 a claim twice, once escaped", sound[:len(sound)-1] + `,"user\u005flogin":"root"}`},
		{"H5 a key twice in depth", sound[:len(sound)-1] + `,"x":{"a":{"b":1,"b":2}}}`},
		{"not UTF-8", sound[:len(sound)-1] + ",\"x\":\"\xff\"}"},
		{"a number that is none", sound[:len(sound)-1] + `,"x":01}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			token := signBytes(t, marshal(t, soundHeader()), []byte(c.payload), ciKey())
			_, err := verify(t, token, soundRules(), soundExpected(), issued)
			wantRefusal(t, err, RuleClaims, token)
		})
	}
}

// TestVerifyDepth: a payload that is nested deeper than any of GitLab's is refused,
// under a sound signature too, and never exhausts the stack.
func TestVerifyDepth(t *testing.T) {
	sound := string(marshal(t, soundClaims()))
	for _, tt := range []struct {
		depth int
		ok    bool
	}{{15, true}, {16, false}, {5000, false}} {
		deep := sound[:len(sound)-1] + `,"x":` + strings.Repeat("[", tt.depth) + strings.Repeat("]", tt.depth) + "}"
		token := signBytes(t, marshal(t, soundHeader()), []byte(deep), ciKey())
		_, err := verify(t, token, soundRules(), soundExpected(), issued)
		if !tt.ok {
			wantRefusal(t, err, RuleClaims, token)
		} else if err != nil {
			t.Errorf("depth %d: %v", tt.depth, err)
		}
	}
}

func TestH6Issuer(t *testing.T) {
	for _, c := range []struct {
		name string
		iss  any
	}{
		{"H6 trailing slash", siteIssuer + "/"},
		{"H6 http", "http://gitlab.site.example"},
		{"H6 upper case", "https://GitLab.site.example"},
		{"H6 port", siteIssuer + ":443"},
		{"H6 user info", "https://x@gitlab.site.example"},
		{"H6 longer host", siteIssuer + ".evil.example"},
		{"H6 path", siteIssuer + "/gitlab"},
		{"H6 blank", siteIssuer + " "},
		{"H6 bare host, as CI_JOB_JWT had", "gitlab.site.example"},
		{"H6 the audience", siteAudience},
		{"H6 empty", ""},
		{"H6 absent", absent},
		{"H6 null", nil},
		{"H6 a list", []string{siteIssuer}},
		{"H6 an object", fields{"a": 1}},
	} {
		t.Run(c.name, func(t *testing.T) {
			token := sign(t, soundHeader(), soundClaims().with("iss", c.iss))
			_, err := verify(t, token, soundRules(), soundExpected(), issued)
			wantRefusal(t, err, RuleIssuer, token)
		})
	}
}

func TestH7Audience(t *testing.T) {
	for _, c := range []struct {
		name string
		aud  any
	}{
		{"H7 absent", absent},
		{"H7 null", nil},
		{"H7 empty", ""},
		{"H7 a prefix", siteAudience[:len(siteAudience)-1]},
		{"H7 longer", siteAudience + "/"},
		{"H7 upper case", strings.ToUpper(siteAudience)},
		{"H7 the issuer", siteIssuer},
		{"H7 another", "vault"},
		{"H7 an empty list", []string{}},
		{"H7 a list without it", []string{"vault", siteIssuer}},
		{"H7 a list with a number", []any{siteAudience, 7}},
		{"H7 a list with an object", []any{fields{"a": 1}, siteAudience}},
		{"H7 a list in a list", []any{[]string{siteAudience}}},
		{"H7 an object", fields{siteAudience: siteAudience}},
		{"H7 comma separated", "vault," + siteAudience},
	} {
		t.Run(c.name, func(t *testing.T) {
			token := sign(t, soundHeader(), soundClaims().with("aud", c.aud))
			_, err := verify(t, token, soundRules(), soundExpected(), issued)
			wantRefusal(t, err, RuleAudience, token)
		})
	}
}

func TestH8WholeSeconds(t *testing.T) {
	at := issued.Unix()
	for _, claim := range []string{"exp", "nbf", "iat"} {
		for _, c := range []struct {
			name  string
			value any
		}{
			{"absent", absent},
			{"null", nil},
			{"text", "1795176000"},
			{"float", float64(at) + 0.5},
			{"whole float", rawNumber("1795176000.0")},
			{"exponent", rawNumber("1.795176e9")},
			{"negative", -1},
			{"2^63", rawNumber("9223372036854775808")},
			{"2^63-1", rawNumber("9223372036854775807")},
			{"after the year 9999", rawNumber("253402300800")},
			{"boolean", true},
			{"list", []int64{at}},
		} {
			t.Run("H8 "+claim+" "+c.name, func(t *testing.T) {
				token := sign(t, soundHeader(), soundClaims().with(claim, c.value))
				_, err := verify(t, token, soundRules(), soundExpected(), issued)
				wantRefusal(t, err, RuleClaims, token)
			})
		}
	}
}

// rawNumber is a number in one very spelling.
type rawNumber string

func (n rawNumber) MarshalJSON() ([]byte, error) { return []byte(n), nil }

func TestH8FirstAndLastSecond(t *testing.T) {
	claims := soundClaims().with("exp", rawNumber("253402300799")).with("iat", 0)
	if _, err := verify(t, sign(t, soundHeader(), claims), soundRules(), soundExpected(), issued); err != nil {
		t.Error(err)
	}
}

func TestH8Clock(t *testing.T) {
	const second = time.Second
	jti := soundIdentity().Token.ID
	accepted := func(e Expiry) func(*Rules) {
		return func(r *Rules) { r.Accepted, r.Expiry = jti, e }
	}
	never := func(e Expiry) func(*Rules) {
		return func(r *Rules) { r.Expiry = e }
	}
	end := time.Hour + MaxSkew // the token's last tolerated moment is one instant before
	for _, c := range []struct {
		name   string
		claims fields
		rules  func(*Rules)
		after  time.Duration // since it was issued
		want   Rule
	}{
		{"H8 our clock a minute behind", soundClaims(), nil, -60 * second, ""},
		{"H8 our clock more than a minute behind", soundClaims(), nil, -61 * second, RuleTime},
		{"H8 nbf a minute ahead", soundClaims().with("nbf", issued.Unix()+60), nil, 0, ""},
		{"H8 nbf more than a minute ahead", soundClaims().with("nbf", issued.Unix()+61), nil, 0, RuleTime},
		{"H8 just before the end", soundClaims(), nil, end - second, ""},
		{"H8 at the end", soundClaims(), nil, end, RuleExpired},
		{"H8 long after the end", soundClaims(), nil, 24 * time.Hour, RuleExpired},
		{"H8 ends when issued", soundClaims().with("exp", issued.Unix()), nil, 0, RuleTime},
		{"H8 ends one second later", soundClaims().with("exp", issued.Unix()+1), nil, 0, ""},
		{"H8 ends before issued", soundClaims().with("exp", issued.Unix()-1), nil, 0, RuleTime},

		{"H8 expired between two stages", soundClaims(), accepted(Expiry{}), end, RuleExpired},
		{"H8 expired between two stages, within the grace", soundClaims(), accepted(Grace(10 * second)), end + 9*second, ""},
		{"H8 expired between two stages, after the grace", soundClaims(), accepted(Grace(10 * second)), end + 10*second, RuleExpired},
		{"H8 grace, but nothing was accepted", soundClaims(), never(Grace(10 * second)), end, RuleExpired},
		{"H8 expired in cleanup", soundClaims(), accepted(Ignored()), 1000 * time.Hour, ""},
		{"H8 expired in cleanup, but nothing was accepted", soundClaims(), never(Ignored()), end, RuleExpired},
		{"H8 before its time in cleanup", soundClaims().with("nbf", issued.Unix()+61), accepted(Ignored()), 0, RuleTime},
		{"H8 another token in cleanup", soundClaims().with("jti", "another"), accepted(Ignored()), 0, RuleSame},
		{"another token than config accepted", soundClaims().with("jti", "another"), accepted(Expiry{}), 0, RuleSame},
		{"the token that config accepted", soundClaims(), accepted(Expiry{}), 0, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			rules := soundRules()
			if c.rules != nil {
				c.rules(&rules)
			}
			token := sign(t, soundHeader(), c.claims)
			_, err := verify(t, token, rules, soundExpected(), issued.Add(c.after))
			if c.want != "" {
				wantRefusal(t, err, c.want, token)
			} else if err != nil {
				t.Error(err)
			}
		})
	}
}

func TestRuleOf(t *testing.T) {
	if rule, ok := RuleOf(failure.Deniedf("by another package")); ok {
		t.Errorf("RuleOf = %q of a denial that is no rule's", rule)
	}
	if _, ok := RuleOf(nil); ok {
		t.Error("RuleOf(nil) is a rule")
	}
	err := refuse(RuleAudience, "want %q", "x")
	if want := `token: audience: want "x"`; err.Error() != want {
		t.Errorf("text %q, want %q", err, want)
	}
}
