package idtoken

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"strings"
	"testing"

	"jacamar-ci/internal/failure"
	"jacamar-ci/internal/job"
)

func isDenied(err error) bool { return failure.KindOf(err) == failure.Denied }

func TestParseAcceptsSoundForms(t *testing.T) {
	for _, c := range []struct {
		name   string
		header fields
	}{
		{"as GitLab sends it", soundHeader()},
		{"without type", soundHeader().with("typ", absent)},
		{"with an unknown parameter", soundHeader().with("x5t", "abc")},
		{"key id at the longest", soundHeader().with("kid", strings.Repeat("k", 128))},
		{"key id of all characters", soundHeader().with("kid", "azAZ09-_.:=+")},
	} {
		t.Run(c.name, func(t *testing.T) {
			tok, err := Parse(job.NewSecret(sign(t, c.header, soundClaims())))
			if err != nil {
				t.Fatal(err)
			}
			if tok.KeyID() != c.header["kid"] {
				t.Errorf("KeyID() = %q, want %q", tok.KeyID(), c.header["kid"])
			}
		})
	}
}

// signed replaces the signature of a token's first two parts.
func signed(t *testing.T, header fields, sign func(input []byte) ([]byte, error)) string {
	t.Helper()
	input := b64(marshal(t, header)) + "." + b64(marshal(t, soundClaims()))
	sig, err := sign([]byte(input))
	if err != nil {
		t.Fatal(err)
	}
	return input + "." + b64(sig)
}

// TestH1 is every other algorithm, each with a signature that is right for it.
func TestH1Algorithms(t *testing.T) {
	der, err := x509.MarshalPKIXPublicKey(&ciKey().PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	public := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	none := func([]byte) ([]byte, error) { return nil, nil }
	hs256 := func(in []byte) ([]byte, error) {
		m := hmac.New(sha256.New, public)
		m.Write(in)
		return m.Sum(nil), nil
	}
	rs384 := func(in []byte) ([]byte, error) {
		sum := sha512.Sum384(in)
		return rsa.SignPKCS1v15(nil, ciKey(), crypto.SHA384, sum[:])
	}
	ps256 := func(in []byte) ([]byte, error) {
		sum := sha256.Sum256(in)
		return rsa.SignPSS(rand.Reader, ciKey(), crypto.SHA256, sum[:], nil)
	}
	es256 := func(in []byte) ([]byte, error) {
		sum := sha256.Sum256(in)
		r, s, err := ecdsa.Sign(rand.Reader, ec, sum[:])
		return append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...), err
	}
	rs256 := func(in []byte) ([]byte, error) {
		sum := sha256.Sum256(in)
		return rsa.SignPKCS1v15(nil, ciKey(), crypto.SHA256, sum[:])
	}
	for _, c := range []struct {
		name string
		alg  any
		sign func([]byte) ([]byte, error)
	}{
		{"H1 none, CVE-2015-9235", "none", none},
		{"H1 None", "None", none},
		{"H1 empty name", "", none},
		{"H1 HS256 with the public key, CVE-2016-5431", "HS256", hs256},
		{"H1 RS384", "RS384", rs384},
		{"H1 PS256", "PS256", ps256},
		{"H1 ES256", "ES256", es256},
		{"H1 rs256 in lower case", "rs256", rs256},
		{"H1 absent", absent, rs256},
		{"H1 a list", []string{"RS256"}, rs256},
		{"H1 null", nil, rs256},
	} {
		t.Run(c.name, func(t *testing.T) {
			token := signed(t, soundHeader().with("alg", c.alg), c.sign)
			_, err := Parse(job.NewSecret(token))
			wantRefusal(t, err, RuleAlgorithm, token)
		})
	}
}

