package config

import (
	"fmt"
	"strings"
	"testing"
)

// TestMayMatch: a set may have any characters, since it can have a "!" before them.
func TestMayMatch(t *testing.T) {
	for pattern, want := range map[string]bool{
		"hpc/**": true, "hpc/sim2": true, "2": true, "größe/a_b-c.d?": true, "a[+~]b": true, "a/[!+]": true, "a[b]+": false, "a+b": false, "^a": false, "a b": false, "a]+[b": false,
		"a/.*": false, ".*": false, "a/b.*": true,
	} {
		if got := mayMatch(pattern); got != want {
			t.Errorf("%q: %v", pattern, got)
		}
	}
}

func TestRootDirCreationWarning(t *testing.T) {
	const text = "auth.root_dir_creation: has no effect unless downscope is"
	for downscope, other := range map[string]bool{"setuid": false, "sudo": true, "none": true} {
		for _, line := range []string{"", "root_dir_creation = true\n"} {
			c, err := parse(strings.NewReplacer("setuid", downscope, "$HOME", "/data").Replace(leastFile) + line)
			if got := strings.Contains(fmt.Sprint(c.Warnings), text); err != nil || got != (other && line != "") {
				t.Errorf("%s, %q: %v, %v", downscope, line, err, c.Warnings)
			}
		}
	}
}
