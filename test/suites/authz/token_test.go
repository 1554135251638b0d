package authz

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"strings"
	"sync"
	"testing"
	"time"

	"jacamar-ci/test/harness/fakerunner"
	"jacamar-ci/test/harness/fakerunner/gitlab"
	"jacamar-ci/test/harness/site"
)

// claimed makes a job whose token has other claims than its own.
func claimed(change func(gitlab.Claims) gitlab.Claims) func(*site.Site) fakerunner.Job {
	return func(s *site.Site) fakerunner.Job {
		j := s.Job("id -un")
		return s.WithClaims(j, change(s.GitLab.Claims(j, s.User)))
	}
}

// with sets one claim.
func with(name string, value any) func(*site.Site) fakerunner.Job {
	return claimed(func(c gitlab.Claims) gitlab.Claims { return c.With(name, value) })
}

func without(names ...string) func(*site.Site) fakerunner.Job {
	return claimed(func(c gitlab.Claims) gitlab.Claims { return c.Without(names...) })
}

// headed signs a job's claims under another header, with the server's own key.
func headed(change func(map[string]any)) func(*site.Site) fakerunner.Job {
	return func(s *site.Site) fakerunner.Job {
		j := s.Job("id -un")
		header := maps.Clone(s.GitLab.CI.Header())
		change(header)
		return site.WithToken(j, gitlab.Sign(header, s.GitLab.Claims(j, s.User), gitlab.RS256(s.GitLab.CI)))
	}
}

// header sets one parameter of it; nil removes it.
func header(name string, value any) func(*site.Site) fakerunner.Job {
	return headed(func(h map[string]any) {
		h[name] = value
		if value == nil {
			delete(h, name)
		}
	})
}

// signed makes a job's token with another algorithm.
func signed(alg string, sign func(*site.Site) gitlab.Signer) func(*site.Site) fakerunner.Job {
	return func(s *site.Site) fakerunner.Job {
		j := s.Job("id -un")
		h := map[string]any{"alg": alg, "kid": s.GitLab.CI.ID, "typ": "JWT"}
		return site.WithToken(j, gitlab.Sign(h, s.GitLab.Claims(j, s.User), sign(s)))
	}
}

// respelled gives the job its own token in another form.
func respelled(change func(string) string) func(*site.Site) fakerunner.Job {
	return func(s *site.Site) fakerunner.Job {
		j := s.Job("id -un")
		return site.WithToken(j, change(j.Variables[0].Value))
	}
}

// foreign is a key that is not the server's.
var foreign = sync.OnceValue(func() *gitlab.Key {
	k, err := gitlab.NewKey(2048)
	if err != nil {
		panic(err)
	}
	return k
})

func p256() *ecdsa.PrivateKey {
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	return k
}

func rs384(k *gitlab.Key) gitlab.Signer {
	return func(input []byte) []byte {
		sum := sha512.Sum384(input)
		sig, err := rsa.SignPKCS1v15(nil, k.Private, crypto.SHA384, sum[:])
		if err != nil {
			panic(err)
		}
		return sig
	}
}

func ps256(k *gitlab.Key) gitlab.Signer {
	return func(input []byte) []byte {
		sum := sha256.Sum256(input)
		sig, err := rsa.SignPSS(rand.Reader, k.Private, crypto.SHA256, sum[:], nil)
		if err != nil {
			panic(err)
		}
		return sig
	}
}

