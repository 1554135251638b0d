package container

import (
	"fmt"
	"strings"

	"jacamar-ci/internal/image"
)

// Files of an image in a squashfs file with what the registry knows about it: the
// configuration, and the digits of its digest.
const (
	ConfigFile = "ch/config.json"
	DigestFile = "ch/digest"
)

// MountSquashfs is shell text (POSIX) that makes the root file system of an image the
// directory lower, for a container or for a look into the image. Its arguments are the state
// and the image, a file or a directory. The shell that starts squashfuse ignores TERM, and
// libfuse keeps that: a request to stop reaches all processes of a job, and the script still
// needs its files then.
const MountSquashfs = `S=$1
lower=$2
shift 2
if [ ! -d "$lower" ]; then
	mkdir "$S/squashfs" && (trap '' HUP INT TERM && exec squashfuse "$lower" "$S/squashfs") || exit 1
	lower=$S/squashfs
fi
`

// separator begins the line before each part of what DescribeSquashfs prints. No text file
// of an image begins a line with it by chance, and one that does only describes itself
// wrongly.
const separator = "\x01\x02 "

// squashfsParts are the files that it prints.
var squashfsParts = [...]string{ConfigFile, DigestFile, "etc/passwd", "etc/group"}

// DescribeSquashfs returns the command that prints the configuration, the digest, and
// passwd(5) and group(5) of an image, each with a line before it.
func DescribeSquashfs(s Session, p Place) Command {
	text := MountSquashfs + `for file in ` + strings.Join(squashfsParts[:], " ") + `; do
	printf '%s\n' "` + separator + `$file"
	[ ! -f "$lower/$file" ] || cat "$lower/$file" 2>/dev/null || :
	echo
done
`
	return Command{Argv: []string{"sh", "-c", text, "describe", s.State.String(), p.Path.String()}}
}

// ParseSquashfs parses its reply. An image that was made by other means has neither
// configuration nor digest.
func ParseSquashfs(r Reply) (d Described, err error) {
	texts, err := splitParts(r.Stdout)
	if err != nil {
		return d, err
	}
	if text := strings.TrimSpace(texts[ConfigFile]); text != "" {
		if d.Config, err = image.ParseConfig([]byte(text)); err != nil {
			return d, err
		}
	}
	if text := strings.TrimSpace(texts[DigestFile]); text != "" {
		if d.Digest = "sha256:" + text; !image.IsDigest(d.Digest) {
			return Described{}, fmt.Errorf("the image's %s is not a digest", DigestFile)
		}
	}
	d.Passwd, d.Group = texts["etc/passwd"], texts["etc/group"]
	return d, nil
}

func splitParts(text string) (map[string]string, error) {
	texts := map[string]string{}
	for _, part := range strings.Split(text, separator)[1:] {
		name, rest, _ := strings.Cut(part, "\n")
		texts[name] = rest
	}
	if len(texts) != len(squashfsParts) {
		return nil, fmt.Errorf("the image's description has %d parts, want %d", len(texts), len(squashfsParts))
	}
	return texts, nil
}
