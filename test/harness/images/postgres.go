package images

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// PostgresPrograms are what Postgres needs, as files and the Debian packages that have them.
func PostgresPrograms() map[string]string {
	return map[string]string{"/usr/lib/postgresql/*/bin/postgres": "postgresql", "/usr/bin/busybox": "busybox-static"}
}

// postgresEntry makes a database cluster and serves it, in memory as far as it goes.
const postgresEntry = `#!/bin/sh
set -e
initdb -D /var/lib/pg -U postgres -A trust --no-sync --locale=C -E UTF8 >/dev/null
echo "host all all 127.0.0.1/32 trust" >>/var/lib/pg/pg_hba.conf
exec postgres -D /var/lib/pg -c fsync=off -c shared_buffers=1MB -c unix_socket_directories=/tmp -c "cluster_name=${CLUSTER:-none}"
`

// Postgres returns an image with this machine's PostgreSQL, which runs as its user and
// exposes its port, and psql.
func Postgres() (Packed, error) {
	b := builder{}
	programs, _ := filepath.Glob("/usr/lib/postgresql/*/bin/postgres")
	bin := filepath.Dir(programs[len(programs)-1])
	version := filepath.Base(filepath.Dir(bin))
	files := b.busybox("sh")
	for _, name := range []string{"postgres", "initdb", "psql"} {
		files = append(files, b.dynamic(strings.TrimPrefix(bin, "/")+"/"+name, filepath.Join(bin, name))...)
	}
	library := filepath.Join(filepath.Dir(bin), "lib")
	for _, name := range []string{"plpgsql.so", "dict_snowball.so"} {
		files = append(files, b.file(strings.TrimPrefix(filepath.Join(library, name), "/"), filepath.Join(library, name)))
	}
	files = append(files, b.tree("/usr/share/postgresql/"+version)...)
	files = append(files,
		File{Path: "var/lib/", Mode: 0o777}, File{Path: "entry", Mode: 0o755, Data: []byte(postgresEntry)},
		File{Path: "etc/passwd", Mode: 0o644, Data: []byte(passwd + "postgres:x:999:999:postgres:/tmp:/bin/sh\n")},
		File{Path: "etc/group", Mode: 0o644, Data: []byte(group + "postgres:x:999:\n")})
	if b.err != nil {
		return Packed{}, b.err
	}
	return Image{
		Name: "postgres:15", Layers: [][]File{lastOfEach(files)},
		Config: Config{
			User: "postgres", Env: []string{standardPath + ":" + bin}, Entrypoint: []string{"/entry"},
			ExposedPorts: map[string]struct{}{"5432/tcp": {}},
		},
	}.Pack()
}

// tree are the files of a directory of this machine.
func (b *builder) tree(dir string) (files []File) {
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || strings.Contains(path, "/man/") {
			return err
		}
		data, err := os.ReadFile(path) // Debian has links to files of other packages there
		files = append(files, File{Path: strings.TrimPrefix(path, "/"), Mode: 0o644, Data: data})
		return err
	})
	if err != nil && b.err == nil {
		b.err = err
	}
	return files
}

// lastOfEach keeps the last of several files with one path.
func lastOfEach(files []File) (kept []File) {
	last := map[string]int{}
	for i, f := range files {
		last[f.Path] = i
	}
	for i, f := range files {
		if last[f.Path] == i {
			kept = append(kept, f)
		}
	}
	return kept
}
