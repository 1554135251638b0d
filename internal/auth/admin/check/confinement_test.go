package check

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"jacamar-ci/test/harness/testutil"
)

func TestReadable(t *testing.T) {
	file := filepath.Join(t.TempDir(), "jacamar")
	for name, c := range map[string]struct {
		text string
		mode os.FileMode
		want []string
	}{
		"as installed":       {"\x7fELF", 0o711, nil},
		"by all":             {"\x7fELF", 0o755, []string{"warn can be read by the accounts of jobs (mode 0755)"}},
		"by its group":       {"\x7fELF", 0o751, []string{"warn (mode 0751)"}},
		"by others":          {"\x7fELF", 0o715, []string{"warn (mode 0715)"}},
		"a script":           {"#!/bin/sh\n", 0o755, nil},
		"empty":              {"", 0o755, []string{"warn"}},
		"one byte of script": {"#", 0o755, []string{"warn"}},
	} {
		if err := errors.Join(os.RemoveAll(file), os.WriteFile(file, []byte(c.text), 0o700), os.Chmod(file, c.mode)); err != nil {
			t.Fatal(err)
		}
		t.Run(name, func(t *testing.T) { found(t, readable(testutil.AbsPath(t, file)), c.want...) })
	}
	found(t, readable(testutil.AbsPath(t, "/nonexistent/jacamar")))
}

func TestPolicyType(t *testing.T) {
	for text, want := range map[string]string{
		"SELINUX=enforcing\nSELINUXTYPE=mls\n": "mls", "# SELINUXTYPE=mls\n SELINUXTYPE = targeted \n": "targeted", "": "targeted", "SELINUX=enforcing\n": "targeted",
	} {
		if got := policyType(text); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

func TestJudgeLogins(t *testing.T) {
	const free = "root:unconfined_u:s0-s0:c0.c1023\n__default__:unconfined_u:s0-s0:c0.c1023\nsystem_u:system_u:s0\n"
	for text, want := range map[string]string{
		free:                                    "ok confines no logins",
		free + "alice:staff_u:s0\n":             "warn the logins of alice",
		"__default__:user_u:s0\n":               "warn the logins of __default__",
		free + "# bob:user_u:s0\n":              "ok",
		"%hpc:user_u:s0\nbob:guest_u:s0\n":      "warn the logins of %hpc, bob",
		"root:staff_u:s0\nsystem_u:user_u:s0\n": "ok",
		"":                                      "ok",
		"nonsense\n":                            "ok",
	} {
		found(t, judgeLogins("/etc/selinux/targeted/seusers", text), want)
	}
}
