package main

import (
	"fmt"
	"os"
	"path/filepath"
	"text/tabwriter"
	"time"

	"jacamar-ci/test/harness/fakerunner"
)

// stages compares one run stage, and the config stage, with other ways to run
// `true` in a login shell of the account.
func (b *benchmark) stages() error {
	a := b.site.Account
	text, err := b.sameShells()
	if err != nil {
		return err
	}
	subjects := []subject{
		{"bash --login -c true (setuid by the kernel)", as(a, "bash", "--login", "-c", "true")},
		{"the shells of a stage alone", as(a, "bash", "--login", "-c", text)},
		{"runuser -u U -- bash --login -c true", plain("runuser", "-u", a.Name, "--", "bash", "--login", "-c", "true")},
		{"su - U -c true", plain("su", "-", a.Name, "-c", "true")},
		{"sudo -u U bash --login -c true", plain("sudo", "-u", a.Name, "bash", "--login", "-c", "true")},
		{"sudo -u U, the shells of a stage", plain("sudo", "-u", a.Name, "bash", "--login", "-c", text)},
	}
	const sudo = 4
	var config fakerunner.Call
	return b.during("config", "true\n", func(c fakerunner.Call) error {
		config = c
		return b.during("build_script", "true\n", func(c fakerunner.Call) error {
			subjects = append(subjects, subject{"jacamar-auth run SCRIPT build_script", again(c)}, subject{"jacamar-auth config", again(config)})
			samples, err := takeTurns(b.site, subjects, b.rounds)
			if err != nil {
				return err
			}
			b.shells = samples[1]
			printStages(subjects, samples, samples[sudo].median())
			return nil
		})
	})
}

// sameShells is a command for a login shell that starts the same processes as a stage.
func (b *benchmark) sameShells() (string, error) {
	script := filepath.Join(b.site.Dir, "script")
	return "printf . >/dev/null && exec /bin/bash 0<" + script, os.WriteFile(script, []byte("true\n"), 0o644)
}

func printStages(subjects []subject, samples []sample, unit time.Duration) {
	fmt.Printf("One stage, the script `true`, downscope = \"setuid\", keys from the cache; %d rounds, taking turns\n\n", len(samples[0]))
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "\tmedian\t10 % to 90 %\tx sudo")
	for i, s := range samples {
		fmt.Fprintf(w, "%s\t%s\t%s\t%.2f\n", subjects[i].name, millis(s.median()), s.spread(), s.median().Seconds()/unit.Seconds())
	}
	_ = w.Flush()
}
