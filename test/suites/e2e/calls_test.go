package e2e

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"

	"jacamar-ci/internal/seccomp"
	"jacamar-ci/test/harness/fakerunner"
	"jacamar-ci/test/harness/site"
)

// callNumbers are those of golang.org/x/sys, by name.
func callNumbers(t *testing.T) map[string]int {
	t.Helper()
	dir, err := exec.Command("go", "list", "-f", "{{.Dir}}", "golang.org/x/sys/unix").Output()
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(strings.TrimSpace(string(dir)), "zsysnum_linux_"+runtime.GOARCH+".go"))
	if err != nil {
		t.Fatal(err)
	}
	numbers := map[string]int{}
	for _, m := range regexp.MustCompile(`SYS_(\w+)\s+= (\d+)`).FindAllStringSubmatch(string(text), -1) {
		numbers[strings.ToLower(m[1])], _ = strconv.Atoi(m[2])
	}
	return numbers
}

// lists sets lists of refused calls for a site's jobs.
func lists(block, allow []string) func(site.Config) {
	return func(c site.Config) {
		table := site.Table{"block_calls": block}
		if allow != nil {
			table["allow_calls"] = allow
		}
		c.Set("auth", "seccomp", table)
	}
}

// neededCalls are calls that the shell or the test's own program needs.
var neededCalls = strings.Fields("clone openat newfstatat fstat stat lstat statx access faccessat faccessat2 read pread64 write execve wait4 rt_sigaction" +
	" rt_sigprocmask rt_sigreturn futex close mprotect dup3 dup2 pipe2 pipe fcntl lseek getdents64 prlimit64 vfork readlink readlinkat fadvise64" +
	" getrlimit poll pselect6 select uname chdir splice unlink unlinkat mkdir mkdirat chmod fchmodat rename renameat renameat2 utimensat")

// third returns every third call of the families, and the calls that a list of them
// refuses.
func third(numbers map[string]int, nth int) (block, refused []string) {
	var list seccomp.Filter
	for _, name := range neededCalls {
		if c, err := seccomp.ParseCall(name); err == nil {
			list.Allow = append(list.Allow, c)
		}
	}
	names, i := slices.Sorted(maps.Keys(numbers)), 0
	rings := len(seccomp.Filter{Block: []seccomp.Call{mustParse("bpf")}}.Refused()) // with bpf, which has no family
	for _, name := range names {
		c, err := seccomp.ParseCall(name)
		if err != nil || slices.Contains(neededCalls, name) || len(seccomp.Filter{Block: []seccomp.Call{c}}.Refused()) <= rings {
			continue
		}
		if i++; i%3 == nth {
			list.Block = append(list.Block, c)
			block = append(block, name)
		}
	}
	for _, c := range list.Refused() {
		refused = append(refused, c.String())
	}
	return block, refused
}

func mustParse(name string) seccomp.Call {
	c, err := seccomp.ParseCall(name)
	if err != nil {
		panic(err)
	}
	return c
}

// TestBlockedCallsHaveNoAlternative makes every call that a list refuses, of which the
// list names a third: each call of a family is named in one of three jobs.
func TestBlockedCallsHaveNoAlternative(t *testing.T) {
	numbers := callNumbers(t)
	privileged(t, func(t *testing.T, s *site.Site) {
		program := compiled(t, s, "calls")
		for nth := range 3 {
			block, members := third(numbers, nth)
			if len(block) < 30 || len(members) < 2*len(block) {
				t.Errorf("only %q are tried, and %q listed", members, block)
			}
			if err := s.Reconfigure(quick, confined, lists(block, slices.DeleteFunc(slices.Clone(neededCalls), func(name string) bool { return numbers[name] == 0 && name != "read" }))); err != nil {
				t.Fatal(err)
			}
			script := program
			for _, m := range members {
				script += fmt.Sprint(" ", numbers[m])
			}
			got := outputOf(t, s, script)
			if !strings.HasSuffix(got, "end\n") {
				t.Errorf("the program ended early:\n%s", got)
			}
			for _, m := range members {
				is := regexp.MustCompile(fmt.Sprintf(`(?m)^call %d: (\w+)$`, numbers[m])).FindStringSubmatch(got)
				if is == nil || is[1] != "EPERM" && !(m == "clone3" && is[1] == "ENOSYS") {
					t.Errorf("%s is refused, and its result is %q", m, is)
				}
			}
		}
	})
}

