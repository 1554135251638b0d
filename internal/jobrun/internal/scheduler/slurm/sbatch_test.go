package slurm

import (
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"jacamar-ci/internal/jobrun/internal/scheduler"
)

// sbatch is the installed program, with a configuration without a cluster: it parses its
// arguments before it contacts a controller.
type sbatch struct {
	t    *testing.T
	env  []string
	path string
}

func installed(t *testing.T) sbatch {
	t.Helper()
	path, err := exec.LookPath("sbatch")
	if err != nil {
		t.Skip("there is no sbatch here to be compared with")
	}
	conf := filepath.Join(t.TempDir(), "slurm.conf")
	if err := os.WriteFile(conf, []byte("ClusterName=x\nSlurmctldHost=localhost\nAuthType=auth/none\nCredType=cred/none\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return sbatch{t, []string{"SLURM_CONF=" + conf, "LC_ALL=C"}, path}
}

// output returns what sbatch prints for arguments with which it submits nothing.
func (s sbatch) output(args ...string) string {
	cmd := exec.Command(s.path, args...)
	cmd.Env, cmd.Stdin = s.env, strings.NewReader("no script\n")
	out, err := cmd.CombinedOutput()
	if err == nil {
		s.t.Fatalf("sbatch %q is accepted: %s", args, out)
	}
	return string(out)
}

// of is output for an argument followed by one that no sbatch accepts.
func (s sbatch) of(arg string) string { return s.output(arg, "--zzz=1") }

// options are sbatch's long options, which it lists in the error about an ambiguous
// letter.
func (s sbatch) options() (names []string) {
	for letter := 'a'; letter <= 'z'; letter++ {
		output := s.of("--" + string(letter) + "=1")
		for _, m := range regexp.MustCompile(`'--([a-z-]+)'`).FindAllStringSubmatch(output, -1) {
			names = append(names, m[1])
		}
	}
	return names
}

// Every abbreviation of every option of this sbatch is passed as written, or rejected
// because the engine sets the option; and no option of the engine is passed.
func TestAbbreviationsOfSbatch(t *testing.T) {
	s := installed(t)
	names := s.options()
	if len(names) < 80 {
		t.Fatalf("only %d options: %q", len(names), names)
	}
	beginnings := map[string]bool{}
	for _, name := range names {
		for n := 1; n <= len(name); n++ {
			beginnings[name[:n]] = true
		}
	}
	g := grammar()
	taken := 0
	for _, p := range slices.Sorted(maps.Keys(beginnings)) {
		if strings.Contains(s.of("--"+p+"=1"), "is ambiguous") {
			continue
		}
		taken++
		args, err := g.Parse([]string{"--" + p + "=1"})
		meant := whole(names, p)
		if err != nil && strings.Contains(err.Error(), "takes no value") {
			args, err = g.Parse([]string{"--" + p})
		}
		reserves := reserved(g, meant)
		switch {
		case err != nil && !CouldBeReserved(g, p):
			t.Errorf("--%s is --%s to sbatch, and is refused: %v", p, meant, err)
		case err == nil && args[0].Reserved != reserves:
			t.Errorf("--%s is --%s to sbatch; reserved: %v, want %v", p, meant, args[0].Reserved, reserves)
		case err == nil && args[0].Words[0] != "--"+p && args[0].Words[0] != "--"+p+"=1":
			t.Errorf("--%s becomes %q", p, args[0].Words)
		}
	}
	t.Logf("sbatch takes %d of %d beginnings", taken, len(beginnings))
}

// whole is the option that an abbreviation means.
func whole(names []string, beginning string) string {
	for _, n := range names {
		if n == beginning {
			return n
		}
	}
	for _, n := range names {
		if strings.HasPrefix(n, beginning) {
			return n
		}
	}
	return ""
}

func reserved(g scheduler.Grammar, name string) bool {
	return slices.ContainsFunc(g, func(o scheduler.Option) bool { return o.Long == name && o.Reserved })
}

func CouldBeReserved(g scheduler.Grammar, beginning string) bool {
	return slices.ContainsFunc(g, func(o scheduler.Option) bool { return strings.HasPrefix(o.Long, beginning) && o.Reserved })
}

// The grammar contains the options of this sbatch, each with the right kind of value.
func TestGrammarHasSbatchsOptions(t *testing.T) {
	s := installed(t)
	known := map[string]scheduler.Option{}
	for _, o := range grammar() {
		known[o.Long] = o
	}
	for _, name := range s.options() {
		o, ok := known[name]
		if !ok {
			t.Errorf("--%s is not in the grammar", name)
			continue
		}
		if name == "help" || name == "usage" || name == "version" {
			continue // they end sbatch
		}
		kind := scheduler.Optional
		if strings.Contains(s.of("--"+name+"=1"), "doesn't allow an argument") {
			kind = scheduler.None
		} else if strings.Contains(s.output("--"+name), "requires an argument") {
			kind = scheduler.Required
		}
		if kind != o.Value && (o.Value != scheduler.Optional || kind == scheduler.Required) { // a later version may take one
			t.Errorf("--%s: the kind of value is %d, want %d", name, o.Value, kind)
		}
	}
}
