package seccomp

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
)

const wholeEnv = "SECCOMP_TEST_WHOLE"

// TestMain lets the test program confine itself, which is irreversible.
func TestMain(m *testing.M) {
	scenario := os.Getenv(wholeEnv)
	if scenario == "" {
		os.Exit(m.Run())
	}
	if err := whole(scenario); err != nil {
		fmt.Println("error:", err)
		return
	}
	fmt.Println(flags())
}

// whole puts a filter on all threads, one of which may have one of its own.
func whole(scenario string) error {
	if scenario == "another" {
		hold := make(chan error)
		go func() {
			_ = onAThread(func() error {
				hold <- confine(Filter{})
				select {}
			})
		}()
		if err := <-hold; err != nil {
			return err
		}
	}
	return onAThread(func() error {
		if err := NoNewPrivs(); err != nil {
			return err
		}
		return Filter{}.LoadAll()
	})
}

// flags are no_new_privs and the filters of all threads, each once.
func flags() string {
	out, err := exec.Command("/bin/sh", "-c",
		`sed -nE 's/^(NoNewPrivs|Seccomp_filters):\s*//p' /proc/$PPID/task/*/status | paste -d' ' - - | sort -u`).CombinedOutput()
	if err != nil {
		return err.Error()
	}
	return strings.TrimSpace(string(out))
}

// TestLoadAll: flag and filter reach every thread, or none.
func TestLoadAll(t *testing.T) {
	for scenario, want := range map[string]string{"all": "1 1", "another": "error: cannot set the system-call filter: thread "} {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), wholeEnv+"="+scenario)
		out, err := cmd.CombinedOutput()
		if err != nil || !strings.HasPrefix(string(out), want) {
			t.Errorf("%s: %v: %s, want %s", scenario, err, out, want)
		}
	}
}