func TestH2KeyID(t *testing.T) {
	for _, c := range []struct {
		name string
		kid  any
		want Rule
	}{
		{"H2 absent", absent, RuleKeyID},
		{"H2 null", nil, RuleKeyID},
		{"H2 empty", "", RuleKeyID},
		{"H2 a number", 7, RuleKeyID},
		{"H2 a path", "../../../../dev/null", RuleKeyID},
		{"H2 an absolute path", "/etc/passwd", RuleKeyID},
		{"H2 a statement", "x' or '1'='1", RuleKeyID},
		{"H2 a NUL", ciID + "\x00", RuleKeyID},
		{"H2 a line end", ciID + "\n", RuleKeyID},
		{"H2 not ASCII", "kéy", RuleKeyID},
		{"H2 an at sign", "a@b", RuleKeyID},
		{"H2 a bracket", "[a]", RuleKeyID},
		{"H2 a backquote", "`a`", RuleKeyID},
		{"H2 a brace", "{a}", RuleKeyID},
		{"H2 one byte too long", strings.Repeat("k", 129), RuleKeyID},
		{"H2 1 MiB", strings.Repeat("k", 1<<20), RuleSize},
	} {
		t.Run(c.name, func(t *testing.T) {
			token := sign(t, soundHeader().with("kid", c.kid), soundClaims())
			_, err := Parse(job.NewSecret(token))
			wantRefusal(t, err, c.want, token)
		})
	}
}

func TestH3ForeignKeys(t *testing.T) {
	own := jwk(ciID, &ciKey().PublicKey)
	for _, c := range []struct {
		parameter string
		value     any
	}{
		{"jku", "https://evil.example/keys"},
		{"x5u", "https://evil.example/cert"},
		{"jwk", own},
		{"x5c", []string{"MIIB"}},
		{"crit", []string{"exp"}},
		{"enc", "A256GCM"},
		{"zip", "DEF"},
		{"b64", false},
		{"cty", "JWT"},
		{"jku", nil},
	} {
		t.Run(fmt.Sprintf("H3 %s %v", c.parameter, c.value), func(t *testing.T) {
			token := sign(t, soundHeader().with(c.parameter, c.value), soundClaims())
			_, err := Parse(job.NewSecret(token))
			wantRefusal(t, err, RuleHeader, token)
		})
	}
}

func TestH4OtherFormats(t *testing.T) {
	sound := soundToken(t)
	parts := strings.Split(sound, ".")
	object := marshal(t, fields{"protected": parts[0], "payload": parts[1], "signature": parts[2]})
	two := marshal(t, fields{"payload": parts[1], "signatures": []fields{
		{"protected": parts[0], "signature": parts[2]}, {"protected": parts[0], "signature": parts[2]},
	}})
	jwe := b64([]byte(`{"alg":"RSA-OAEP","enc":"A256GCM"}`)) + ".QQ.QQ.QQ.QQ"
	for _, c := range []struct {
		name, token string
		want        Rule
	}{
		{"H4 JWE", jwe, RuleForm},
		{"H4 JSON serialisation", string(object), RuleForm},
		{"H4 two signatures", string(two), RuleForm},
		{"H4 nested JWT", signBytes(t, marshal(t, soundHeader().with("cty", "JWT")), []byte(sound), ciKey()), RuleHeader},
		{"H4 type at+jwt", sign(t, soundHeader().with("typ", "at+jwt"), soundClaims()), RuleHeader},
		{"H4 type null", sign(t, soundHeader().with("typ", nil), soundClaims()), RuleHeader},
		{"H4 type in a list", sign(t, soundHeader().with("typ", []string{"JWT"}), soundClaims()), RuleHeader},
		{"H4 CI_JOB_TOKEN", "glcbt-64_aBcDeFgHiJkLmNoPqRsT", RuleForm},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := Parse(job.NewSecret(c.token))
			wantRefusal(t, err, c.want, c.token)
		})
	}
}

