package config

import (
	"strings"
	"testing"
	"time"
)

// TestRewritten: what is to be written instead is known where the meaning is certain, and has
// no fault then.
func TestRewritten(t *testing.T) {
	for line, want := range map[string]string{
		"[auth]\nno_new_privs = \"true\"":         "no_new_privs = true",
		"[auth]\nno_new_privs = yes":              "no_new_privs = true",
		"[auth]\nno_new_privs = \"off\"":          "no_new_privs = false",
		"[auth]\nno_new_privs = True # always":    "no_new_privs = true",
		"[auth]\nno_new_privs = 1":                "",
		"[auth]\nno_new_privs = \"maybe\"":        "",
		"[auth]\nno_new_privs = maybe":            "",
		"[auth]\nno new privs = 1":                "",
		"[auth]\nno_new_privs":                    "",
		"[auth]\nuser_allowlist = [\"a\", 3]":     "",
		"[auth]\nuser_allowlist = \"a, b\"":       `user_allowlist = ["a", "b"]`,
		"[auth]\nmin_uid = \"1000\"":              "min_uid = 1000",
		"[auth]\nmin_uid = \"many\"":              "",
		"[auth]\nmin_uid = -5":                    "",
		"[auth]\nmin_uid = \"-5\"":                "",
		"[general]\nkill_timeout = 120":           `kill_timeout = "120s"`,
		"[general]\nkill_timeout = \"120\"":       `kill_timeout = "120s"`,
		"[general]\nkill_timeout = \" 120 \"":     `kill_timeout = "120s"`,
		"[general]\nkill_timeout = \"2 min\"":     `kill_timeout = "2m"`,
		"[general]\nkill_timeout = \"5 minutes\"": `kill_timeout = "5m"`,
		"[general]\nkill_timeout = \"2d\"":        `kill_timeout = "48h"`,
		"[general]\nkill_timeout = \"1h 30min\"":  `kill_timeout = "1h30m"`,
		"[general]\nkill_timeout = \"1h30\"":      "",
		"[general]\nkill_timeout = \"-5s\"":       "",
		"[general]\nkill_timeout = \"soon\"":      "",
		"[general]\nkill_timeout = \"5M\"":        "",
		"[general]\nkill_timeout = true":          "",
		"[auth.limits]\nas = \"16GB\"":            `as = "16G"`,
		"[auth.limits]\nas = \"16 GiB\"":          `as = "16G"`,
		"[auth.limits]\nas = \"much\"":            "",
		"[auth.limits]\nas = \"iB\"":              "",
		"[auth.limits]\nas = \"8M:4M\"":           "",
	} {
		table, rest, _ := strings.Cut(line, "\n")
		with := func(text string) error {
			if strings.Contains(leastFile, table+"\n") {
				_, err := parse(strings.Replace(leastFile, table+"\n", table+"\n"+text+"\n", 1))
				return err
			}
			_, err := parse(leastFile + table + "\n" + text + "\n")
			return err
		}
		err := with(rest)
		if got := writes(err); err == nil || got != want {
			t.Errorf("%s: %v: to write is %q, want %q", line, err, got, want)
		}
		if want != "" {
			if err := with(want); err != nil {
				t.Errorf("%s: %v", want, err)
			}
		}
	}
}

// TestSplitEntry: an entry with several names in it becomes several entries.
func TestSplitEntry(t *testing.T) {
	for entry, want := range map[string]string{
		`"a, b"`: `"a", "b", one entry for each, instead of "a, b"`, `"a,b,"`: `"a", "b", one entry for each, instead of "a,b,"`, `"a b"`: "", `3`: "", `"a:b"`: "",
	} {
		_, err := parse(leastFile + "user_allowlist = [" + entry + "]\n")
		if got := writes(err); err == nil || got != want {
			t.Errorf("%s: %v: to write is %q, want %q", entry, err, got, want)
		}
	}
	const rule = "[[container.rule]]\nrequired = \"yes, please\"\n" // a key, not an entry
	if _, err := parse(leastFile + rule); err == nil || writes(err) != "" {
		t.Errorf("a key in an entry: %v", err)
	}
}

func FuzzDurationOf(f *testing.F) {
	for _, text := range []string{"120", "2 min", "1h 30min", "1h30", "d", "9999999999d", "3ms"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if got := durationOf(text); got != "" {
			if d, err := time.ParseDuration(got); err != nil || d < 0 {
				t.Errorf("%q becomes %q: %v, %v", text, got, d, err)
			}
		}
	})
}