// TestSignature: H1, only RS256 by a published key is accepted.
func TestSignature(t *testing.T) {
	attempts(t, []attempt{
		{name: "H1 the real one", job: nil},
		{name: "H1 alg none", job: signed("none", func(*site.Site) gitlab.Signer { return gitlab.Unsigned }), rule: "token: algorithm"},
		{name: "H1 alg None", job: signed("None", func(*site.Site) gitlab.Signer { return gitlab.Unsigned }), rule: "token: algorithm"},
		{name: "H1 no signature", job: respelled(func(s string) string { return s[:strings.LastIndex(s, ".")+1] }), rule: "token: signature"},
		{name: "H1 HS256 with the public key as PEM", job: signed("HS256", func(s *site.Site) gitlab.Signer { return gitlab.HS256(s.GitLab.CI.PublicPEM()) }), rule: "token: algorithm"},
		{name: "H1 HS256 with the modulus", job: signed("HS256", func(s *site.Site) gitlab.Signer { return gitlab.HS256(s.GitLab.CI.Private.N.Bytes()) }), rule: "token: algorithm"},
		{name: "H1 HS256 declared as RS256", job: signed("RS256", func(s *site.Site) gitlab.Signer { return gitlab.HS256(s.GitLab.CI.PublicPEM()) }), rule: "token: signature"},
		{name: "H1 RS384", job: signed("RS384", func(s *site.Site) gitlab.Signer { return rs384(s.GitLab.CI) }), rule: "token: algorithm"},
		{name: "H1 RS384 declared as RS256", job: signed("RS256", func(s *site.Site) gitlab.Signer { return rs384(s.GitLab.CI) }), rule: "token: signature"},
		{name: "H1 PS256", job: signed("PS256", func(s *site.Site) gitlab.Signer { return ps256(s.GitLab.CI) }), rule: "token: algorithm"},
		{name: "H1 PS256 declared as RS256", job: signed("RS256", func(s *site.Site) gitlab.Signer { return ps256(s.GitLab.CI) }), rule: "token: signature"},
		{name: "H1 ES256", job: signed("ES256", func(*site.Site) gitlab.Signer { return gitlab.ES256(p256()) }), rule: "token: algorithm"},
		{name: "H1 lower case", job: signed("rs256", func(s *site.Site) gitlab.Signer { return gitlab.RS256(s.GitLab.CI) }), rule: "token: algorithm"},
		{name: "H1 alg is a list", job: header("alg", []string{"RS256"}), rule: "token: algorithm"},
		{name: "H1 alg absent", job: header("alg", nil), rule: "token: algorithm"},
		{name: "H1 another key under the server's id", job: signed("RS256", func(*site.Site) gitlab.Signer { return gitlab.RS256(foreign()) }), rule: "token: signature"},
		{name: "H1 one bit of the claims turned", job: respelled(tampered), rule: "token: signature"},
	})
}

// tampered changes a claim without a new signature.
func tampered(token string) string {
	parts := strings.Split(token, ".")
	b, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		panic(err)
	}
	parts[1] = base64.RawURLEncoding.EncodeToString([]byte(strings.Replace(string(b), `"user_access_level":"developer"`, `"user_access_level":"owner"`, 1)))
	return strings.Join(parts, ".")
}

// TestHeader: H2 and H3, the token names a key and supplies none.
func TestHeader(t *testing.T) {
	jwk := func(s *site.Site) fakerunner.Job {
		j := s.Job("id -un")
		h := map[string]any{"alg": "RS256", "typ": "JWT", "kid": foreign().ID, "jwk": foreign().JWK()}
		return site.WithToken(j, gitlab.Sign(h, s.GitLab.Claims(j, s.User), gitlab.RS256(foreign())))
	}
	attempts(t, []attempt{
		{name: "H2 kid absent", job: header("kid", nil), rule: "token: key id"},
		{name: "H2 kid empty", job: header("kid", ""), rule: "token: key id"},
		{name: "H2 kid is a path", job: header("kid", "../../etc/passwd"), rule: "token: key id"},
		{name: "H2 kid is a device", job: header("kid", "/dev/zero"), rule: "token: key id"},
		{name: "H2 kid with a quote", job: header("kid", `x' OR '1'='1`), rule: "token: key id"},
		{name: "H2 kid is long", job: header("kid", strings.Repeat("k", 1024)), rule: "token: key id"},
		{name: "H2 kid is very long", job: header("kid", strings.Repeat("k", 60_000)), rule: "token: size"},
		{name: "H2 kid is a number", job: header("kid", 1), rule: "token: key id"},
		{name: "H2 kid of the other key in the set", job: headed(func(h map[string]any) { h["kid"] = common(t).GitLab.Login.ID }), rule: "token: signature"},
		{name: "H3 jku", job: header("jku", "https://evil.example/jwks"), rule: "token: header"},
		{name: "H3 x5u", job: header("x5u", "https://evil.example/cert"), rule: "token: header"},
		{name: "H3 x5c", job: header("x5c", []string{"MIIB"}), rule: "token: header"},
		{name: "H3 jwk of the forger", job: jwk, rule: "token: header"},
		{name: "H3 crit", job: header("crit", []string{"exp"}), rule: "token: header"},
		{name: "H3 crit b64", job: headed(func(h map[string]any) { h["crit"], h["b64"] = []string{"b64"}, false }), rule: "token: header"},
		{name: "H3 zip", job: header("zip", "DEF"), rule: "token: header"},
		{name: "H3 enc", job: header("enc", "A256GCM"), rule: "token: header"},
		{name: "H3 cty of a nested token", job: header("cty", "JWT"), rule: "token: header"},
		{name: "H3 another type", job: header("typ", "at+jwt"), rule: "token: header"},
	})
}

