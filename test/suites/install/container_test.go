package install

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"jacamar-ci/test/harness/setup/debian"
)

// baseImage makes an image from files of this machine, in $SCRATCH/root: those of Debian's
// packages that rpm/Containerfile needs, and Go.
const baseImage = `set -euo pipefail
cd "$SCRATCH"
mkdir -p root/tmp root/var/tmp root/root root/proc root/dev root/sys root/run root/etc root/usr/local/go
chmod 1777 root/tmp root/var/tmp
apt-cache depends --recurse --no-recommends --no-suggests --no-conflicts --no-breaks --no-replaces --no-enhances --installed \
  bash dash coreutils make git rpm findutils tar gzip sed grep mawk diffutils | grep '^[a-z]' | sort -u >packages
while read -r package; do dpkg -L "$package" 2>/dev/null || :; done <packages |
  grep -vE '^/usr/share/(doc|man|locale|info|lintian)/' | sed -E 's,^/(bin|sbin|lib|lib64|lib32)/,/usr/\1/,' | sort -u |
  while read -r file; do if [ -L "$file" ] || [ -f "$file" ]; then echo "${file#/}"; fi; done >files
for link in bin sbin lib lib64; do if [ -L "/$link" ]; then echo "$link"; fi; done >>files
tar -C / -c --hard-dereference --no-recursion -T files etc/passwd etc/group | tar -C root -x
ln -sf dash root/usr/bin/sh
ln -sf mawk root/usr/bin/awk
tar -C "$(go env GOROOT)" -c --exclude ./test --exclude ./doc --exclude ./api . | tar -C root/usr/local/go -x
tar -C root -c . | podman import --quiet --change 'ENV PATH=/usr/local/go/bin:/usr/sbin:/usr/bin:/sbin:/bin' \
  --change 'ENV GOTOOLCHAIN=local' - localhost/debian-with-go
`

// inPodman prepares a podman with a storage of its own, for root of a machine that may not
// raise limits.
const inPodman = `set -eu
mount -t cgroup2 none /sys/fs/cgroup 2>/dev/null || :
printf '[storage]\ndriver = "vfs"\nrunroot = "%s/run"\ngraphroot = "%s/store"\n' "$SCRATCH" "$SCRATCH" >"$SCRATCH/storage.conf"
printf '[containers]\nnetns = "host"\ncgroups = "disabled"\n[engine]\ncgroup_manager = "cgroupfs"\nruntime = "crun"\n' >"$SCRATCH/containers.conf"
export BUILDAH_ISOLATION=chroot CONTAINERS_STORAGE_CONF="$SCRATCH/storage.conf" CONTAINERS_CONF="$SCRATCH/containers.conf"
LIMITS="--ulimit=nproc=4096:4096 --ulimit=nofile=4096:4096"
`

// inContainer builds the packages of a clone of this repository with that image.
const inContainer = `
cd "$SCRATCH/src"
make rpm-container BASE=localhost/debian-with-go CONTAINER_ARGS="$LIMITS -v $(go env GOMODCACHE):/modules -e GOMODCACHE=/modules -e GOPROXY=off"
`

// TestRPMContainer: the packages that make rpm-container builds, in an image that
// rpm/Containerfile describes and without a registry, are those of make rpm.
func TestRPMContainer(t *testing.T) {
	if testing.Short() {
		t.Skip("makes an image of 400 MB")
	}
	if os.Geteuid() != 0 {
		t.Skip("needs root: podman as an ordinary user has a test in the suite of containers")
	}
	needRPM(t)
	debian.Need(t, map[string]string{"/usr/bin/podman": "podman", "/usr/bin/crun": "crun", "/usr/bin/apt-cache": "apt"})
	scratch := t.TempDir()
	inScratch := func(script string) (string, error) {
		cmd := exec.Command("unshare", "--mount", "--propagation", "private", "bash", "-c", inPodman+script)
		cmd.Env = append(os.Environ(), "SCRATCH="+scratch)
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	if out, err := inScratch(baseImage + `podman run --rm $LIMITS localhost/debian-with-go true`); err != nil {
		t.Skipf("root cannot run a container here: %v\n%s", err, out)
	}
	src := filepath.Join(scratch, "src")
	must(t, "git", "clone", "--quiet", "--no-hardlinks", top, src)
	if out, err := inScratch(inContainer); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	must(t, "make", "--no-print-directory", "-C", src, "rpm", "DIST="+filepath.Join(scratch, "dist"))
	for _, name := range flavours {
		in, out := find(t, filepath.Join(src, "dist"), name, ".rpm"), find(t, filepath.Join(scratch, "dist"), name, ".rpm")
		if a, b := digests(t, in), digests(t, out); a != b {
			t.Errorf("%s differs from the package of make rpm:\n%s\n%s", in, a, b)
		}
	}
}

// digests are those of a package's files.
func digests(t *testing.T, pkg string) string {
	t.Helper()
	text := must(t, "rpm", "-qp", "--qf", "[%{FILENAMES} %{FILEDIGESTS} %{FILEMODES:perms}\n]", pkg)
	if strings.Count(text, "\n") < 10 {
		t.Fatalf("%s has the files\n%s", pkg, text)
	}
	return text
}
