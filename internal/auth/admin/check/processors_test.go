package check

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"jacamar-ci/internal/rlimit"
	"jacamar-ci/test/harness/testutil"
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

func TestProcessorsOf(t *testing.T) {
	proc := t.TempDir()
	for pid, p := range map[string]struct{ status, environ string }{
		"10": {"Name:\tgitlab-runner\nUid:\t0\t0\t0\t0\nNSpid:\t10\n", "A=1\x00GOMAXPROCS=4\x00B=2\x00"}, "11": {"Name:\tgitlab-runner\nUid:\t7\t7\t7\t7\nGid:\t5\t5\t5\t5\n", "A=1\x00"}, "12": {"Name:\tbash\nNSpid:\t12\n", "GOMAXPROCS=9\x00"},
		"13": {"Name:\tgitlab-runner\nUid:\t0\t0\t0\t0\nNSpid:\t13\t1\n", "GOMAXPROCS=5\x00"}, "sys": {"Name:\tgitlab-runner\n", ""},
		"14": {"Name:\tgitlab-runner\nUid:\t1000\t1000\t1000\t1000\nGid:\t1000\t0\t0\t0\nGroups:\t1000\n", "GOMAXPROCS=6\x00"},
		"15": {"Name:\tgitlab-runner\nUid:\t1000\t0\t0\t0\nGroups:\t100\n", "GOMAXPROCS=7\x00"}, "16": {"Name:\tgitlab-runner\n", "GOMAXPROCS=8\x00"},
		"17": {"Name:\tgitlab-runner\nUid:\t9\t9\t9\t9\nGid:\t9\t9\t9\t9\nGroups:\t3 33 \n", "GOMAXPROCS=3\x00"},
	} {
		dir := filepath.Join(proc, pid)
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		for name, text := range map[string]string{"status": p.status, "environ": p.environ} {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	group := uint32(33)
	if got := processorsOf(proc, runners(proc, services{uids: []uint32{0, 7}, group: &group})); !slices.Equal(got, []string{"4", "", "3"}) {
		t.Errorf("%q", got)
	}
	if got := processorsOf(proc, runners(proc, services{uids: []uint32{0, 7}})); !slices.Equal(got, []string{"4", ""}) {
		t.Errorf("without a group: %q", got)
	}
}

// TestServices: whose processes can be the runner that calls jacamar-auth.
func TestServices(t *testing.T) {
	const gid = 33
	for name, tt := range map[string]struct {
		mode  os.FileMode // of jacamar-auth, 0 for none
		owner int         // of the state, -1 for none
		group bool
		uids  []uint32
	}{
		"for one group":         {0o750, daemonUID, true, []uint32{0, 7, daemonUID}},
		"setuid, for one group": {0o750 | os.ModeSetuid, 0, true, []uint32{0, 7, 0}},
		"for all":               {0o755, -1, false, []uint32{0, 7}},
		"for all but the group": {0o705, -1, false, []uint32{0, 7}},
		"for its owner":         {0o700, -1, false, []uint32{0, 7}},
		"no program":            {0, -1, false, []uint32{0, 7}},
	} {
		t.Run(name, func(t *testing.T) {
			if os.Geteuid() != 0 {
				t.Skip("needs root: it gives a file to another group")
			}
			path := filepath.Join(t.TempDir(), "jacamar-auth")
			s := Site{UID: 7, Auth: testutil.AbsPath(t, path), StateDir: testutil.AbsPath(t, path+".state")}
			if tt.owner >= 0 {
				s.StateDir = stateOf(t, tt.owner)
			}
			if tt.mode != 0 {
				program(t, path)
				testutil.Must(t, os.Chown(path, -1, gid), os.Chmod(path, tt.mode))
			}
			got := s.services()
			if !slices.Equal(got.uids, tt.uids) || (got.group != nil) != tt.group || tt.group && *got.group != gid {
				t.Errorf("%+v", got)
			}
		})
	}
}

func TestJudgeLimits(t *testing.T) {
	few := rlimit.Shortage{Need: rlimit.Need{Resource: "nofile", What: "open files", Least: 64}, Has: 20}
	short := map[int][]rlimit.Shortage{1: {few}, 2: {few}, 3: nil}
	read := func(pid int) ([]rlimit.Shortage, error) {
		if s, known := short[pid]; known {
			return s, nil
		}
		return nil, unix.EPERM
	}
	for name, tt := range map[string]struct {
		pids []int
		want []Result
	}{
		"no runner to be seen":        {nil, nil},
		"one that cannot be examined": {[]int{4}, nil},
		"too low in two of them":      {[]int{1, 2, 3, 4}, []Result{Fail}},
		"high enough":                 {[]int{3, 4}, []Result{OK}},
	} {
		var got []Result
		for _, l := range judgeLimits(tt.pids, read) {
			got = append(got, l.Result)
			if l.Result == Fail && (l.Text != "the runner's limit on open files is 20, below 64: no job runs" || !strings.Contains(l.Fix, "LimitNOFILE=")) {
				t.Errorf("%s: %+v", name, l)
			}
		}
		if !slices.Equal(got, tt.want) {
			t.Errorf("%s: %v, want %v", name, got, tt.want)
		}
	}
}