// TestForm: H4 and H5, one compact JWS in one form.
func TestForm(t *testing.T) {
	part := func(token string, i int) string { return strings.Split(token, ".")[i] }
	general := func(s string) string {
		b, err := json.Marshal(map[string]any{"payload": part(s, 1), "signatures": []any{map[string]any{"protected": part(s, 0), "signature": part(s, 2)}}})
		if err != nil {
			panic(err)
		}
		return string(b)
	}
	attempts(t, []attempt{
		{name: "H4 JWE", job: respelled(func(s string) string { return s + ".aaaa.bbbb" }), rule: "token: form"},
		{name: "H4 JSON serialisation", job: respelled(general), rule: "token: form"},
		{name: "H4 flattened JSON", job: respelled(func(s string) string {
			return fmt.Sprintf(`{"payload":%q,"protected":%q,"signature":%q}`, part(s, 1), part(s, 0), part(s, 2))
		}), rule: "token: form"},
		{name: "H4 nested token", job: func(s *site.Site) fakerunner.Job {
			j := s.Job("id -un")
			inner := json.RawMessage(fmt.Sprintf("%q", j.Variables[0].Value))
			return site.WithToken(j, gitlab.Sign(s.GitLab.CI.Header(), inner, gitlab.RS256(s.GitLab.CI)))
		}, rule: "token: claims"},
		{name: "H4 two signatures", job: respelled(func(s string) string { return s + "." + part(s, 2) }), rule: "token: form"},
		{name: "H5 ten thousand dots", job: respelled(func(s string) string { return s + strings.Repeat(".", 10_000) }), rule: "token: form"},
		{name: "H5 too long", job: respelled(func(s string) string { return s + strings.Repeat("A", 17_000) }), rule: "token: size"},
		{name: "H5 no dots", job: respelled(func(s string) string { return strings.ReplaceAll(s, ".", "") }), rule: "token: form"},
		{name: "H5 one dot", job: respelled(func(s string) string { return s[:strings.LastIndex(s, ".")] }), rule: "token: form"},
		{name: "H5 empty parts", job: respelled(func(string) string { return ".." }), rule: "token: header"},
		{name: "H5 padding", job: respelled(func(s string) string { return s + "==" }), rule: "token: form"},
		{name: "H5 line end", job: respelled(func(s string) string { return s + "\n" }), rule: "token: form"},
		{name: "H5 line end inside", job: respelled(func(s string) string { return s[:20] + "\n" + s[20:] }), rule: "token: form"},
		{name: "H5 space before", job: respelled(func(s string) string { return " " + s }), rule: "token: form"},
		{name: "H5 Bearer", job: respelled(func(s string) string { return "Bearer " + s }), rule: "token: form"},
		{name: "H5 alphabet of plain base64", job: respelled(func(s string) string { return s[:len(s)-4] + "+/+/" }), rule: "token: form"},
		{name: "H5 letters beyond ASCII", job: respelled(func(s string) string { return s[:30] + "é" + s[30:] }), rule: "token: form"},
		{name: "H5 claim twice", job: func(s *site.Site) fakerunner.Job {
			j := s.Job("id -un")
			b, err := json.Marshal(s.GitLab.Claims(j, s.User))
			if err != nil {
				t.Fatal(err)
			}
			twice := json.RawMessage(`{"user_login":"root",` + string(b[1:]))
			return site.WithToken(j, gitlab.Sign(s.GitLab.CI.Header(), twice, gitlab.RS256(s.GitLab.CI)))
		}, rule: "token: claims"},
		{name: "H5 header parameter twice", job: func(s *site.Site) fakerunner.Job {
			j := s.Job("id -un")
			h := json.RawMessage(fmt.Sprintf(`{"alg":"none","alg":"RS256","kid":%q}`, s.GitLab.CI.ID))
			return site.WithToken(j, gitlab.Sign(h, s.GitLab.Claims(j, s.User), gitlab.RS256(s.GitLab.CI)))
		}, rule: "token: header"},
		{name: "H5 deep claims", job: func(s *site.Site) fakerunner.Job {
			j := s.Job("id -un")
			deep := json.RawMessage(`{"a":` + strings.Repeat("[", 4000) + strings.Repeat("]", 4000) + `}`)
			return site.WithToken(j, gitlab.Sign(s.GitLab.CI.Header(), deep, gitlab.RS256(s.GitLab.CI)))
		}, rule: "token: claims"},
		{name: "H5 claims are a list", job: func(s *site.Site) fakerunner.Job {
			return site.WithToken(s.Job("id -un"), gitlab.Sign(s.GitLab.CI.Header(), json.RawMessage(`[]`), gitlab.RS256(s.GitLab.CI)))
		}, rule: "token: claims"},
		{name: "H5 text behind the claims", job: func(s *site.Site) fakerunner.Job {
			j := s.Job("id -un")
			b, err := json.Marshal(s.GitLab.Claims(j, s.User))
			if err != nil {
				t.Fatal(err)
			}
			return site.WithToken(j, gitlab.Sign(s.GitLab.CI.Header(), json.RawMessage(string(b)+" {}"), gitlab.RS256(s.GitLab.CI)))
		}, rule: "token: claims"},
		{name: "no token at all", job: func(s *site.Site) fakerunner.Job { return site.WithToken(s.Job("id -un"), "") }, rule: "token: absent", line: "ERROR: the job has no id_token SITE_ID_TOKEN"},
		{name: "no token but text", job: respelled(func(string) string { return "please" }), rule: "token: form"},
	})
}

