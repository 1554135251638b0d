package slurm

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

func (c *Cluster) mungeSocket() string {
	if c.partner != nil {
		return c.partner.mungeSocket()
	}
	return filepath.Join(c.dir, "munge", "socket")
}

func (c *Cluster) startMunge() error {
	if err := writeOwned(filepath.Join(c.dir, "munge", "key"), randomText(128), "munge"); err != nil {
		return err
	}
	return c.StartMunge()
}

// StartMunge starts munged, instead of one that was killed.
func (c *Cluster) StartMunge() error {
	dir := filepath.Join(c.dir, "munge")
	if err := ignoreMissing(os.Remove(c.mungeSocket())); err != nil {
		return err
	}
	d := daemon{name: "munged", owner: "munge", argv: []string{
		"/usr/sbin/munged", "--foreground", "--force", "--key-file=" + dir + "/key", "--socket=" + c.mungeSocket(),
		"--pid-file=" + dir + "/munged.pid", "--log-file=" + dir + "/munged.log", "--seed-file=" + dir + "/seed",
	}}
	if err := c.spawn(d); err != nil {
		return err
	}
	return until(10*time.Second, "munged's socket", func() bool {
		_, err := os.Stat(c.mungeSocket())
		return err == nil
	})
}

// StartController starts slurmctld, which reads the state that an earlier one
// left, and waits until it responds.
func (c *Cluster) StartController() error {
	if err := c.spawn(daemon{name: "slurmctld", owner: "slurm", argv: []string{"/usr/sbin/slurmctld", "-D"}}); err != nil {
		return err
	}
	return until(30*time.Second, "slurmctld to answer", func() bool {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		return c.Command(ctx, "scontrol", "ping").Run() == nil
	})
}

func (c *Cluster) startNodes() error {
	for _, n := range c.Nodes() {
		if err := c.StartNode(n); err != nil {
			return err
		}
	}
	return nil
}

// StartNode starts the slurmd of one node.
func (c *Cluster) StartNode(name string) error {
	return c.spawn(daemon{name: "slurmd." + name, owner: "root", argv: []string{"/usr/sbin/slurmd", "-D", "-N", name}})
}

func (c *Cluster) startDatabase() error {
	dir := filepath.Join(c.dir, "mysql")
	install := exec.Command("mariadb-install-db", "--no-defaults", "--user=mysql", "--datadir="+dir+"/data",
		"--auth-root-authentication-method=socket", "--skip-test-db")
	if out, err := install.CombinedOutput(); err != nil {
		return fmt.Errorf("mariadb-install-db: %w\n%s", err, out)
	}
	d := daemon{name: "mariadbd", owner: "mysql", argv: []string{
		"/usr/sbin/mariadbd", "--no-defaults", "--datadir=" + dir + "/data", "--socket=" + c.mysqlSocket(),
		"--pid-file=" + dir + "/pid", "--skip-networking", "--innodb-buffer-pool-size=32M", "--tmpdir=" + dir,
	}}
	if err := c.spawn(d); err != nil {
		return err
	}
	return until(30*time.Second, "MariaDB", func() bool {
		return exec.Command("mariadb", "--no-defaults", "--socket="+c.mysqlSocket(), "-e",
			"grant all on slurm_acct.* to 'slurm'@'localhost' identified via unix_socket").Run() == nil
	})
}

func (c *Cluster) mysqlSocket() string { return filepath.Join(c.dir, "mysql", "socket") }

// startDBD needs slurmdbd.conf in the directory of slurm.conf, where slurmdbd expects it.
func (c *Cluster) startDBD() error {
	d := daemon{
		name: "slurmdbd", owner: "root", argv: []string{"/usr/sbin/slurmdbd", "-D"},
		env: []string{"MYSQL_UNIX_PORT=" + c.mysqlSocket()},
	}
	if err := c.spawn(d); err != nil {
		return err
	}
	return until(30*time.Second, "slurmdbd to answer", func() bool {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		return c.Command(ctx, "sacctmgr", "-n", "list", "cluster").Run() == nil
	})
}
