package slurm

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// Options choose what a cluster has. The zero value is two nodes without
// accounting.
type Options struct {
	Nodes      int  // number of slurmd, 2 when 0
	Accounting bool // MariaDB and slurmdbd, for sacct
	// Name of the cluster, ClusterName when "".
	Name string
	// Partner is a cluster with accounting whose munged and slurmdbd this one uses: commands
	// of each then find the other by its name.
	Partner *Cluster
	// Conf are lines added to slurm.conf, which override the package's own.
	Conf []string
	// Files are the contents of files in the directory of slurm.conf, by name.
	Files map[string]string
}

// Cluster is a running cluster below one directory.
type Cluster struct {
	name    string
	dir     string
	nodes   int
	dbd     bool
	ports   ports
	partner *Cluster
}

// ClusterName is the name of a cluster that has no other.
const ClusterName = "jacamar"

// Up installs what is missing, starts a cluster in dir and waits until its
// nodes are idle. What an earlier run left in dir is stopped and removed first.
func Up(dir string, o Options) (*Cluster, error) {
	if os.Geteuid() != 0 {
		return nil, fmt.Errorf("a Slurm cluster needs root: slurmd starts jobs as other users")
	}
	if o.Nodes == 0 {
		o.Nodes = 2
	}
	if err := install(o.Accounting); err != nil {
		return nil, err
	}
	if err := Down(dir); err != nil {
		return nil, err
	}
	c := &Cluster{name: cmp.Or(o.Name, ClusterName), dir: dir, nodes: o.Nodes, dbd: o.Accounting, partner: o.Partner}
	if err := c.start(o); err != nil {
		return nil, fmt.Errorf("%w (logs were below %s)\n%s", err, dir, c.abandon())
	}
	return c, nil
}

func (c *Cluster) start(o Options) error {
	if err := c.layout(o); err != nil {
		return err
	}
	var steps []func() error
	if c.partner == nil {
		steps = append(steps, c.startMunge)
	}
	if c.dbd {
		steps = append(steps, c.startDatabase, c.startDBD)
	}
	steps = append(steps, c.StartController, c.startNodes, c.WaitIdle)
	for _, step := range steps {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

// abandon stops a cluster that did not come up and returns the ends of its logs.
func (c *Cluster) abandon() string {
	var b strings.Builder
	logs, _ := filepath.Glob(filepath.Join(c.dir, "*.log"))
	for _, l := range logs {
		text, _ := os.ReadFile(l)
		fmt.Fprintf(&b, "--- %s\n%s", filepath.Base(l), text[max(0, len(text)-1500):])
	}
	_ = Down(c.dir)
	return b.String()
}

// Conf returns the path of slurm.conf, the value for SLURM_CONF.
func (c *Cluster) Conf() string { return filepath.Join(c.dir, "slurm.conf") }

// Env returns the variable by which Slurm's commands find this cluster.
func (c *Cluster) Env() string { return "SLURM_CONF=" + c.Conf() }

// Nodes returns the nodes' names.
func (c *Cluster) Nodes() []string {
	var names []string
	for i := range c.nodes {
		names = append(names, "n"+strconv.Itoa(i+1))
	}
	return names
}

// Command prepares one of Slurm's commands as root against this cluster.
func (c *Cluster) Command(ctx context.Context, name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = []string{c.Env(), "PATH=/usr/bin:/bin:/usr/sbin:/sbin", "HOME=/root", "LC_ALL=C"}
	cmd.Dir = "/"
	return cmd
}

// WaitIdle waits until every node accepts jobs and has none.
func (c *Cluster) WaitIdle() error {
	want := strconv.Itoa(c.nodes)
	return until(30*time.Second, "the nodes to be idle", func() bool {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		out, _ := c.Command(ctx, "sinfo", "-h", "-t", "idle", "-o", "%D").Output()
		return strings.TrimSpace(string(out)) == want
	})
}

// until checks every 20 ms whether the condition is met.
func until(limit time.Duration, what string, come func() bool) error {
	for end := time.Now().Add(limit); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if come() {
			return nil
		}
	}
	return fmt.Errorf("waited %v for %s", limit, what)
}
