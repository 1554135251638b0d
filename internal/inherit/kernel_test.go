package inherit

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// coverage is testdata/kernel.txt: by attribute, what the kernel keeps it in and what
// changes it. Below "cred", "task_struct" and the other names of structures are their
// fields, in Linux 6.18 by its BTF and in 6.12 by its headers (include/linux/cred.h,
// sched.h, sched/signal.h, fs_struct.h, fdtable.h, nsproxy.h), so that whatever
// copy_process copies is there; below "status" the lines of /proc/PID/status, below
// "proc" the files of /proc/PID that can be written or that name an attribute, below
// "prctl" the options of prctl(2), and below "calls" system calls.
type coverage map[string]map[string][]string

var structures = []string{"cred", "task_struct", "signal_struct", "sighand_struct", "fs_struct", "files_struct", "nsproxy"}

func readCoverage(t *testing.T) coverage {
	t.Helper()
	text, err := os.ReadFile("testdata/kernel.txt")
	if err != nil {
		t.Fatal(err)
	}
	c, attribute := coverage{}, ""
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		if name, ok := strings.CutPrefix(line, "["); ok {
			attribute = strings.TrimSuffix(name, "]")
			if c[attribute] != nil {
				t.Errorf("%q is there twice", attribute)
			}
			c[attribute] = map[string][]string{}
		} else if kind, items, ok := strings.Cut(line, ":"); ok {
			c[attribute][kind] = append(c[attribute][kind], strings.Fields(items)...)
		}
	}
	return c
}

// of returns all names of a kind.
func (c coverage) of(kind string) (all []string) {
	for _, items := range c {
		all = append(all, items[kind]...)
	}
	return all
}

// TestEveryAttributeIsSomewhere, and there is nothing but attributes of the list.
func TestEveryAttributeIsSomewhere(t *testing.T) {
	c, named := readCoverage(t), map[string]bool{}
	for _, a := range List() {
		if len(c[a.Name]) == 0 {
			t.Errorf("nothing of the kernel is %q", a.Name)
		}
		named[a.Name] = true
	}
	for name, kinds := range c {
		if !named[name] {
			t.Errorf("%q is not in the list", name)
		}
		for kind := range kinds {
			if !slices.Contains(append([]string{"status", "proc", "prctl", "calls"}, structures...), kind) {
				t.Errorf("%q has %q", name, kind)
			}
		}
	}
}

// missing returns what no attribute has.
func (c coverage) missing(kind string, names []string) (left []string) {
	known := c.of(kind)
	for _, name := range names {
		if !slices.Contains(known, name) {
			left = append(left, name)
		}
	}
	return left
}

// TestEveryFieldHasARow asks the running kernel for the fields of the structures
// that fork(2) copies.
func TestEveryFieldHasARow(t *testing.T) {
	fields, err := kernelFields(structures...)
	if errors.Is(err, fs.ErrNotExist) {
		t.Skip("this kernel has no BTF (CONFIG_DEBUG_INFO_BTF)")
	}
	if err != nil {
		t.Fatal(err)
	}
	c := readCoverage(t)
	for _, name := range structures {
		if len(fields[name]) < 3 {
			t.Errorf("the kernel shows %d fields of %s", len(fields[name]), name)
		}
		for _, left := range c.missing(name, fields[name]) {
			t.Errorf("%s.%s has no row: decide what a job has of it", name, left)
		}
	}
}

// TestEveryLineOfStatusHasARow: what the kernel shows of a process is in the list.
func TestEveryLineOfStatusHasARow(t *testing.T) {
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for line := range strings.Lines(string(text)) {
		name, _, _ := strings.Cut(line, ":")
		names = append(names, name)
	}
	if left := readCoverage(t).missing("status", names); len(left) > 0 || len(names) < 40 {
		t.Errorf("of %d lines these have no row: %q", len(names), left)
	}
}

