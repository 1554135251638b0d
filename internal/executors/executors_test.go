package executors

import (
	"slices"
	"testing"
)

func TestNamesAreUnique(t *testing.T) {
	var seen []string
	for _, e := range All() {
		for _, name := range append([]string{e.Name}, e.Aliases...) {
			if slices.Contains(seen, name) {
				t.Errorf("%q is two executors", name)
			}
			seen = append(seen, name)
		}
	}
}

func TestRowsAreComplete(t *testing.T) {
	if All()[0].Name != Shell {
		t.Errorf("the first one is %q: BatchNames leaves it out", All()[0].Name)
	}
	for _, e := range All()[1:] {
		if len(e.Programs) == 0 || len(e.Version) == 0 || len(e.Ping) == 0 {
			t.Errorf("%+v", e)
		}
	}
}

func TestFind(t *testing.T) {
	for name, want := range map[string]bool{"slurm": true, "shell": true, "sbatch": false, "": false} {
		if e, ok := Find(name); ok != want || ok && e.Name != name {
			t.Errorf("%q: %+v, %v", name, e, ok)
		}
	}
}

func TestTexts(t *testing.T) {
	if got, want := Names(), "shell, slurm, flux, pbs, lsf, sge or cobalt"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if got, want := BatchNames(), "`slurm` (or `sbatch`), `flux`, `pbs`, `lsf` (or `bsub`), `sge` or `cobalt` (or `qsub`)"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}
