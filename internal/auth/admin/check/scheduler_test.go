package check

import (
	"os"
	"path/filepath"
	"testing"

	"jacamar-ci/internal/config"
	"jacamar-ci/internal/settings"
	"jacamar-ci/test/harness/testutil"
)

func slurmSite(t *testing.T, bin string) Site {
	return Site{Config: &config.Config{
		General: config.General{General: settings.General{Executor: "slurm"}}, Batch: config.Batch{Batch: settings.Batch{SchedulerBin: testutil.AbsPath(t, bin)}},
	}}
}

func TestSchedulerPrograms(t *testing.T) {
	bin := openDir(t)
	found(t, scheduler(t.Context(), Site{Config: &config.Config{General: config.General{General: settings.General{Executor: settings.Shell}}}}))
	site := slurmSite(t, bin)
	found(t, scheduler(t.Context(), site), "fail no sbatch, squeue, scontrol, scancel in ")
	for _, name := range []string{"sbatch", "squeue", "scontrol", "scancel"} {
		program(t, filepath.Join(bin, name))
	}
	if got := scheduler(t.Context(), site); got[0].Result != OK {
		t.Errorf("%+v, want the programs found", got[0])
	}
	testutil.Must(t, os.Chmod(bin, 0o750))
	found(t, scheduler(t.Context(), site), "fail the accounts of jobs cannot run "+bin+"/sbatch: "+bin+" has mode 0750")
	site.Config.Batch.SlurmSacct = true
	found(t, scheduler(t.Context(), site), "fail no sacct in "+bin)
}

// The programs run with the privileges of the check, so that a place which others
// can write to is reported and nothing in it is run.
func TestSchedulerLiveness(t *testing.T) {
	for name, tt := range map[string]struct {
		scontrol string
		mode     os.FileMode
		want     []string
	}{
		"alive":       {"echo up", 0o755, []string{"ok sbatch", "ok slurm 22.05.8", "ok scontrol ping succeeded"}},
		"away":        {"echo DOWN; exit 1", 0o755, []string{"ok sbatch", "ok slurm 22.05.8", "fail exit code 1): DOWN"}},
		"killed":      {"kill -KILL $$", 0o755, []string{"ok sbatch", "ok slurm 22.05.8", "fail signal 9"}},
		"not trusted": {"echo up", 0o777, []string{"ok sbatch", "ok slurm 22.05.8", "fail scontrol", "skip was not run"}},
	} {
		t.Run(name, func(t *testing.T) {
			bin, err := os.MkdirTemp(trustedParent(t), "check-")
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { os.RemoveAll(bin) })
			if err := os.Chmod(bin, 0o755); err != nil {
				t.Fatal(err)
			}
			for name, text := range map[string]string{"sbatch": "echo slurm 22.05.8", "squeue": "", "scancel": "", "scontrol": tt.scontrol} {
				if err := os.WriteFile(filepath.Join(bin, name), []byte("#!/bin/sh\n"+text+"\n"), 0o755); err != nil {
					t.Fatal(err)
				}
			}
			if err := os.Chmod(filepath.Join(bin, "scontrol"), tt.mode); err != nil {
				t.Fatal(err)
			}
			found(t, scheduler(t.Context(), slurmSite(t, bin)), tt.want...)
		})
	}
}

// TestSchedulerLinks: the programs of a site can be links, as of alternatives or a tree of
// versions.
func TestSchedulerLinks(t *testing.T) {
	dir, err := os.MkdirTemp(trustedParent(t), "check-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	bin := filepath.Join(dir, "bin")
	testutil.Must(t, os.Chmod(dir, 0o755), os.Mkdir(bin, 0o755), os.Mkdir(filepath.Join(dir, "22.05"), 0o755))
	for _, name := range []string{"sbatch", "squeue", "scontrol", "scancel"} {
		testutil.Must(t, os.WriteFile(filepath.Join(dir, "22.05", name), []byte("#!/bin/sh\necho slurm 22.05.8\n"), 0o755))
		testutil.Must(t, os.Symlink("../22.05/"+name, filepath.Join(bin, name)))
	}
	found(t, scheduler(t.Context(), slurmSite(t, bin)), "ok sbatch", "ok slurm 22.05.8", "ok scontrol ping succeeded")
}

// trustedParent is a directory below which no one else writes.
func trustedParent(t *testing.T) string {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs a directory that root alone can write to")
	}
	return "/srv"
}