// TestEveryFileToWriteHasARow: a file of a process that can be written changes it.
func TestEveryFileToWriteHasARow(t *testing.T) {
	entries, err := os.ReadDir("/proc/self")
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		if info, err := e.Info(); err == nil && info.Mode().IsRegular() && info.Mode().Perm()&0o222 != 0 {
			names = append(names, e.Name())
		}
	}
	if left := readCoverage(t).missing("proc", names); len(left) > 0 || len(names) < 8 {
		t.Errorf("of %q these have no row: %q", names, left)
	}
}

// TestEveryOptionHasARow: an option of prctl(2) that sets something is in the list.
func TestEveryOptionHasARow(t *testing.T) {
	options := constants(t, `\bPR_[A-Z0-9_]*SET[A-Z0-9_]*\b|\bPR_CAPBSET_DROP\b|\bPR_CAP_AMBIENT\b|\bPR_MCE_KILL\b|\bPR_SCHED_CORE\b|\bPR_FUTEX_HASH\b|\bPR_TIMER_CREATE_RESTORE_IDS\b|\bPR_RSEQ_SLICE_EXTENSION\b`)
	// Values of options, and what only asks.
	values := regexp.MustCompile(`^PR_SET_MM_|^PR_SET_PTRACER_ANY$|^PR_SET_VMA_|^PR_CAPBSET_READ$|^PR_CAP_AMBIENT_|^PR_MCE_KILL_|_ONEXEC$|^PR_PPC_SET_DEXCR$|^PR_PPC_DEXCR|^PR_FUTEX_HASH_|^PR_RSEQ_SLICE_EXTENSION_`)
	options = slices.DeleteFunc(options, values.MatchString)
	if left := readCoverage(t).missing("prctl", options); len(left) > 0 || len(options) < 25 {
		t.Errorf("of %d options these have no row: %q", len(options), left)
	}
}

// constants are the names in golang.org/x/sys/unix that match.
func constants(t *testing.T, pattern string) []string {
	t.Helper()
	dir, err := exec.Command("go", "list", "-f", "{{.Dir}}", "golang.org/x/sys/unix").Output()
	if err != nil {
		t.Skipf("cannot find golang.org/x/sys: %v", err)
	}
	seen := map[string]bool{}
	for _, name := range strings.Fields("zerrors_linux zerrors_linux_amd64 zerrors_linux_arm64 zerrors_linux_ppc64le" +
		" zsysnum_linux_amd64 zsysnum_linux_arm64 zsysnum_linux_ppc64le") {
		file := filepath.Join(strings.TrimSpace(string(dir)), name+".go")
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range regexp.MustCompile(pattern).FindAllString(string(text), -1) {
			seen[name] = true
		}
	}
	var names []string
	for name := range seen {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// TestEveryCallThatSetsHasARow: a system call that sets something of its own process
// is in the list.
func TestEveryCallThatSetsHasARow(t *testing.T) {
	// What sets something of a file, a socket, the machine, or asks.
	others := strings.Fields("setxattr lsetxattr fsetxattr setxattrat setsockopt sethostname setdomainname settimeofday clock_settime mq_getsetattr" +
		" timerfd_settime mount_setattr file_setattr io_setup io_uring_setup landlock_create_ruleset sys_debug_setcontext")
	var names []string
	for _, name := range constants(t, `\bSYS_[A-Z0-9_]*SET[A-Z0-9_]*\b|\bSYS_(UNSHARE|PERSONALITY|UMASK|CHDIR|FCHDIR|CHROOT|PIVOT_ROOT|KEYCTL|SECCOMP|LANDLOCK_RESTRICT_SELF|IOPL|IOPERM|RT_SIGACTION|RT_SIGPROCMASK|SIGALTSTACK|ALARM|TIMER_CREATE|MLOCKALL|RSEQ|PTRACE|PRLIMIT64|ACCT|MODIFY_LDT|ARCH_PRCTL)\b`) {
		name = strings.ToLower(strings.TrimPrefix(name, "SYS_"))
		if !slices.Contains(others, name) {
			names = append(names, name)
		}
	}
	if left := readCoverage(t).missing("calls", names); len(left) > 0 || len(names) < 40 {
		t.Errorf("of %d calls these have no row: %q", len(names), left)
	}
}
