package noauth

import (
	"context"
	"os"
	"os/exec"
	"strconv"
	"time"

	"jacamar-ci/internal/failure"
	"jacamar-ci/internal/job"
	"jacamar-ci/internal/passwd"
)

const (
	// getent queries all name services; a static program alone would read only
	// /etc/passwd.
	getent      = "/usr/bin/getent"
	getentLimit = 20 * time.Second
)

// ownAccount is the account that this process runs as.
func ownAccount(ctx context.Context) (job.Account, error) {
	ctx, cancel := context.WithTimeout(ctx, getentLimit)
	defer cancel()
	cmd := exec.CommandContext(ctx, getent, "passwd", strconv.Itoa(os.Geteuid()))
	cmd.Env, cmd.Dir = []string{"LC_ALL=C"}, "/"
	out, err := cmd.Output()
	if err != nil {
		return job.Account{}, failure.Privatef("cannot find the account of uid %d: getent: %w", os.Geteuid(), err)
	}
	a, err := passwd.Parse(string(out))
	if err != nil {
		return job.Account{}, failure.Privatef("cannot use the account of uid %d: %w", os.Geteuid(), err)
	}
	return a, nil
}
