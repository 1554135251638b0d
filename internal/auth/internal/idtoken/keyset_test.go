package idtoken

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"math/big"
	"strconv"
	"strings"
	"testing"
)

func ecKey(t *testing.T, kid string) fields {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	point, err := key.PublicKey.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	return fields{"kty": "EC", "crv": "P-256", "kid": kid, "use": "sig", "x": b64(point[1:33]), "y": b64(point[33:])}
}

// sized is a public key of so many bits. Its private key does not exist; a set is
// checked by its public half.
func sized(bits uint) *rsa.PublicKey {
	n := new(big.Int).Lsh(big.NewInt(1), bits-1)
	return &rsa.PublicKey{N: n.SetBit(n, 0, 1), E: 65537}
}

func exponent(e int64) fields {
	return jwk(ciID, &rsa.PublicKey{N: ciKey().N, E: 3}).with("e", b64(big.NewInt(e).Bytes()))
}

func set(keys ...fields) fields { return fields{"keys": keys} }

func TestParseKeySetAccepts(t *testing.T) {
	ci := jwk(ciID, &ciKey().PublicKey)
	many := []fields{ci}
	for i := range maxKeys - 1 {
		many = append(many, ci.with("kid", "k"+strconv.Itoa(i)))
	}
	for _, c := range []struct {
		name string
		set  fields
		want int
	}{
		{"one key", set(ci), 1},
		{"two keys, as GitLab has", set(ci, jwk(loginID, &loginKey().PublicKey)), 2},
		{"without use and algorithm", set(ci.with("use", absent).with("alg", absent)), 1},
		{"null for use and algorithm", set(ci.with("use", nil).with("alg", nil)), 1},
		{"an encryption key in addition", set(ci, ci.with("use", "enc").with("kid", "e")), 1},
		{"a key for RS512 in addition", set(ci, ci.with("alg", "RS512").with("kid", "e")), 1},
		{"an EC key in addition", set(ecKey(t, "e"), ci), 1},
		{"an EC key with the same id", set(ecKey(t, ciID), ci), 1},
		{"an unknown type", set(ci, fields{"kty": "LATTICE", "kid": "l"}), 1},
		{"a key without id", set(ci, ci.with("kid", absent)), 1},
		{"a key with a path for an id", set(ci, ci.with("kid", "../x")), 1},
		{"a secret key in addition", set(ci, fields{"kty": "oct", "k": "AAAA", "kid": "s"}), 1},
		{"unknown members", fields{"keys": []fields{ci.with("zz", 1)}, "more": true}, 1},
		{"the strongest modulus", set(jwk(ciID, sized(4096))), 1},
		{"the largest exponent", set(exponent(1<<31 - 1)), 1},
		{"as many as may be", set(many...), maxKeys},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, err := parseKeySet(marshal(t, c.set))
			if err != nil {
				t.Fatal(err)
			}
			if s.Len() != c.want || !s.Has(ciID) {
				t.Errorf("%d keys, has the CI key: %v; want %d with it", s.Len(), s.Has(ciID), c.want)
			}
			if s.Has("e") || s.Has("") || s.Has("../x") {
				t.Error("the set has a key that cannot sign")
			}
		})
	}
}

func TestH11KeySets(t *testing.T) {
	ci := jwk(ciID, &ciKey().PublicKey)
	sound := string(soundSet(t))
	private := ci.with("d", b64(ciKey().D.Bytes())).with("p", b64(ciKey().Primes[0].Bytes())).with("q", b64(ciKey().Primes[1].Bytes()))
	many := make([]fields, maxKeys+1)
	for i := range many {
		many[i] = ci.with("kid", "k"+strconv.Itoa(i))
	}
	text := func(f fields) string { return string(marshal(t, f)) }
	for _, c := range []struct{ name, set, want string }{
		{"H11 empty", "", "not one JSON object"},
		{"H11 HTML login page", "<!DOCTYPE html><html><body>Sign in</body></html>", "not one JSON object"},
		{"H11 null", "null", "not one JSON object"},
		{"H11 truncated", sound[:len(sound)/2], "not one JSON object"},
		{"H11 two sets", sound + sound, "not one JSON object"},
		{"H11 keys twice", sound[:len(sound)-1] + `,"keys":[]}`, "not one JSON object"},
		{"H11 a member twice", strings.Replace(sound, `"use"`, `"kty":"RSA","use"`, 1), "not one JSON object"},
		{"H11 no list", `{}`, "no RSA signing key"},
		{"H11 keys are no list", `{"keys":{"a":1}}`, "no list of keys"},
		{"H11 keys in another case", `{"Keys":[]}`, "no RSA signing key"},
		{"H11 empty key list", `{"keys":[]}`, "no RSA signing key"},
		{"H11 a key is no object", `{"keys":["x"]}`, "key 1 of the key set is not a JWK"},
		{"H11 EC key only", text(set(ecKey(t, "e"))), "no RSA signing key"},
		{"H11 duplicate kid", text(set(ci, ci)), "two keys with the id"},
		{"H11 duplicate kid, different keys", text(set(ci, jwk(ciID, &otherKey().PublicKey))), "two keys with the id"},
		{"H11 512-bit RSA", text(set(jwk(ciID, sized(512)))), "has 512 bits"},
		{"H11 2047-bit RSA", text(set(jwk(ciID, sized(2047)))), "has 2047 bits"},
		{"H11 weak key and a sound one", text(set(ci, jwk("w", sized(1024)))), "key 2 of the key set has 1024 bits"},
		{"H11 4097-bit RSA", text(set(jwk(ciID, sized(4097)))), "is not an RSA key"},
		{"H11 e=1", text(set(exponent(1))), "public exponent 1"},
		{"H11 e=3", text(set(exponent(3))), "public exponent 3"},
		{"H11 e even", text(set(exponent(65538))), "public exponent 65538"},
		{"H11 e just too small", text(set(exponent(65535))), "public exponent 65535"},
		{"H11 e just too large", text(set(exponent(1<<31 + 1))), "public exponent 2147483649"},
		{"H11 no modulus", text(set(ci.with("n", absent))), "is not an RSA key"},
		{"H11 private key", text(set(private)), "is a private key"},
		{"H11 a number for the type", text(set(ci.with("kty", 1))), "is not a JWK"},
		{"H11 a list for the use", text(set(ci.with("use", []string{"sig"}))), "is not a JWK"},
		{"H11 an object for the algorithm", text(set(ci.with("alg", fields{}))), "is not a JWK"},
		{"H11 a number for the id", text(set(ci, ci.with("kid", 1))), "is not a JWK"},
		{"H11 too many keys", text(set(many...)), "more than 64 keys"},
		{"H11 one byte too long", sound + strings.Repeat(" ", 256<<10-len(sound)+1), "more than 262144 bytes"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, err := parseKeySet([]byte(c.set))
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("error %v, want one with %q", err, c.want)
			}
			if s.Len() != 0 {
				t.Errorf("a refused set has %d keys", s.Len())
			}
		})
	}
}

func TestParseKeySetLongest(t *testing.T) {
	sound := string(soundSet(t))
	if _, err := parseKeySet([]byte(sound + strings.Repeat(" ", 256<<10-len(sound)))); err != nil {
		t.Error(err)
	}
}
