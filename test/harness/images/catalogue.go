package images

import (
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Programs are what the images contain, as files and the Debian packages that have them.
func Programs() map[string]string {
	return map[string]string{"/usr/bin/busybox": "busybox-static", "/bin/bash": "bash", "/bin/dash": "dash", "/usr/bin/ldd": "libc-bin"}
}

const (
	passwd = "root:x:0:0:root:/root:/bin/sh\napp:x:1000:1000:app:/home/app:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n"
	group  = "root:x:0:\napp:x:1000:\nnogroup:x:65534:\n"
)

// standardPath is the PATH of Docker's base images.
const standardPath = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// scripts of entrypoints.
const (
	execEntry    = "#!/bin/sh\necho entrypoint-ran\nexport FROM_ENTRYPOINT=yes\nexec \"$@\"\n"
	forkEntry    = "#!/bin/sh\n\"$@\"\ncode=$?\necho entrypoint-after\nexit $code\n"
	deafEntry    = "#!/bin/sh\ntrap '' TERM INT HUP\nexec \"$@\"\n"
	swallowEntry = "#!/bin/sh\necho swallowed\nexit 0\n"
	failEntry    = "#!/bin/sh\necho 'the entrypoint failed' >&2\nexit 41\n"
)

// Catalogue returns all images of the suite, which it builds from this machine's
// programs. dir is for the program of its own.
func Catalogue(dir string) ([]Packed, error) {
	tool := filepath.Join(dir, "tool")
	cmd := exec.Command("go", "build", "-trimpath", "-ldflags=-s -w", "-o", tool, "jacamar-ci/test/harness/images/tool")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("cannot build the images' program: %w\n%s", err, out)
	}
	b := builder{tool: tool}
	images := append(b.ordinary(), b.odd()...)
	if b.err != nil {
		return nil, b.err
	}
	packed := make([]Packed, len(images))
	for i, image := range images {
		var err error
		if packed[i], err = image.Pack(); err != nil {
			return nil, err
		}
	}
	return packed, nil
}

// builder reads the machine's programs and keeps the first error.
type builder struct {
	tool string
	err  error
}

func (b *builder) file(path, source string) File {
	data, err := os.ReadFile(source)
	if err != nil && b.err == nil {
		b.err = err
	}
	return File{Path: path, Mode: 0o755, Data: data}
}

// applets are those of busybox that scripts of GitLab Runner and the tests use.
var applets = strings.Fields("awk basename cat chmod chown cmp cp cut date dd df dirname echo env false find free grep head hostname httpd id kill ln ls mkdir " +
	"mktemp mount mv nc nproc od printenv printf ps pwd readlink rm rmdir sed seq sha256sum sleep sort stat stty sync tail tar tee test timeout touch tr true " +
	"umount uname uniq wc wget which whoami xargs yes")

// busybox is a root file system with busybox and the shells named.
func (b *builder) busybox(shells ...string) []File {
	files := []File{b.file("bin/busybox", "/usr/bin/busybox")}
	for _, name := range append(shells, applets...) {
		files = append(files, File{Path: "bin/" + name, Mode: 0o777, Link: "/bin/busybox"})
	}
	return append(files, base()...)
}

func base() []File {
	return []File{
		{Path: "etc/passwd", Mode: 0o644, Data: []byte(passwd)},
		{Path: "etc/group", Mode: 0o644, Data: []byte(group)},
		{Path: "tmp/", Mode: 0o777 | fs.ModeSticky},
		{Path: "root/", Mode: 0o700},
		{Path: "home/app/", Mode: 0o755, UID: 1000, GID: 1000},
		{Path: "usr/bin/env", Mode: 0o777, Link: "/bin/busybox"},
		{Path: "var/tmp/", Mode: 0o777 | fs.ModeSticky},
		{Path: "proc/", Mode: 0o755},
		{Path: "sys/", Mode: 0o755},
		{Path: "dev/", Mode: 0o755},
	}
}

// dynamic is a program of this machine with its libraries.
func (b *builder) dynamic(path, source string) []File {
	files := []File{b.file(path, source)}
	out, err := exec.Command("/usr/bin/ldd", source).CombinedOutput()
	if err != nil && b.err == nil {
		b.err = fmt.Errorf("ldd %s: %w: %s", source, err, out)
	}
	for _, word := range strings.Fields(string(out)) {
		if strings.HasPrefix(word, "/") {
			files = append(files, b.file(strings.TrimPrefix(word, "/"), word))
		}
	}
	return files
}

func entry(text string) []File {
	return []File{{Path: "entry", Mode: 0o755, Data: []byte(text)}}
}
