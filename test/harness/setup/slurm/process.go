package slurm

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// daemon is a program of the cluster. It stays in the foreground, so that its
// pid is known when it has started.
type daemon struct {
	name, owner string
	argv, env   []string
}

// spawn starts d in a session of its own, with its output in a log and its pid
// in a file, so that it outlives this process and another one can stop it.
func (c *Cluster) spawn(d daemon) error {
	log, err := os.OpenFile(filepath.Join(c.dir, d.name+".out.log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return err
	}
	defer log.Close()
	uid, gid, err := ids(d.owner)
	if err != nil {
		return err
	}
	cmd := exec.Command(d.argv[0], d.argv[1:]...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = "/", log, log
	cmd.Env = append([]string{c.Env(), "PATH=/usr/bin:/bin:/usr/sbin:/sbin", "LC_ALL=C"}, d.env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Credential: &syscall.Credential{Uid: uid, Gid: gid}}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("cannot start %s: %w", d.name, err)
	}
	// As its parent, read the exit status: a zombie would count as running.
	go cmd.Wait()
	return os.WriteFile(c.pidFile(d.name), []byte(strconv.Itoa(cmd.Process.Pid)), 0o644)
}

func (c *Cluster) pidFile(name string) string { return filepath.Join(c.dir, name+".pid") }

// Signal sends sig to one daemon: "slurmctld", "slurmd.n1", "slurmdbd", "munged".
func (c *Cluster) Signal(name string, sig syscall.Signal) error {
	pid, err := readPID(c.pidFile(name))
	if err != nil {
		return err
	}
	return syscall.Kill(pid, sig)
}

// Kill ends one daemon with SIGKILL and waits until it is gone.
func (c *Cluster) Kill(name string) error {
	pid, err := readPID(c.pidFile(name))
	if err != nil {
		return err
	}
	return end(pid, syscall.SIGKILL)
}

// KillNode ends a node like a power failure: slurmd, its slurmstepd and every
// process of its jobs. All are stopped first, so that none can report the end of
// another.
func (c *Cluster) KillNode(name string) error {
	pid, err := readPID(c.pidFile("slurmd." + name))
	if err != nil {
		return err
	}
	jobs, err := processes(func(p int) bool { return environHas(p, "SLURMD_NODENAME="+name, c.Env()) })
	if err != nil {
		return err
	}
	// The jobs' processes go first: the kernel wakes stopped ones with SIGHUP when
	// they lose their parent.
	all := jobs
	for _, p := range jobs {
		if step := parent(p); isStepd(step) {
			all = append(all, step)
		}
	}
	all = append(all, pid)
	for _, p := range all {
		if err := syscall.Kill(p, syscall.SIGSTOP); err != nil && err != syscall.ESRCH {
			return err
		}
	}
	for _, p := range all {
		if err := end(p, syscall.SIGKILL); err != nil {
			return err
		}
	}
	return nil
}

func isStepd(pid int) bool {
	exe, _ := os.Readlink(fmt.Sprintf("/proc/%d/exe", pid))
	return strings.HasPrefix(filepath.Base(exe), "slurmstepd")
}

func parent(pid int) (ppid int) {
	stat, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	_, rest, _ := strings.Cut(string(stat), ") ")
	var state string
	_, _ = fmt.Sscan(rest, &state, &ppid)
	return ppid
}

// Down stops every process of the cluster in dir and removes dir, if it exists.
func Down(dir string) error {
	if _, err := os.Stat(filepath.Join(dir, "slurm.conf")); err != nil {
		return ignoreMissing(err)
	}
	files, _ := filepath.Glob(filepath.Join(dir, "*.pid"))
	for _, f := range files {
		if pid, err := readPID(f); err == nil && environHas(pid, "SLURM_CONF="+dir+"/slurm.conf") {
			if err := end(pid, syscall.SIGKILL); err != nil {
				return err
			}
		}
	}
	// The remaining ones are slurmstepd and the jobs' own processes.
	if err := killAll(func(p int) bool { return environHas(p, "SLURM_CONF="+dir+"/slurm.conf") }); err != nil {
		return err
	}
	return os.RemoveAll(dir)
}

func killAll(ours func(pid int) bool) error {
	pids, err := processes(ours)
	if err != nil {
		return err
	}
	for _, p := range pids {
		if err := end(p, syscall.SIGKILL); err != nil {
			return err
		}
	}
	return nil
}

func processes(ours func(pid int) bool) (pids []int, err error) {
	procs, err := filepath.Glob("/proc/[0-9]*")
	for _, p := range procs {
		if pid, _ := strconv.Atoi(filepath.Base(p)); pid != os.Getpid() && ours(pid) {
			pids = append(pids, pid)
		}
	}
	return pids, err
}

// end signals a process and waits until it has ended; a zombie has.
func end(pid int, sig syscall.Signal) error {
	if err := syscall.Kill(pid, sig); err == syscall.ESRCH {
		return nil
	} else if err != nil {
		return fmt.Errorf("cannot end process %d: %w", pid, err)
	}
	return until(10*time.Second, fmt.Sprintf("process %d to end", pid), func() bool { return !alive(pid) })
}

func alive(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	_, rest, _ := strings.Cut(string(stat), ") ")
	return !strings.HasPrefix(rest, "Z") && !strings.HasPrefix(rest, "X")
}

// environHas reports whether the process was started with all of these pairs.
func environHas(pid int, pairs ...string) bool {
	file, err := os.Open(fmt.Sprintf("/proc/%d/environ", pid))
	if err != nil {
		return false
	}
	defer file.Close()
	// A process can make its environment any part of its memory (PR_SET_MM_ENV_END of prctl(2)).
	env, _ := io.ReadAll(io.LimitReader(file, 1<<20))
	for _, p := range pairs {
		if !bytes.Contains(append([]byte{0}, env...), []byte("\x00"+p+"\x00")) {
			return false
		}
	}
	return true
}

func readPID(file string) (int, error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(strings.TrimSpace(string(b)))
}

func ignoreMissing(err error) error {
	if os.IsNotExist(err) {
		return nil
	}
	return err
}

func randomText(n int) string {
	b := make([]byte, n)
	_, _ = rand.Read(b)
	return string(b)
}
