package gridengine

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// Programs are what a cluster runs, each with the Debian package that has it.
func Programs() map[string]string {
	return map[string]string{
		"/usr/sbin/sge_qmaster":                      "gridengine-master",
		"/usr/share/gridengine/scripts/init_cluster": "gridengine-master",
		"/usr/sbin/sge_execd":                        "gridengine-exec",
		"/usr/bin/qsub":                              "gridengine-client",
		"/usr/bin/qacct":                             "gridengine-client",
		"/usr/sbin/ip":                               "iproute2",
	}
}

// Cluster is one running Grid Engine: a master and a host for jobs, both here.
type Cluster struct {
	dir     string
	daemons []*exec.Cmd
}

// Up starts a cluster below dir, which it creates, in the namespaces that Inside
// created for this process, and waits until it accepts jobs. The daemons end with this
// process.
func Up(dir string) (*Cluster, error) {
	c := &Cluster{dir: dir}
	for _, step := range []func() error{c.layout, func() error { return isolate(dir) }, c.initialize, c.master, c.configure, c.node} {
		if err := step(); err != nil {
			return nil, errors.Join(err, c.Down())
		}
	}
	return c, nil
}

// Env are the variables by which Grid Engine's programs find the cluster.
func (c *Cluster) Env() []string {
	return []string{"SGE_ROOT=" + c.dir, "SGE_CELL=default", "SGE_QMASTER_PORT=6444", "SGE_EXECD_PORT=6445"}
}

func (c *Cluster) path(elem ...string) string {
	return filepath.Join(append([]string{c.dir}, elem...)...)
}

const debianRoot = "/var/lib/gridengine"

// layout creates a root like Debian's own, with everything that changes in it.
func (c *Cluster) layout() error {
	for _, d := range []string{"default/common", "spool/qmaster", "spool/execd", "spool/spooldb"} {
		if err := os.MkdirAll(c.path(d), 0o755); err != nil {
			return err
		}
	}
	for _, link := range []string{"bin", "lib", "util", "utilbin"} {
		if err := os.Symlink(filepath.Join(debianRoot, link), c.path(link)); err != nil {
			return err
		}
	}
	boot, err := os.ReadFile("/usr/share/gridengine/default-bootstrap")
	if err != nil {
		return err
	}
	text := strings.ReplaceAll(string(boot), "/var/spool/gridengine", c.path("spool"))
	if err := os.WriteFile(c.path("default/common/bootstrap"), []byte(text), 0o644); err != nil {
		return err
	}
	if err := os.WriteFile(c.path("default/common/act_qmaster"), []byte(host+"\n"), 0o644); err != nil {
		return err
	}
	if out, err := exec.Command("chown", "-R", "sgeadmin:sgeadmin", c.dir).CombinedOutput(); err != nil {
		return fmt.Errorf("chown: %w: %s", err, out)
	}
	return nil
}

func (c *Cluster) initialize() error {
	return c.admin("/usr/share/gridengine/scripts/init_cluster", c.dir, "default", c.path("spool/spooldb"), "sgeadmin")
}

// admin runs a command as Grid Engine's manager.
func (c *Cluster) admin(argv ...string) error {
	_, err := c.adminOutput(argv...)
	return err
}

func (c *Cluster) adminOutput(argv ...string) (string, error) {
	cmd := exec.Command("runuser", append([]string{"-u", "sgeadmin", "--"}, argv...)...)
	cmd.Env, cmd.Dir = append(c.Env(), "PATH=/usr/sbin:/usr/bin:/sbin:/bin"), "/"
	out, err := cmd.CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%q: %w: %s", argv, err, out)
	}
	return string(out), nil
}

// daemon starts a program that stays in the foreground (SGE_ND).
func (c *Cluster) daemon(path string) error {
	log, err := os.Create(c.path(filepath.Base(path) + ".log"))
	if err != nil {
		return err
	}
	defer log.Close()
	cmd := exec.Command(path)
	cmd.Env, cmd.Dir = append(c.Env(), "SGE_ND=1", "PATH=/usr/sbin:/usr/bin:/sbin:/bin"), "/"
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return err
	}
	c.daemons = append(c.daemons, cmd)
	return nil
}

func (c *Cluster) master() error {
	if err := c.daemon("/usr/sbin/sge_qmaster"); err != nil {
		return err
	}
	return c.await("the master to answer", func() bool { return c.admin("qconf", "-sh") == nil })
}

func (c *Cluster) node() error {
	if err := c.daemon("/usr/sbin/sge_execd"); err != nil {
		return err
	}
	return c.await("the node to take jobs", func() bool {
		out, _ := c.adminOutput("qstat", "-f")
		return strings.Contains(out, "main.q@"+host) && strings.Contains(out, "lx-")
	})
}

func (c *Cluster) await(what string, come func() bool) error {
	for end := time.Now().Add(60 * time.Second); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		if come() {
			return nil
		}
	}
	return fmt.Errorf("waited a minute for %s", what)
}

// Down stops the cluster with the processes of its jobs, and removes its files.
func (c *Cluster) Down() error {
	var errs []error
	for i := len(c.daemons) - 1; i >= 0; i-- {
		_ = c.daemons[i].Process.Kill()
		_ = c.daemons[i].Wait()
	}
	errs = append(errs, os.RemoveAll(c.dir))
	return errors.Join(errs...)
}
