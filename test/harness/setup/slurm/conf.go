package slurm

import (
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"

	"jacamar-ci/test/harness/setup/freeports"
)

// layout makes the directories and writes the configuration files.
func (c *Cluster) layout(o Options) error {
	for dir, owner := range map[string]string{
		"": "root", "state": "slurm", "spool": "root", "munge": "munge", "run": "slurm", "mysql": "mysql",
	} {
		if owner == "mysql" && !o.Accounting {
			continue
		}
		if err := makeDir(filepath.Join(c.dir, dir), owner); err != nil {
			return err
		}
	}
	free, err := freeports.Find(2 + c.nodes)
	if err != nil {
		return err
	}
	if c.ports = (ports{free[0], free[1], free[2:]}); c.partner != nil {
		c.ports.dbd = c.partner.ports.dbd
	}
	if err := os.WriteFile(c.Conf(), []byte(c.slurmConf(o.Conf)), 0o644); err != nil {
		return err
	}
	for name, text := range o.Files {
		if err := os.WriteFile(filepath.Join(c.dir, name), []byte(text), 0o644); err != nil {
			return err
		}
	}
	if !c.dbd {
		return nil
	}
	return writeOwned(filepath.Join(c.dir, "slurmdbd.conf"), c.dbdConf(c.ports.dbd), "slurm")
}

// slurmConf is slurm.conf(5) for loopback: short times, so that tests of limits and of
// lost nodes take seconds, and otherwise Slurm's defaults.
func (c *Cluster) slurmConf(extra []string) string {
	lines := []string{
		"ClusterName=" + c.name,
		"SlurmctldHost=localhost(127.0.0.1)",
		fmt.Sprintf("SlurmctldPort=%d", c.ports.controller),
		// Without these two the daemons listen on every address.
		"CommunicationParameters=NoCtldInAddrAny,NoInAddrAny",
		"AuthType=auth/munge", "CredType=cred/munge",
		"AuthInfo=socket=" + c.mungeSocket(),
		"SlurmUser=slurm",
		"StateSaveLocation=" + c.dir + "/state",
		"SlurmdSpoolDir=" + c.dir + "/spool/%n",
		"SlurmctldPidFile=" + c.dir + "/run/slurmctld.slurm.pid",
		"SlurmdPidFile=" + c.dir + "/run/slurmd.%n.slurm.pid",
		"SlurmctldLogFile=" + c.dir + "/run/slurmctld.log",
		"SlurmdLogFile=" + c.dir + "/slurmd.%n.log",
		"ProctrackType=proctrack/linuxproc", "TaskPlugin=task/none", "MpiDefault=none",
		"JobAcctGatherType=jobacct_gather/linux", "JobAcctGatherFrequency=1",
		"SelectType=select/cons_tres", "SelectTypeParameters=CR_Core",
		"SchedulerParameters=batch_sched_delay=0,sched_min_interval=0,bf_interval=2",
		"SlurmdParameters=config_overrides",
		"ReturnToService=2", "KillWait=5", "SlurmdTimeout=10", "MessageTimeout=10", "UnkillableStepTimeout=15",
	}
	if c.dbd || c.partner != nil {
		lines = append(lines, "AccountingStorageType=accounting_storage/slurmdbd", "AccountingStorageHost=127.0.0.1",
			fmt.Sprintf("AccountingStoragePort=%d", c.ports.dbd),
			// For slurmdbd the munge socket is named here and not by AuthInfo.
			"AccountingStoragePass="+c.mungeSocket())
	}
	for i, n := range c.Nodes() {
		lines = append(lines, fmt.Sprintf("NodeName=%s NodeHostname=localhost NodeAddr=127.0.0.1 Port=%d CPUs=64 RealMemory=8000", n, c.ports.nodes[i]))
	}
	nodes := strings.Join(c.Nodes(), ",")
	lines = append(lines,
		"PartitionName=main Nodes="+nodes+" Default=YES MaxTime=60 State=UP",
		"PartitionName=hidden Nodes="+nodes+" State=UP Hidden=YES",
		"PartitionName=down Nodes="+nodes+" State=DOWN")
	return strings.Join(append(lines, extra...), "\n") + "\n"
}

func (c *Cluster) dbdConf(port int) string {
	return strings.Join([]string{
		"DbdHost=localhost", "DbdAddr=127.0.0.1", fmt.Sprintf("DbdPort=%d", port),
		"CommunicationParameters=NoInAddrAny",
		"AuthType=auth/munge", "AuthInfo=socket=" + c.mungeSocket(),
		"SlurmUser=slurm", "LogFile=" + c.dir + "/run/slurmdbd.log", "PidFile=" + c.dir + "/run/slurmdbd.slurm.pid",
		"StorageType=accounting_storage/mysql", "StorageUser=slurm", "StorageLoc=slurm_acct",
	}, "\n") + "\n"
}

func makeDir(path, owner string) error {
	if err := os.MkdirAll(path, 0o755); err != nil {
		return err
	}
	// The daemons and the jobs' users have to pass through.
	if err := os.Chmod(path, 0o755); err != nil {
		return err
	}
	return chown(path, owner)
}

func writeOwned(path, text, owner string) error {
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		return err
	}
	return chown(path, owner)
}

func chown(path, owner string) error {
	uid, gid, err := ids(owner)
	if err != nil {
		return err
	}
	return os.Chown(path, int(uid), int(gid))
}

func ids(name string) (uid, gid uint32, err error) {
	u, err := user.Lookup(name)
	if err != nil {
		return 0, 0, err
	}
	n, _ := strconv.ParseUint(u.Uid, 10, 32)
	g, _ := strconv.ParseUint(u.Gid, 10, 32)
	return uint32(n), uint32(g), nil
}

// ports are those of a cluster's daemons.
type ports struct {
	controller, dbd int
	nodes           []int
}
