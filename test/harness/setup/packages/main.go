// Command packages installs the Debian packages that the suites use and this
// machine lacks, in one call: a suite by itself would install its own, one after the
// other. `make test` runs it as root. Where it cannot install, it prints the reason and
// exits with 0; the suites then skip, each with its reason.
package main

import (
	"fmt"
	"maps"
	"os"
	"os/exec"

	"jacamar-ci/test/harness/images"
	"jacamar-ci/test/harness/setup/containers"
	"jacamar-ci/test/harness/setup/debian"
	"jacamar-ci/test/harness/setup/fuse"
	"jacamar-ci/test/harness/setup/gridengine"
	"jacamar-ci/test/harness/setup/guest"
	"jacamar-ci/test/harness/setup/ldap"
	"jacamar-ci/test/harness/setup/slurm"
)

// wanted has the programs of suites, including the schedulers'.
func wanted() map[string]string {
	files := map[string]string{
		"/usr/bin/git":                   "git",
		"/usr/share/lmod/lmod/init/bash": "lmod",
		"/usr/bin/git-lfs":               "git-lfs",
		"/usr/bin/hg":                    "mercurial",
		"/usr/bin/sudo":                  "sudo",
		"/usr/bin/strace":                "strace",
		"/usr/bin/gcc":                   "gcc",
		"/usr/include/stdio.h":           "libc6-dev",
		"/usr/sbin/rsyslogd":             "rsyslog",
		"/usr/bin/rpmbuild":              "rpm",
		"/usr/bin/busybox":               "busybox-static",
		"/usr/sbin/getcap":               "libcap2-bin",
		"/usr/sbin/logrotate":            "logrotate",
		"/lib/systemd/systemd-journald":  "systemd",
		"/usr/bin/checkmodule":           "checkpolicy",
		"/usr/bin/semodule_package":      "semodule-utils",
		"/usr/bin/setfacl":               "acl",
		"/usr/bin/time":                  "time",
		"/usr/bin/chromium":              "chromium",
		"/usr/bin/zsh":                   "zsh",
		"/usr/bin/fish":                  "fish",

		"/usr/share/mkdocs/themes/material/base.html": "mkdocs-material",
	}
	maps.Copy(files, slurm.Programs(true))
	maps.Copy(files, gridengine.Programs())
	maps.Copy(files, ldap.Packages())
	maps.Copy(files, guest.Programs())
	maps.Copy(files, fuse.Programs())
	maps.Copy(files, containers.Programs())
	maps.Copy(files, images.Programs())
	maps.Copy(files, images.PostgresPrograms())
	return files
}

func main() {
	missing := debian.Missing(wanted())
	if len(missing) == 0 {
		return
	}
	if err := install(missing); err != nil {
		fmt.Fprintf(os.Stderr, "packages: %v are not installed, the suites that need them will skip: %v\n", missing, err)
	}
}

func install(missing []string) error {
	if os.Geteuid() != 0 {
		return fmt.Errorf("needs root")
	}
	if _, err := exec.LookPath("apt-get"); err != nil {
		return fmt.Errorf("this machine has no apt-get")
	}
	fmt.Println("Installing", missing, "...")
	return debian.Install(missing)
}
