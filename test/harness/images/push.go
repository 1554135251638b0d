package images

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
)

// Push copies an image to a registry at https://HOST, with the login of registries with
// passwords.
func Push(client *http.Client, host string, p Packed) error {
	u := upload{client, "https://" + host + "/v2/" + p.Repository()}
	for _, b := range p.Blobs {
		if err := u.blob(b); err != nil {
			return fmt.Errorf("push %s: %w", p.Name, err)
		}
	}
	for i, m := range p.Manifests {
		name := m.Digest
		if i == len(p.Manifests)-1 {
			name = p.Tag()
		}
		if _, err := u.do(http.MethodPut, u.base+"/manifests/"+name, m.Media, m.Data); err != nil {
			return fmt.Errorf("push %s: %w", p.Name, err)
		}
	}
	return nil
}

// upload writes into one repository.
type upload struct {
	client *http.Client
	base   string
}

// blob uploads in two requests (distribution-spec, "Monolithic upload").
func (u upload) blob(b Blob) error {
	r, err := u.do(http.MethodPost, u.base+"/blobs/uploads/", "", nil)
	if err != nil {
		return err
	}
	where, err := r.Location()
	if err != nil {
		return err
	}
	query := where.Query()
	query.Set("digest", b.Digest)
	where.RawQuery = query.Encode()
	_, err = u.do(http.MethodPut, where.String(), "application/octet-stream", b.Data)
	return err
}

func (u upload) do(method, address, media string, data []byte) (*http.Response, error) {
	q, err := http.NewRequest(method, address, bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	q.SetBasicAuth(User, Password)
	if media != "" {
		q.Header.Set("Content-Type", media)
	}
	r, err := u.client.Do(q)
	if err != nil {
		return nil, err
	}
	defer r.Body.Close()
	text, _ := io.ReadAll(io.LimitReader(r.Body, 1000))
	if r.StatusCode >= 300 {
		return nil, fmt.Errorf("%s %s: %s: %s", method, address, r.Status, text)
	}
	return r, nil
}
