package container

import (
	"fmt"
	"strings"

	"jacamar-ci/internal/image"
)

// Files of an image in a squashfs file with what the registry has of it: the
// configuration, and the digits of its digest.
const (
	ConfigFile = "ch/config.json"
	DigestFile = "ch/digest"
)

// Separator begins the line with a name before each part of what a command prints about an
// image. No text file of an image begins a line with it by chance, and one that does only
// describes itself wrongly.
const Separator = "\x01\x02 "

// squashfsParts are the files that it prints.
var squashfsParts = [...]string{ConfigFile, DigestFile, "etc/passwd", "etc/group"}

// DescribeSquashfs returns the command that prints the configuration, the digest, and
// passwd(5) and group(5) of an image, each with a line before it.
func DescribeSquashfs(s Session, p Place) Command {
	text := MountSquashfs + `for file in ` + strings.Join(squashfsParts[:], " ") + `; do
	printf '%s\n' "` + Separator + `$file"
	[ ! -f "$lower/$file" ] || cat "$lower/$file" 2>/dev/null || :
	echo
done
`
	return Command{Argv: []string{"sh", "-c", text, "describe", s.State.String(), p.Path.String()}}
}

// ParseSquashfs parses its reply. An image that was made by other means has neither
// configuration nor digest.
func ParseSquashfs(r Reply) (d Described, err error) {
	texts, err := SplitParts(r.Stdout, len(squashfsParts))
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

// SplitParts returns the parts by their names, of which there are so many.
func SplitParts(text string, want int) (map[string]string, error) {
	texts := map[string]string{}
	for _, part := range strings.Split(text, Separator)[1:] {
		name, rest, _ := strings.Cut(part, "\n")
		texts[name] = rest
	}
	if len(texts) != want {
		return nil, fmt.Errorf("the image's description has %d parts, want %d", len(texts), want)
	}
	return texts, nil
}
