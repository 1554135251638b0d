package main

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"os"
	"time"
)

// client trusts the certificate authority that the job's own variable names, as the
// runner's helper does.
func client() (*http.Client, error) {
	c := &http.Client{Timeout: time.Minute}
	file := os.Getenv("CI_SERVER_TLS_CA_FILE")
	if file == "" {
		return c, nil
	}
	pem, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(pem)
	c.Transport = &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}}
	return c, nil
}

func (c call) request(method, contentType string, body io.Reader) ([]byte, error) {
	req, err := http.NewRequest(method, c.url+"/api/v4/jobs/"+c.id+"/artifacts", body)
	if err != nil {
		return nil, err
	}
	req.Header.Set("JOB-TOKEN", c.token)
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	http, err := client()
	if err != nil {
		return nil, err
	}
	resp, err := http.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode/100 != 2 {
		err = fmt.Errorf("%s: %s", resp.Status, bytes.TrimSpace(answer))
	}
	return answer, err
}

func (c call) upload() error {
	var archive, form bytes.Buffer
	n, err := pack(&archive, c.paths)
	if err != nil {
		return err
	}
	fmt.Printf("%v: found %d matching files\n", c.paths, n)
	if n == 0 {
		return fmt.Errorf("no files to upload")
	}
	w := multipart.NewWriter(&form)
	part, err := w.CreateFormFile("file", "artifacts.zip")
	if err != nil {
		return err
	}
	_, _ = part.Write(archive.Bytes()) // a buffer takes everything
	_ = w.Close()
	if _, err = c.request(http.MethodPost, w.FormDataContentType(), &form); err == nil {
		fmt.Printf("Uploading artifacts as \"archive\" to coordinator... 201 Created  id=%s\n", c.id)
	}
	return err
}

func (c call) download() error {
	archive, err := c.request(http.MethodGet, "", nil)
	if err != nil {
		return err
	}
	n, err := unpack(archive)
	if err == nil {
		fmt.Printf("Downloading artifacts from coordinator... ok  id=%s, %d files\n", c.id, n)
	}
	return err
}
