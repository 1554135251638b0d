package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// look returns the attributes of a process, by the names of the list in internal/inherit.
// Attributes that cannot be read of another process are read of this one, which
// inherits them.
func look(pid int) map[string]string {
	dir := fmt.Sprintf("/proc/%d", pid)
	status := statusOf(dir)
	stat := strings.Fields(after(read(dir+"/stat"), ") "))
	return map[string]string{
		"user ids": status["Uid"], "group ids": status["Gid"], "groups": sorted(status["Groups"]),
		"user namespace":  link(dir, "ns/user"),
		"login uid":       read(dir + "/loginuid"),
		"capabilities":    strings.Join([]string{status["CapInh"], status["CapPrm"], status["CapEff"], status["CapAmb"]}, " "),
		"bounding set":    status["CapBnd"],
		"secure bits":     option(unix.PR_GET_SECUREBITS),
		"session keyring": keyring(),
		"security module": strings.TrimPrefix(read(dir+"/attr/current"), "error: read "+dir),

		"scheduling policy":           number(unix.SYS_SCHED_GETSCHEDULER, uintptr(pid), 0),
		"nice value":                  nice(pid),
		"I/O priority":                number(unix.SYS_IOPRIO_GET, 1, uintptr(pid)),
		"processors and memory nodes": status["Cpus_allowed"] + " " + status["Mems_allowed"],
		"control groups":              read(dir + "/cgroup"),
		"out-of-memory score":         read(dir + "/oom_score_adj"),
		"timer slack":                 option(unix.PR_GET_TIMERSLACK),
		"execution domain":            number(unix.SYS_PERSONALITY, 0xffffffff, 0),

		"resource limits":      flat(read(dir + "/limits")),
		"blocked signals":      status["SigBlk"],
		"signal actions":       status["SigIgn"],
		"umask":                status["Umask"],
		"working directory":    link(dir, "cwd"),
		"root directory":       link(dir, "root"),
		"namespaces":           namespaces(dir),
		"descriptors":          descriptors(dir),
		"session and terminal": session(pid, stat),
		"dumpable":             fmt.Sprint(dumpable(dir)),
		"core dump filter":     read(dir + "/coredump_filter"),

		"huge pages and merging of pages": option(unix.PR_GET_THP_DISABLE) + " " + option(unix.PR_GET_MEMORY_MERGE),
		"writable code":                   option(unix.PR_GET_MDWE),
		"modes of the processor":          status["Speculation_Store_Bypass"] + ", " + status["SpeculationIndirectBranch"] + ", " + option(unix.PR_MCE_KILL_GET),

		"no_new_privs":       status["NoNewPrivs"],
		"system-call filter": status["Seccomp"],

		"pending signals and timers": status["SigPnd"] + " " + status["ShdPnd"],
		"tracing":                    status["TracerPid"],
	}
}

// session reports whether a shell, or its parent of which it is a subshell, leads the
// session and the process group. Parent, group, session and terminal are fields 4 to
// 7 of proc_pid_stat(5), counted here from the state.
func session(pid int, stat []string) string {
	parent, group, own, terminal := stat[1], stat[2], stat[3], stat[4]
	leads := group == own && (own == fmt.Sprint(pid) || own == parent)
	return fmt.Sprintf("leads %v, terminal %s", leads, terminal)
}

func statusOf(dir string) map[string]string {
	lines := map[string]string{}
	for line := range strings.Lines(read(dir + "/status")) {
		name, value, _ := strings.Cut(line, ":")
		lines[name] = flat(value)
	}
	return lines
}

func read(file string) string {
	text, err := os.ReadFile(file)
	if err != nil {
		return "error: " + err.Error()
	}
	return strings.TrimSpace(string(text))
}

func flat(s string) string { return strings.Join(strings.Fields(s), " ") }

func sorted(s string) string {
	words := strings.Fields(s)
	slices.Sort(words)
	return strings.Join(words, " ")
}

func after(s, sep string) string {
	_, rest, _ := strings.Cut(s, sep)
	return rest
}

func link(dir, name string) string {
	target, err := os.Readlink(filepath.Join(dir, name))
	if err != nil {
		return "error: " + err.Error()
	}
	return target
}

func namespaces(dir string) string {
	var all []string
	for _, name := range strings.Fields("cgroup ipc mnt net pid pid_for_children time time_for_children uts") {
		all = append(all, link(dir, "ns/"+name))
	}
	return strings.Join(all, " ")
}

func descriptors(dir string) string {
	entries, err := os.ReadDir(dir + "/fd")
	if err != nil {
		return "error: " + err.Error()
	}
	var all []string
	for _, e := range entries {
		// bash keeps the script that it reads open as 255.
		if e.Name() != "255" {
			all = append(all, e.Name())
		}
	}
	return strings.Join(all, " ")
}

// dumpable reports whether a process belongs to its account in /proc.
func dumpable(dir string) bool {
	var info unix.Stat_t
	return unix.Stat(dir, &info) == nil && int(info.Uid) == os.Getuid()
}

func option(n int) string {
	value, err := unix.PrctlRetInt(n, 0, 0, 0, 0)
	if err != nil {
		return "error: " + err.Error()
	}
	return fmt.Sprint(value)
}

func number(call, a, b uintptr) string {
	value, _, errno := unix.RawSyscall(call, a, b, 0)
	if errno != 0 {
		return "error: " + errno.Error()
	}
	return fmt.Sprint(value)
}

func nice(pid int) string {
	raw, err := unix.Getpriority(unix.PRIO_PROCESS, pid)
	if err != nil {
		return "error: " + err.Error()
	}
	return fmt.Sprint(20 - raw)
}

// keyring returns the owner of the session keyring, and whether the user keyring is in it.
func keyring() string {
	text, err := unix.KeyctlString(unix.KEYCTL_DESCRIBE, unix.KEY_SPEC_SESSION_KEYRING)
	if err != nil {
		return "error: " + err.Error()
	}
	fields := strings.Split(text, ";")
	user, err := unix.KeyctlGetKeyringID(unix.KEY_SPEC_USER_KEYRING, false)
	linked := err == nil && slices.Contains(members(), user)
	return fmt.Sprintf("of %s, named %s, user keyring %v", fields[1], fields[len(fields)-1], linked)
}
