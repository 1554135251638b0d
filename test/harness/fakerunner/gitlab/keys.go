package gitlab

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"math/big"
)

// Key is an RSA key with the id under which it is published.
type Key struct {
	ID      string
	Private *rsa.PrivateKey
}

// NewKey creates a key of that many bits.
func NewKey(bits int) (*Key, error) {
	private, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(private.N.Bytes())
	return &Key{ID: base64.RawURLEncoding.EncodeToString(sum[:]), Private: private}, nil
}

// newKeys creates the two keys of an instance concurrently, since each takes time.
func newKeys() (login, ci *Key, err error) {
	made := make(chan error, 1)
	go func() {
		var err error
		login, err = NewKey(2048)
		made <- err
	}()
	ci, err = NewKey(2048)
	if other := <-made; err == nil {
		err = other
	}
	return login, ci, err
}

// JWK is the key in the key set (RFC 7517).
func (k *Key) JWK() map[string]any {
	return map[string]any{
		"kty": "RSA", "kid": k.ID, "use": "sig", "alg": "RS256",
		"n": base64.RawURLEncoding.EncodeToString(k.Private.N.Bytes()),
		"e": base64.RawURLEncoding.EncodeToString(big.NewInt(int64(k.Private.E)).Bytes()),
	}
}

// PublicPEM is the public key as a forger would use it for an HS256 secret.
func (k *Key) PublicPEM() []byte {
	der, err := x509.MarshalPKIXPublicKey(&k.Private.PublicKey)
	if err != nil {
		panic(err) // an RSA key can always be marshalled
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
}

// Set is the text of a key set with these keys.
func Set(keys ...map[string]any) []byte {
	b, err := json.Marshal(map[string]any{"keys": append([]map[string]any{}, keys...)})
	if err != nil {
		panic(err) // the maps come from tests
	}
	return b
}
