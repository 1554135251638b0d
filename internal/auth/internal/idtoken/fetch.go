package idtoken

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"jacamar-ci/internal/auth/internal/subprocess"
	"jacamar-ci/internal/auth/internal/thread"
	"jacamar-ci/internal/failure"
	"jacamar-ci/internal/job"
	"jacamar-ci/internal/jwks"
)

// server is where the key set comes from, by way of jacamar-keys: this process
// has neither HTTP nor TLS.
type server struct {
	url     *url.URL
	proxy   *url.URL // nil for none
	caFile  job.AbsPath
	program func() (job.AbsPath, error)
	as      *thread.IDs
}

// fetch has the server asked once. An answer can be of use beside an error: it
// tells how far the question came.
func (s server) fetch(ctx context.Context) (jwks.Result, error) {
	program, err := s.program()
	if err != nil {
		return jwks.Result{}, err
	}
	bundle, err := s.bundle()
	if err != nil {
		return jwks.Result{}, err
	}
	defer bundle.Close()
	args := []string{s.url.String()}
	if s.proxy != nil {
		args = append(args, s.proxy.String())
	}
	r, err := subprocess.Command{
		Path: program.String(), Args: args, Input: bundle, As: s.as, NoNewPrivs: true,
		Limit: jwks.Timeout + time.Second, MaxOutput: jwks.MaxResult, MaxErrors: 4 << 10,
	}.Run(ctx)
	if err := faultOf(r, err); err != nil {
		return jwks.Result{}, s.fault(fmt.Errorf("%s: %w", program, err))
	}
	a, err := jwks.Parse(r.Stdout)
	switch {
	case err != nil:
		return jwks.Result{}, s.fault(fmt.Errorf("%s is not of this version: install all programs from one package", program))
	case a.Bundle:
		return a, failure.Configf("cannot use the CA file %s: %s", bundle.Name(), a.Problem)
	case a.Problem != "":
		return a, s.fault(errors.New(job.Printable(a.Problem)))
	}
	return a, nil
}

func (s server) fault(err error) error {
	return failure.Privatef("cannot fetch keys from %s: %w", s.url.Redacted(), err)
}

// faultOf says why a run of jacamar-keys gave no answer, nil when it gave one.
func faultOf(r subprocess.Result, err error) error {
	first, _, _ := strings.Cut(strings.TrimSpace(string(r.Stderr)), "\n")
	switch {
	case err != nil:
		return err
	case r.Signal != 0:
		return errors.New("it was ended by " + r.Signal.String())
	case r.Code != 0:
		return errors.New("it failed: " + job.Printable(first))
	}
	return nil
}
