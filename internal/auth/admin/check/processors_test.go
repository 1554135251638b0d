package check

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
)

func TestJudgeProcessors(t *testing.T) {
	for name, tt := range map[string]struct {
		node   int
		limits []string
		want   []Result
	}{
		"a small node":                {32, []string{""}, nil},
		"no runner to be seen":        {256, nil, nil},
		"no limit":                    {256, []string{""}, []Result{Warn}},
		"a limit":                     {256, []string{"4"}, []Result{OK}},
		"one of two runners has none": {128, []string{"4", ""}, []Result{Warn}},
		"a limit that is none":        {256, []string{"256"}, []Result{Warn}},
		"not a number":                {256, []string{"four"}, []Result{Warn}},
		"zero":                        {256, []string{"0"}, []Result{Warn}},
	} {
		var got []Result
		for _, l := range judgeProcessors(tt.node, tt.limits) {
			got = append(got, l.Result)
		}
		if !slices.Equal(got, tt.want) {
			t.Errorf("%s: %v, want %v", name, got, tt.want)
		}
	}
}

func TestRunnerLimits(t *testing.T) {
	proc := t.TempDir()
	for pid, p := range map[string]struct{ comm, environ string }{
		"10": {"gitlab-runner\n", "A=1\x00GOMAXPROCS=4\x00B=2\x00"}, "11": {"gitlab-runner\n", "A=1\x00"}, "12": {"bash\n", "GOMAXPROCS=9\x00"}, "sys": {"", ""},
	} {
		dir := filepath.Join(proc, pid)
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		for name, text := range map[string]string{"comm": p.comm, "environ": p.environ} {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	if got := runnerLimits(proc); !slices.Equal(got, []string{"4", ""}) {
		t.Errorf("%q", got)
	}
}