func TestH5Form(t *testing.T) {
	sound := soundToken(t)
	parts := strings.Split(sound, ".")
	join := func(h, p, s string) string { return h + "." + p + "." + s }
	// The last character of 256 bytes has 4 unused bits, of which 0 is canonical.
	last := parts[2][len(parts[2])-1]
	lax := parts[2][:len(parts[2])-1] + string(last+1)
	deep := strings.Repeat(`{"a":`, 1500) + "1" + strings.Repeat("}", 1500)
	for _, c := range []struct {
		name, token string
		want        Rule
	}{
		{"absent", "", RuleAbsent},
		{"H5 one byte over 16 KiB", strings.Repeat("a", 16<<10+1), RuleSize},
		{"H5 16 KiB of dots, CVE-2025-30204", strings.Repeat(".", 16<<10), RuleForm},
		{"H5 one part", parts[0], RuleForm},
		{"H5 two parts", parts[0] + "." + parts[1], RuleForm},
		{"H5 a third dot", sound + ".", RuleForm},
		{"H5 leading blank", " " + sound, RuleForm},
		{"H5 line end", sound + "\n", RuleForm},
		{"H5 line end in the header", join(parts[0][:8]+"\n"+parts[0][8:], parts[1], parts[2]), RuleForm},
		{"H5 CR in the payload", join(parts[0], parts[1][:8]+"\r"+parts[1][8:], parts[2]), RuleForm},
		{"H5 padding", join(parts[0], parts[1], parts[2]+"=="), RuleForm},
		{"H5 standard alphabet", join(parts[0], parts[1]+"+/", parts[2]), RuleForm},
		{"H5 unused bits set", join(parts[0], parts[1], lax), RuleForm},
		{"H5 NUL", join(parts[0], parts[1], parts[2]+"\x00"), RuleForm},
		{"H5 empty header", join("", parts[1], parts[2]), RuleHeader},
		{"H5 header not JSON", join(b64([]byte("RS256")), parts[1], parts[2]), RuleHeader},
		{"H5 header null", join(b64([]byte("null")), parts[1], parts[2]), RuleHeader},
		{"H5 header a list", join(b64([]byte("[]")), parts[1], parts[2]), RuleHeader},
		{"H5 header of two objects", join(b64([]byte(`{"alg":"RS256","kid":"a"}{}`)), parts[1], parts[2]), RuleHeader},
		{"H5 header with rest", join(b64([]byte(`{"alg":"RS256","kid":"a"} x`)), parts[1], parts[2]), RuleHeader},
		{"H5 header not UTF-8", join(b64([]byte("{\"alg\":\"RS256\",\"kid\":\"a\",\"x\":\"\xff\"}")), parts[1], parts[2]), RuleHeader},
		{"H5 alg twice", join(b64([]byte(`{"alg":"RS256","alg":"none","kid":"a"}`)), parts[1], parts[2]), RuleHeader},
		{"H5 alg twice, once escaped", join(b64([]byte(`{"alg":"RS256","\u0061lg":"none","kid":"a"}`)), parts[1], parts[2]), RuleHeader},
		{"H5 key twice in depth", join(b64([]byte(`{"alg":"RS256","kid":"a","x":[{"b":1,"b":2}]}`)), parts[1], parts[2]), RuleHeader},
		{"H5 alg in another case", join(b64([]byte(`{"ALG":"RS256","kid":"a"}`)), parts[1], parts[2]), RuleAlgorithm},
		{"H5 deep header", join(b64([]byte(deep)), parts[1], ""), RuleHeader},
		{"H5 endless header", join(b64([]byte(strings.Repeat("[", 9000))), "", ""), RuleHeader},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := Parse(job.NewSecret(c.token))
			wantRefusal(t, err, c.want, c.token)
		})
	}
}

func TestParseTakesTheLongestToken(t *testing.T) {
	// 16 KiB to the byte: with nothing wrong but the signature, which is not
	// checked by Parse.
	header := b64(marshal(t, soundHeader()))
	rest := 16<<10 - len(header) - 2
	payload := b64(bytes.Repeat([]byte("p"), (rest-4)/4*3))
	sig := strings.Repeat("A", rest-len(payload))
	token := header + "." + payload + "." + sig
	if len(token) != 16<<10 {
		t.Fatalf("the test made %d bytes", len(token))
	}
	if _, err := Parse(job.NewSecret(token)); err != nil {
		t.Error(err)
	}
}