// TestOtherCallNumbersFail: with a list the calls of 32-bit programs, of the second ABI
// and of newer kernels fail with ENOSYS.
func TestOtherCallNumbersFail(t *testing.T) {
	if runtime.GOARCH != "amd64" {
		t.Skip("the program uses int $0x80 and x32")
	}
	numbers := callNumbers(t)
	last := 0
	for _, n := range numbers {
		last = max(last, n)
	}
	privileged(t, func(t *testing.T, s *site.Site) {
		program := compiled(t, s, "calls")
		if err := s.Reconfigure(quick, confined, lists([]string{"bpf"}, nil)); err != nil {
			t.Fatal(err)
		}
		script, want := program, ""
		for n := last + 1; n < last+40; n++ {
			script += fmt.Sprint(" ", n)
			want += fmt.Sprintf("call %d: ENOSYS\n", n)
		}
		script, want = script+"; "+program+" x32 600", want+"end\nx32 up to 600\nend\n"
		if got := outputOf(t, s, script); got != want {
			t.Errorf("got\n%s\nwant\n%s", got, want)
		}
		t.Run("i386", func(t *testing.T) {
			var end *exec.ExitError // the first of these calls is exit
			if err := exec.Command(program, "i386", "1").Run(); errors.As(err, &end) && !end.Exited() {
				t.Skip("this machine has no int $0x80")
			}
			if got, want := outputOf(t, s, program+" i386 600"), "i386 up to 600\nend\n"; got != want {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
		})
	})
}

// TestCallsWithTheSameEffectFail: calls whose argument gives them the effect of a refused
// one.
func TestCallsWithTheSameEffectFail(t *testing.T) {
	privileged(t, func(t *testing.T, s *site.Site) {
		program := compiled(t, s, "calls")
		free := outputOf(t, s, program+" tricks")
		for name, want := range map[string]string{
			"connect": "sendto with MSG_FASTOPEN,sendmsg with MSG_FASTOPEN,sendmmsg with MSG_FASTOPEN",
			"unshare": "clone with CLONE_NEWUSER", "seccomp": "prctl with PR_SET_SECCOMP", "bpf": "",
		} {
			if err := s.Reconfigure(quick, confined, lists([]string{name}, nil)); err != nil {
				t.Fatal(err)
			}
			expected := free
			for _, trick := range strings.FieldsFunc(want, func(r rune) bool { return r == ',' }) {
				expected = regexp.MustCompile(regexp.QuoteMeta(trick)+` 0: \w+`).ReplaceAllString(expected, trick+" 0: EPERM")
			}
			if got := outputOf(t, s, program+" tricks"); got != expected {
				t.Errorf("%s is refused:\n%s\nwant\n%s", name, got, expected)
			}
		}
	})
}

// TestIOUringRefusedByDefault: io_uring can make the calls that a list refuses.
func TestIOUringRefusedByDefault(t *testing.T) {
	if text, err := os.ReadFile("/proc/sys/kernel/io_uring_disabled"); err == nil && strings.TrimSpace(string(text)) != "0" {
		t.Skip("this kernel refuses rings to all accounts (kernel.io_uring_disabled)")
	}
	numbers := callNumbers(t)
	privileged(t, func(t *testing.T, s *site.Site) {
		program := compiled(t, s, "calls")
		script := fmt.Sprint(program, " ", numbers["io_uring_setup"])
		wanted := []string{"io_uring_setup", "io_uring_enter", "io_uring_register"}
		for name, c := range map[string]struct {
			change func(site.Config)
			want   string
		}{
			"without a list": {func(site.Config) {}, "tried"},
			"with a list":    {lists([]string{"connect"}, nil), "EPERM"},
			"wanted":         {lists([]string{"connect"}, wanted), "tried"},
		} {
			if err := s.Reconfigure(quick, confined, c.change); err != nil {
				t.Fatal(err)
			}
			if got, want := outputOf(t, s, script), fmt.Sprintf("call %d: %s\nend\n", numbers["io_uring_setup"], c.want); got != want {
				t.Errorf("%s: %q, want %q", name, got, want)
			}
		}
	})
}

// shellCalls are what bash and a few programs of this machine need.
var shellCalls = strings.Fields("access arch_prctl brk chdir clone clone3 close close_range dup dup2 dup3 execve exit exit_group faccessat faccessat2 fadvise64" +
	" fcntl fstat futex getcwd getdents64 getegid geteuid getgid getgroups getpgrp getpid getppid getrandom getrlimit gettid getuid ioctl kill lseek lstat" +
	" madvise mmap mprotect mremap munmap nanosleep clock_nanosleep newfstatat openat pipe pipe2 poll prctl pread64 prlimit64 pselect6 read readlink" +
	" readlinkat rename renameat renameat2 restart_syscall rmdir rseq rt_sigaction rt_sigprocmask rt_sigreturn select set_robust_list set_tid_address setpgid" +
	" setsid sigaltstack splice stat statfs statx sysinfo tgkill umask uname unlink unlinkat utimensat vfork wait4 write writev")

// TestOnlyAllowedCalls: a job under block_all runs, ends with its script's exit code, and
// is ended with the processes that it leaves; jacamar, which needs other calls, is
// confined too.
func TestOnlyAllowedCalls(t *testing.T) {
	numbers := callNumbers(t)
	allow := slices.DeleteFunc(slices.Clone(shellCalls), func(name string) bool { _, known := numbers[name]; return !known })
	privileged(t, func(t *testing.T, s *site.Site) {
		if err := s.Reconfigure(quick, confined, func(c site.Config) {
			c.Set("auth", "seccomp", site.Table{"block_all": true, "allow_calls": allow})
		}); err != nil {
			t.Fatal(err)
		}
		program := compiled(t, s, "calls")
		refused := fmt.Sprintf("call %d: EPERM\ncall %d: EPERM\ncall %d: EPERM\nend\n", numbers["mkdirat"], numbers["splice"]+1000, numbers["ptrace"])
		if got := outputOf(t, s, fmt.Sprint(program, " ", numbers["mkdirat"], " ", numbers["splice"]+1000, " ", numbers["ptrace"])); got != refused {
			t.Errorf("%q, want %q", got, refused)
		}
		job := s.Job()
		job.Raw = map[string][]byte{"build_script": []byte("(trap '' TERM; sleep 1000) &\n" + threads + "\nexit 7\n")}
		res := s.Runner().Run(job)
		site.Want(t, res, fakerunner.ScriptFailure, 7)
		if call, _ := res.Call("build_script"); !strings.HasPrefix(call.ScriptOutput(), "1 2\n") {
			t.Errorf("jacamar has %q", call.Stdout)
		}
		s.NoProcess(t, 0)
		e, _ := longJob(t, s)
		e.Cancel()
		site.Want(t, e.Wait(), fakerunner.Canceled, 0)
		s.NoProcess(t, 0)
	}, quick)
}

// TestAllowedCallsForDirectoryQuery: a login shell that evaluates a directory is confined
// like a job, and jacamar makes the job's directories after it.
func TestAllowedCallsForDirectoryQuery(t *testing.T) {
	numbers := callNumbers(t)
	allow := slices.DeleteFunc(slices.Clone(shellCalls), func(name string) bool { _, known := numbers[name]; return !known })
	privileged(t, func(t *testing.T, s *site.Site) {
		inHome(t, s, ".bash_profile", "export PLACE=$HOME\n")
		job := s.Job()
		job.Raw = map[string][]byte{"build_script": []byte("echo in $PWD\n")}
		res := s.Runner().Run(job)
		site.Want(t, res, fakerunner.Success, 0)
		if !strings.HasPrefix(res.BuildsDir, s.Account.Home) {
			t.Errorf("the job was in %s", res.BuildsDir)
		}
		for _, call := range res.Calls {
			if call.Status != 0 {
				t.Errorf("%s ended with %d: %s", call.Stage, call.Status, call.Stderr)
			}
		}
	}, quick, confined, func(c site.Config) {
		c.Set("auth", "seccomp", site.Table{"block_all": true, "allow_calls": allow})
		c.Set("general", "variable_data_dir", true)
		c.Set("general", "data_dir", "$PLACE")
	})
}
