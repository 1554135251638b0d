package main

import (
	"strings"
	"testing"

	"jacamar-ci/internal/driver"
	"jacamar-ci/internal/job"
)

func TestParse(t *testing.T) {
	site := driver.Call{Stage: job.Config, Configuration: "/etc/x"}
	for line, want := range map[string]driver.Call{
		"config --configuration /etc/x":       site,
		"config --configuration=/etc/x":       site,
		"config --configuration=/etc/x --":    site,
		"config --configuration --help":       {Stage: job.Config, Configuration: "--help"},
		"cleanup":                             {Stage: job.Cleanup},
		"cleanup --configuration a=b":         {Stage: job.Cleanup, Configuration: "a=b"},
		"-u prepare":                          {Stage: job.Prepare, Unobfuscated: true},
		"--unobfuscated -u prepare":           {Stage: job.Prepare, Unobfuscated: true},
		"run /tmp/script step_script":         {Stage: job.Run, Script: "/tmp/script", SubStage: "step_script"},
		"run -- -script --stage":              {Stage: job.Run, Script: "-script", SubStage: "--stage"},
		"run script --configuration":          {Stage: job.Run, Script: "script", SubStage: "--configuration"},
		"-u cleanup --configuration=/etc/x=y": {Stage: job.Cleanup, Configuration: "/etc/x=y", Unobfuscated: true},
	} {
		c, err := parse(strings.Fields("jacamar-auth " + line))
		if err != nil || c.text != nil || c.call != want {
			t.Errorf("%s: %+v, %v", line, c.call, err)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	for line, want := range map[string]string{
		"": "a command is missing", "-u": "a command is missing", "--": `no such option: "--"`,
		"--configuration x config":                   `no such option: "--configuration"`,
		"-configuration x config":                    `no such option: "-configuration"`,
		"--unobfuscated=true run a b":                `no such option: "--unobfuscated=true"`,
		"config -u --configuration x":                `no such option: "-u"`,
		"config":                                     "config needs --configuration",
		"config --configuration":                     "--configuration needs a value",
		"config --configuration=":                    "--configuration needs a value",
		"config --configuration a --configuration b": "--configuration is given twice",
		"config --configuration a b":                 "config takes 0 arguments, not 1",
		"config a --configuration b":                 "config takes 0 arguments, not 3",
		"prepare --configuration a":                  `no such option: "--configuration"`,
		"prepare x":                                  "prepare takes 0 arguments, not 1",
		"run":                                        "run takes 2 arguments, not 0",
		"run - b":                                    `no such option: "-"`,
		"run a b c":                                  "run takes 2 arguments, not 3",
		"Config --configuration x":                   `no such command: "Config"`,
		"selftest":                                   `no such command: "selftest"`,
		"check --configuration x":                    "jacamar-auth check is now jacamar-admin check",
		"-u keys refresh":                            "jacamar-auth keys is now jacamar-admin keys",
	} {
		if c, err := parse(strings.Fields("jacamar-auth " + line)); err == nil || err.Error() != want {
			t.Errorf("%s: %+v, %v, want %s", line, c.call, err, want)
		}
	}
	if _, err := parse(nil); err == nil {
		t.Error("an empty list of arguments is accepted")
	}
}

func TestParseTexts(t *testing.T) {
	for line, want := range map[string]string{"--version": "Version: ", "-u --version": "Version: ", "--help": "jacamar-auth authorizes", "-h": "jacamar-auth authorizes", "run --help": "jacamar-auth authorizes", "config --configuration x -h": "jacamar-auth authorizes"} {
		c, err := parse(strings.Fields("jacamar-auth " + line))
		if err != nil || c.text == nil || !strings.HasPrefix(c.text(), want) {
			t.Errorf("%s: %v", line, err)
		}
	}
}

// FuzzParse: any command line is either refused or a stage with all that it needs.
func FuzzParse(f *testing.F) {
	f.Add("config\x00--configuration\x00/etc/x")
	f.Add("-u\x00run\x00a\x00b")
	f.Fuzz(func(t *testing.T, line string) {
		c, err := parse(append([]string{"jacamar-auth"}, strings.Split(line, "\x00")...))
		switch {
		case err != nil:
			if strings.ContainsAny(err.Error(), "\n\r") {
				t.Errorf("%q gives more than a line", err)
			}
		case c.text != nil:
		case c.call.Stage == job.Config || c.call.Stage == job.Cleanup:
			if c.call.Configuration == "" || c.call.Script != "" {
				t.Errorf("%+v", c.call)
			}
		case c.call.Configuration != "" || c.call.Stage != job.Run && c.call.Stage != job.Prepare:
			t.Errorf("%+v", c.call)
		}
	})
}
