package images

// RunnerPrograms are what an image for GitLab Runner's own scripts needs, as files and the
// Debian packages that have them.
func RunnerPrograms() map[string]string {
	return map[string]string{"/usr/bin/git": "git", "/usr/lib/git-core/git-remote-http": "git", "/bin/bash": "bash", "/usr/bin/busybox": "busybox-static"}
}

// Runner returns an image with this machine's git, and with the program at helper as
// gitlab-runner. Its entrypoint leaves a sign for the scripts.
func Runner(helper string) (Packed, error) {
	b := builder{}
	files := append(b.busybox("sh"), b.dynamic("bin/bash", "/bin/bash")...)
	files = append(files, b.dynamic("usr/bin/git", "/usr/bin/git")...)
	files = append(files, b.dynamic("usr/lib/git-core/git-remote-http", "/usr/lib/git-core/git-remote-http")...)
	files = append(files, b.file("usr/bin/gitlab-runner", helper), File{Path: "entry", Mode: 0o755, Data: []byte(execEntry)},
		File{Path: "usr/lib/git-core/git", Mode: 0o777, Link: "/usr/bin/git"}, File{Path: "usr/lib/git-core/git-remote-https", Mode: 0o777, Link: "git-remote-http"})
	if b.err != nil {
		return Packed{}, b.err
	}
	return Image{
		Name: "runner:1", Layers: [][]File{lastOfEach(files)},
		Config: Config{Env: []string{standardPath, "FROM_RUNNER_IMAGE=yes"}, Entrypoint: []string{"/entry"}},
	}.Pack()
}
