package auth

import (
	"context"
	"fmt"
	"io"
	"os"

	"jacamar-ci/internal/customexec"
)

// ExplainOptions is what an administrator asks: what would become of this job?
type ExplainOptions struct {
	Configuration string
	// Token and Response are files: the job's id_token and the runner's
	// JOB_RESPONSE_FILE. Claims is one with a token's claims alone.
	Token, Response, Claims string
	// RunAs asks the site's script. Nothing else is ever started but getent.
	RunAs bool
	// Target is the account that the job would ask for.
	Target string
}

// The exit statuses of Explain.
const (
	explainedAllow = 0
	explainedDeny  = 1
	notExplained   = 2
)

// Explain walks the decision about a job and prints it.
func Explain(q ExplainOptions) int {
	d, err := newAdminDriver(&q.Configuration, &q.Token, &q.Response, &q.Claims)
	if err != nil {
		return fail(err, notExplained)
	}
	walk, err := d.explain(context.Background(), q)
	if err == nil {
		err = walk.Write(os.Stdout)
	}
	if err != nil {
		return fail(err, notExplained)
	}
	if _, refused := walk.Refused(); refused {
		return explainedDeny
	}
	return explainedAllow
}

// readResponse reads the job that the token is held against. The file is an
// administrator's copy, so it is judged by its contents only.
func (d *authDriver) readResponse(path string) error {
	text, err := readFile(path)
	if err != nil {
		return err
	}
	d.Facts, err = customexec.ParseResponse(text)
	if err != nil {
		return fmt.Errorf("cannot read the job response %s: %w", path, err)
	}
	return nil
}

// maxQuestion bounds a file of a question in bytes, as the runner's job response
// is bounded.
const maxQuestion = 64 << 20

func readFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, maxQuestion))
}

// trimLine takes off the line end that editors and echo leave behind a token.
func trimLine(text []byte) string {
	for len(text) > 0 && (text[len(text)-1] == '\n' || text[len(text)-1] == '\r') {
		text = text[:len(text)-1]
	}
	return string(text)
}
