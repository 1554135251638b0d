package charliecloud

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

// TestConfine: everything but two directories is read-only afterwards, mounts with flags and
// blanks included. A mount that another one covers is no error.
func TestConfine(t *testing.T) {
	const setUp = `cd "$1" && mkdir -p one other 'with blank' covered/below && mount -t tmpfs none 'with blank' &&
mount -t tmpfs none covered/below && mount -t tmpfs -o nosuid,nodev,noexec,noatime none covered && mkdir covered/below && `
	const look = `confine "$1/one" "$1/other" || exit 3
for at in one other 'with blank' covered covered/below . /; do
	touch "$1/$at/file" 2>/dev/null && echo "$at"
done
exit 0`
	cmd := exec.Command("unshare", "--user", "--map-root-user", "--mount", "sh", "-c", confine+setUp+look, "sh", t.TempDir())
	cmd.Stderr = os.Stderr
	if exec.Command("unshare", "--user", "--map-root-user", "--mount", "true").Run() != nil {
		t.Skip("this host has no user namespaces for this account")
	}
	out, err := cmd.Output()
	if got := strings.Fields(string(out)); err != nil || strings.Join(got, " ") != "one other" {
		t.Errorf("written: %q, %v", got, err)
	}
}
