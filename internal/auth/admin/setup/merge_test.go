package setup

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var wiring = Wiring{Program: "/opt/jacamar/bin/jacamar-auth", Configuration: "/etc/gitlab-runner/jacamar.toml"}

const wired = `    config_exec = "/opt/jacamar/bin/jacamar-auth"
    config_args = ["config", "--configuration", "/etc/gitlab-runner/jacamar.toml"]
    prepare_exec = "/opt/jacamar/bin/jacamar-auth"
    prepare_args = ["prepare"]
    run_exec = "/opt/jacamar/bin/jacamar-auth"
    run_args = ["run"]
    cleanup_exec = "/opt/jacamar/bin/jacamar-auth"
    cleanup_args = ["cleanup", "--configuration", "/etc/gitlab-runner/jacamar.toml"]
`

func TestMerge(t *testing.T) {
	for name, tc := range map[string]struct{ runner, before, after string }{
		"the only runner": {
			before: "concurrent = 4\n\n[[runners]]\n  name = \"a\" # the first\n  executor = \"shell\"\n  [runners.cache]\n    MaxUploadedArchiveSize = 0\n",
			after:  "concurrent = 4\n\n[[runners]]\n  executor = \"custom\"\n  name = \"a\" # the first\n  [runners.cache]\n    MaxUploadedArchiveSize = 0\n  [runners.custom]\n" + wired,
		},
		"wired before, with limits of its own": {
			before: "[[runners]]\n  executor = \"custom\"\n  [runners.custom]\n    config_exec = \"/old\"\n    graceful_kill_timeout = 300\n    run_exec = \"/old\"\n",
			after:  "[[runners]]\n  executor = \"custom\"\n  [runners.custom]\n" + wired + "    graceful_kill_timeout = 300\n",
		},
		"by name, between others": {
			runner: "b",
			before: "[[runners]]\n  name = \"a\"\n  executor = \"custom\"\n  [runners.custom]\n    run_exec = \"/a\"\n[[runners]]\n  name = \"b\"\n  executor = \"docker\"\n\n# the third\n[[runners]]\n  name = \"c\"\n",
			after:  "[[runners]]\n  name = \"a\"\n  executor = \"custom\"\n  [runners.custom]\n    run_exec = \"/a\"\n[[runners]]\n  executor = \"custom\"\n  name = \"b\"\n\n# the third\n  [runners.custom]\n" + wired + "[[runners]]\n  name = \"c\"\n",
		},
		"the one with the custom executor": {
			before: "[[runners]]\n  name = \"a\"\n  executor = \"shell\"\n[[runners]]\n  name = \"b\"\n  executor = \"custom\"\n",
			after:  "[[runners]]\n  name = \"a\"\n  executor = \"shell\"\n[[runners]]\n  executor = \"custom\"\n  name = \"b\"\n  [runners.custom]\n" + wired,
		},
		"a table after the runners": {
			before: "[[runners]]\n  name = \"a\"\n\n[session_server]\n  session_timeout = 1800\n",
			after:  "[[runners]]\n  executor = \"custom\"\n  name = \"a\"\n  [runners.custom]\n" + wired + "\n[session_server]\n  session_timeout = 1800\n",
		},
	} {
		t.Run(name, func(t *testing.T) {
			got, _, err := wiring.merge(tc.before, tc.runner)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff("shutdown_timeout = 150\n"+tc.after, got); diff != "" {
				t.Error(diff)
			}
			again, _, err := wiring.merge(got, tc.runner)
			if err != nil || again != got {
				t.Errorf("a second time: %v\n%s", err, cmp.Diff(got, again))
			}
		})
	}
}

// TestMergeRefuses: what the edit would spoil stays as it is.
func TestMergeRefuses(t *testing.T) {
	for name, tc := range map[string]struct{ runner, before, want string }{
		"not TOML":              {before: "[[runners\n", want: "cannot read it"},
		"no runner":             {before: "concurrent = 1\n", want: "no [[runners]]: register a runner"},
		"two runners":           {before: "[[runners]]\nname=\"a\"\n[[runners]]\nname=\"b\"\n", want: `several runners: give --runner with one of their names: "a", "b"`},
		"two of one name":       {runner: "a", before: "[[runners]]\nname=\"a\"\n[[runners]]\nname=\"a\"\n", want: `2 runners "a"`},
		"a name that is not":    {runner: "c", before: "[[runners]]\nname=\"a\"\n", want: `no runner "c": give --runner with one of the names in it: "a"`},
		"inline runners":        {before: "runners = [{name = \"a\"}]\n", want: "no [[runners]]"},
		"inline custom":         {before: "[[runners]]\nname = \"a\"\ncustom = {run_exec = \"/x\"}\n", want: "by hand"},
		"dotted custom":         {before: "[[runners]]\nname = \"a\"\ncustom.run_exec = \"/x\"\n", want: "by hand"},
		"args over lines":       {before: "[[runners]]\n[runners.custom]\nrun_args = [\n \"x\",\n]\n", want: "by hand"},
		"a header in a string":  {before: "[[runners]]\npre_build_script = \"\"\"\n[runners.custom]\nrun_exec = 1\n\"\"\"\n", want: "by hand"},
		"an executor in a text": {before: "[[runners]]\npre_build_script = \"\"\"\nexecutor = 1\n\"\"\"\n", want: "by hand"},
	} {
		t.Run(name, func(t *testing.T) {
			got, _, err := wiring.merge(tc.before, tc.runner)
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, want %q; the text:\n%s", err, tc.want, got)
			}
		})
	}
}

func TestStanzaQuotes(t *testing.T) {
	w := Wiring{Program: `/opt/a "b"/jacamar-auth`, Configuration: "/etc/ü\\.toml"}
	text, err := w.Table()
	if err != nil {
		t.Fatal(err)
	}
	f, err := parse("[[runners]]\n" + text)
	if err != nil {
		t.Fatalf("%v in:\n%s", err, text)
	}
	if diff := cmp.Diff(w.keys(), f.runners()[0]["custom"]); diff != "" {
		t.Error(diff)
	}
}

func FuzzMerge(f *testing.F) {
	f.Add("[[runners]]\n  executor = \"shell\"\n", "")
	f.Add("[[runners]]\nname = \"a\"\n[[runners]]\nname = \"b\"\n[runners.custom]\nrun_exec=\"x\"\n", "b")
	f.Fuzz(func(t *testing.T, text, name string) {
		merged, _, err := wiring.merge(text, name)
		if err != nil {
			return
		}
		if again, _, err := wiring.merge(merged, name); err != nil || again == "" {
			t.Errorf("cannot merge again: %v", err)
		}
	})
}

// TestMergeKeepsTheShutdown of a site that has chosen one.
func TestMergeKeepsTheShutdown(t *testing.T) {
	got, _, err := wiring.merge("shutdown_timeout = 300\n[[runners]]\n  name = \"a\"\n", "")
	if err != nil || strings.Count(got, "shutdown_timeout") != 1 || !strings.HasPrefix(got, "shutdown_timeout = 300\n") {
		t.Errorf("%v\n%s", err, got)
	}
}
