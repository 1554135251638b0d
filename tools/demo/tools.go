package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// tool is a program that the demo needs and the Debian package that has it.
type tool struct{ program, debian string }

func required() []tool {
	tools := []tool{{"git", "git"}, {"bash", "bash"}, {"getent", "libc-bin"}}
	if os.Geteuid() == 0 {
		tools = append(tools, tool{"/usr/sbin/useradd", "passwd"})
	}
	return tools
}

func missing(tools []tool) []tool {
	var out []tool
	for _, t := range tools {
		if _, err := exec.LookPath(t.program); err != nil {
			out = append(out, t)
		}
	}
	return out
}

// ensureTools installs missing tools on Debian as root.
func ensureTools(tools []tool) error {
	lack := missing(tools)
	if len(lack) == 0 {
		return nil
	}
	var programs, packages []string
	for _, t := range lack {
		programs, packages = append(programs, t.program), append(packages, t.debian)
	}
	advice := fmt.Errorf("%s not found: install the package %s", strings.Join(programs, ", "), strings.Join(packages, " "))
	apt, err := exec.LookPath("apt-get")
	if err != nil || os.Geteuid() != 0 {
		return advice
	}
	fmt.Println("Installing", strings.Join(packages, " "), "...")
	for _, argv := range [][]string{{"update", "--quiet"}, append([]string{"install", "--yes", "--no-install-recommends"}, packages...)} {
		cmd := exec.Command(apt, argv...)
		cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive")
		if out, err := cmd.CombinedOutput(); err != nil {
			return errors.Join(advice, fmt.Errorf("apt-get %s: %w: %s", argv[0], err, lastLine(out)))
		}
	}
	if len(missing(tools)) > 0 {
		return advice
	}
	return nil
}

func lastLine(out []byte) string {
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	return lines[len(lines)-1]
}

// findToolchain returns the directory of the go command, which the job's
// account must be able to use.
func findToolchain() (string, error) {
	out, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		return "", fmt.Errorf("cannot find the Go toolchain: %w", err)
	}
	bin := filepath.Join(strings.TrimSpace(string(out)), "bin")
	if os.Geteuid() != 0 {
		return bin, nil
	}
	return bin, openToOthers(bin)
}

// openToOthers fails unless every account can enter a directory.
func openToOthers(dir string) error {
	for ; dir != "/"; dir = filepath.Dir(dir) {
		info, err := os.Stat(dir)
		if err != nil {
			return err
		}
		if info.Mode().Perm()&0o005 != 0o005 {
			return fmt.Errorf("the job's account cannot use the Go toolchain: %s has mode %04o; install Go where every account can read it", dir, info.Mode().Perm())
		}
	}
	return nil
}
