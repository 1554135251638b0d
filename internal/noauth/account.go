package noauth

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"jacamar-ci/internal/failure"
	"jacamar-ci/internal/job"
)

const (
	// getent asks all name services, where a static program alone would only see
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
	a, err := parseAccount(string(out))
	if err != nil {
		return job.Account{}, failure.Privatef("cannot use the account of uid %d: %w", os.Geteuid(), err)
	}
	return a, nil
}

// parseAccount reads an entry of passwd(5).
func parseAccount(line string) (a job.Account, err error) {
	f := strings.Split(strings.TrimSuffix(line, "\n"), ":")
	if len(f) != 7 {
		return a, fmt.Errorf("the entry has %d fields, not 7", len(f))
	}
	if f[6] == "" {
		f[6] = "/bin/sh"
	}
	if a.Name, err = job.ParseUsername(f[0]); err != nil {
		return a, err
	}
	if a.UID, err = job.ParseUID(f[2]); err != nil {
		return a, err
	}
	if a.GID, err = job.ParseGID(f[3]); err != nil {
		return a, err
	}
	if a.Home, err = job.ParseAbsPath(f[5]); err != nil {
		return a, err
	}
	a.Shell, err = job.ParseAbsPath(f[6])
	return a, err
}
