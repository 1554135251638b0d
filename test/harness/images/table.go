package images

import (
	"fmt"
	"io/fs"
	"slices"
)

// ordinary are images that a job can use.
func (b *builder) ordinary() []Image {
	bb := b.busybox("sh")
	plain := Config{Env: []string{standardPath, "FROM_IMAGE=yes"}, Cmd: []string{"sh"}}
	return []Image{
		{Name: "bb:1", Layers: [][]File{bb}, Config: plain},
		{Name: "listed:1", Layers: [][]File{bb}, Config: plain, Listed: true},
		{Name: "group/project/bash:1", Layers: [][]File{slices.Concat(bb, b.dynamic("bin/bash", "/bin/bash"))}, Config: plain},
		{Name: "dash:1", Layers: [][]File{slices.Concat(b.busybox(), b.dynamic("bin/dash", "/bin/dash"), []File{{Path: "bin/sh", Mode: 0o777, Link: "dash"}})}, Config: plain},
		withEntry(bb, "entry:1", execEntry),
		withEntry(bb, "fork:1", forkEntry),
		withEntry(bb, "deaf:1", deafEntry),
		{Name: "user:1", Layers: [][]File{bb}, Config: Config{Env: []string{standardPath}, User: "app"}},
		{Name: "userid:1", Layers: [][]File{bb}, Config: Config{Env: []string{standardPath}, User: "1000:1000"}},
		{Name: "workdir:1", Layers: [][]File{bb}, Config: Config{Env: []string{standardPath}, WorkingDir: "/not/there"}},
		{Name: "noenv:1", Layers: [][]File{bb}},
		{Name: "oddenv:1", Layers: [][]File{bb}, Config: Config{Env: []string{standardPath, "DOLLAR=a$PATH$(id)`id`:$HOME", "QUOTES='it''s \"q\" \\", "EMPTY=", "BLANKS= a  b ", "EQUALS=a=b=c", "GLOB=*", "LINES=one\ntwo"}}},
		{Name: "layers:1", Layers: b.layers(bb)},
		{Name: "setid:1", Layers: [][]File{bb, b.setID()}, Config: plain},
		{Name: "links:1", Layers: [][]File{bb, links()}, Config: plain},
		{
			Name: "web:1", Layers: [][]File{bb, {{Path: "www/index.html", Mode: 0o644, Data: []byte("web-service\n")}}},
			Config: Config{
				Env: []string{standardPath}, Entrypoint: []string{"httpd", "-f", "-v", "-p", "8080", "-h", "/www"},
				ExposedPorts: map[string]struct{}{"8080/tcp": {}},
			},
		},
	}
}

// odd are images with which no script can run, and broken ones.
func (b *builder) odd() []Image {
	bb := b.busybox("sh")
	tool := []File{b.file("tool", b.tool), {Path: "etc/passwd", Mode: 0o644, Data: []byte(passwd)}, {Path: "tmp/", Mode: 0o777 | fs.ModeSticky}}
	return []Image{
		withEntry(bb, "swallow:1", swallowEntry),
		withEntry(bb, "fail:1", failEntry),
		{Name: "noexec:1", Layers: [][]File{bb}, Config: Config{Env: []string{standardPath}, Entrypoint: []string{"/no/such/entry"}}},
		{Name: "tool:1", Layers: [][]File{tool}, Config: Config{Entrypoint: []string{"/tool"}}},
		{Name: "noshell:1", Layers: [][]File{tool}},
		{Name: "userunknown:1", Layers: [][]File{bb}, Config: Config{Env: []string{standardPath}, User: "stranger"}},
		{Name: "foreign:1", Layers: [][]File{bb}, Architecture: "s390x"},
		{Name: "foreignlist:1", Layers: [][]File{bb}, Architecture: "s390x", Listed: true},
		{Name: "badconfig:1", Layers: [][]File{bb}, RawConfig: []byte(`{"config": 7}`)},
		{Name: "nolayers:1"},
		{Name: "climbing:1", Layers: [][]File{bb, {{Path: "climbing", Mode: 0o777, Link: "../../../../../../etc/passwd"}}}},
	}
}

// layers are forty, some of which remove files of earlier ones by whiteouts
// (https://github.com/opencontainers/image-spec/blob/main/layer.md).
func (b *builder) layers(bb []File) [][]File {
	all := [][]File{bb}
	for n := range 39 {
		files := []File{
			{Path: fmt.Sprintf("layers/%d", n), Mode: 0o644, Data: fmt.Appendf(nil, "%d\n", n)},
			{Path: fmt.Sprintf("opaque/%d/file", n), Mode: 0o644},
		}
		if n > 0 {
			files = append(files,
				File{Path: fmt.Sprintf("layers/.wh.%d", n-1), Mode: 0o644},
				File{Path: fmt.Sprintf("opaque/%d/.wh..wh..opq", n-1), Mode: 0o644})
		}
		all = append(all, files)
	}
	return all
}

// links are what a fetch must keep inside the image: absolute links, and files of others
// with set-id bits.
func links() []File {
	return []File{
		{Path: "absolute", Mode: 0o777, Link: "/etc/passwd"},
		{Path: "setuid", Mode: 0o755 | fs.ModeSetuid, Data: []byte("#!/bin/sh\n")},
		{Path: "of-others", Mode: 0o600, UID: 1234, GID: 4321, Data: []byte("others\n")},
	}
}

// setID are programs with set-id bits, of root and of another account.
func (b *builder) setID() []File {
	ids, others := b.file("ids", "/usr/bin/id"), b.file("of-others", "/usr/bin/id")
	ids.Mode |= fs.ModeSetuid | fs.ModeSetgid
	others.Mode, others.UID, others.GID = ids.Mode, 1234, 1234
	return append(b.dynamic("id", "/usr/bin/id"), ids, others)
}

// Many returns an image with one more layer, of many small files in some directories.
func Many(count int) (Packed, error) {
	const directories = 100
	b := builder{}
	layers := [][]File{b.busybox("sh"), nil}
	for n := range count {
		layers[1] = append(layers[1], File{Path: fmt.Sprintf("many/%d/f%d", n%directories, n/directories), Mode: 0o644, Data: []byte("x")})
	}
	if b.err != nil {
		return Packed{}, b.err
	}
	return Image{Name: fmt.Sprintf("many-%d:1", count), Layers: layers, Config: Config{Env: []string{standardPath}}}.Pack()
}

// withEntry is an image whose entrypoint is a script.
func withEntry(root []File, name, script string) Image {
	return Image{Name: name, Layers: [][]File{root, entry(script)}, Config: Config{Env: []string{standardPath}, Entrypoint: []string{"/entry"}}}
}
