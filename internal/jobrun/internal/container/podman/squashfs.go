package podman

import (
	"strings"

	"jacamar-ci/internal/job"
	"jacamar-ci/internal/jobrun/internal/container"
)

// pack pulls into a store of the call's own and packs the image. It is one command because
// the mount of the image ends with the cell. The configuration is in the form of registries.
// The level of compression is a seventh of the time of gzip for a tenth more space.
const pack = `set -e
engine() { @ENGINE@ "$@"; }
cd @STATE@
id=$(engine @PULL@)
engine image inspect --format '{"architecture":{{json .Architecture}},"os":{{json .Os}},"config":{{json .Config}}}' "$id" >config
digest=$(engine image inspect --format '{{.Digest}}' "$id")
printf '%s\n' "${digest#sha256:}" >digest
root=$(engine image mount "$id")
mksquashfs "$root" @TARGET@ -noappend -all-root -no-progress -comp zstd -Xcompression-level 1 \
	-p 'ch d 755 0 0' -p '@CONFIG@ f 444 0 0 cat config' -p '@DIGEST@ f 444 0 0 cat digest' -e @CONFIG@ @DIGEST@ >&2
`

// packed is the command that fetches an image to a file. pull are the words of the call that
// pulls it.
func packed(f container.Fetch, pull []string) container.Command {
	f.Linked = false // the link leads to no store
	c := command(f.Session, f.State.String()+"/root", base()...)
	text := strings.NewReplacer(
		"@ENGINE@", job.ShellQuote(c.Argv...), "@STATE@", job.ShellQuote(f.State.String()), "@PULL@", job.ShellQuote(pull...),
		"@TARGET@", job.ShellQuote(f.To.Path.String()), "@CONFIG@", container.ConfigFile, "@DIGEST@", container.DigestFile,
	).Replace(pack)
	c.Argv = []string{"sh", "-c", text}
	return c
}