// TestIssuerAndAudience: H6 and H7.
func TestIssuerAndAudience(t *testing.T) {
	url := common(t).GitLab.URL
	host := strings.TrimPrefix(url, "https://")
	var all []attempt
	for name, iss := range map[string]any{
		"slash at the end": url + "/", "http": "http://" + host, "upper case": "HTTPS://" + host, "another host": "https://localhost" + host[strings.Index(host, ":"):],
		"no port": "https://127.0.0.1", "another port": "https://127.0.0.1:1", "userinfo": "https://x@" + host, "space": " " + url, "bare host": host, "empty": "",
		"list": []string{url}, "number": 1, "null": nil, "path": url + "/x", "fragment": url + "#x",
	} {
		all = append(all, attempt{name: "H6 iss " + name, job: with("iss", iss), rule: "token: issuer"})
	}
	for name, aud := range map[string]any{
		"null": nil, "empty": "", "prefix": url[:len(url)-1], "longer": url + "/", "another": "https://vault.example", "upper case": strings.ToUpper(url),
		"empty list": []string{}, "list of others": []string{"a", "b"}, "list with a number": []any{url, 1}, "list in a list": []any{[]string{url}}, "object": map[string]string{url: url},
		"space": url + " ", "list in one text": url + " https://vault.example",
	} {
		all = append(all, attempt{name: "H7 aud " + name, job: with("aud", aud), rule: "token: audience"})
	}
	all = append(all,
		attempt{name: "H6 iss absent", job: without("iss"), rule: "token: issuer"},
		attempt{name: "H6 iss of its own setting", job: with("iss", "https://gitlab.example"), change: func(_ *site.Site, c site.Config) { c.Set("general", "jwt_issuer", "https://gitlab.example") }},
		attempt{name: "H7 aud absent", job: without("aud"), rule: "token: audience"},
		attempt{name: "H7 aud list with ours", job: with("aud", []string{"https://vault.example", url})},
		attempt{name: "H7 aud of the site's own", job: with("aud", "cluster-a"), change: func(_ *site.Site, c site.Config) { c.Set("general", "jwt_required_aud", "cluster-a") }},
		attempt{name: "H7 aud of GitLab where the site has its own", change: func(_ *site.Site, c site.Config) { c.Set("general", "jwt_required_aud", "cluster-a") }, rule: "token: audience"},
		attempt{name: "H7 no audience configured", change: func(_ *site.Site, c site.Config) { c.Set("general", "jwt_required_aud", "") }, line: misconfigured},
	)
	attempts(t, all)
}

// TestTimes: H8 in the config stage.
func TestTimes(t *testing.T) {
	now := time.Now().Unix()
	var all []attempt
	for _, name := range []string{"exp", "nbf", "iat"} {
		for kind, value := range map[string]any{
			"text": fmt.Sprint(now), "float": float64(now) + 0.5, "2^63": json.Number("9223372036854775808"), "negative": -1, "null": nil, "exponent": json.Number("1e3"),
		} {
			all = append(all, attempt{name: "H8 " + name + " " + kind, job: with(name, value), rule: "token: claims"})
		}
		all = append(all, attempt{name: "H8 " + name + " absent", job: without(name), rule: "token: claims"})
	}
	span := func(iat, nbf, exp int64) func(*site.Site) fakerunner.Job {
		return claimed(func(c gitlab.Claims) gitlab.Claims {
			now := time.Now().Unix() // the case may have waited for its turn
			return c.With("iat", now+iat).With("nbf", now+nbf).With("exp", now+exp)
		})
	}
	all = append(all,
		attempt{name: "H8 expired", job: span(-7200, -7205, -3600), rule: "token: expired"},
		attempt{name: "H8 just expired, clocks apart", job: span(-3600, -3605, -20)},
		attempt{name: "H8 of tomorrow", job: span(86400, 86395, 90000), rule: "token: time"},
		attempt{name: "H8 not valid yet", job: span(0, 3600, 7200), rule: "token: time"},
		attempt{name: "H8 a little early, clocks apart", job: span(30, 25, 3600)},
		attempt{name: "H8 ends before it begins", job: span(0, -5, -1), rule: "token: time"},
		attempt{name: "H8 jti absent", job: without("jti"), rule: "token: claims"},
		attempt{name: "H8 jti long", job: with("jti", strings.Repeat("j", 300)), rule: "token: claims"},
	)
	attempts(t, all)
}
