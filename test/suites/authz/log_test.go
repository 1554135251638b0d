package authz

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"jacamar-ci/test/harness/fakerunner"
	"jacamar-ci/test/harness/setup/namespace"
	"jacamar-ci/test/harness/setup/rsyslog"
	"jacamar-ci/test/harness/site"
	"jacamar-ci/test/harness/testutil"
)

// logged sets [auth.logging].
func logged(table site.Table) func(*site.Site, site.Config) {
	return func(_ *site.Site, c site.Config) { c.Set("auth", "logging", table) }
}

// TestRecordsOfAJob: one record of the decision and one of the end for each stage,
// with all fields that show later who ran what as whom.
func TestRecordsOfAJob(t *testing.T) {
	t.Parallel()
	s := newSibling(t, func(c site.Config) { c.Set("general", "name", "cluster-a") })
	j := s.Job("id -un")
	r := s.Runner().Run(j)
	ran(t, s, r, "")
	var stages []string
	for _, kind := range []string{"decision", "stage_end"} {
		all := events(t, s, kind)
		if len(all) != len(r.Calls) {
			t.Fatalf("%d records %s of %d calls", len(all), kind, len(r.Calls))
		}
		for i, rec := range all {
			call := r.Calls[i]
			stage, sub := call.Stage, ""
			if stage != "config" && stage != "prepare" && stage != "cleanup" {
				stage, sub = "run", call.Stage
			}
			if rec.Stage != stage || rec.SubStage != sub {
				t.Errorf("record %d is of %s %s, want %s %s", i, rec.Stage, rec.SubStage, stage, sub)
			}
			if rec.Job != j.ID || rec.Pipeline != 4200 || rec.Project != "group/project" || rec.ProjectID != 12 || rec.Login != s.User.Login ||
				rec.UserID != s.User.ID || rec.Account != s.Account.Name || rec.UID == nil || *rec.UID != s.Account.UID || rec.Runner != 77 ||
				len(rec.JTI) != 8 || rec.Name != "cluster-a" {
				t.Errorf("record %d of %s is incomplete: %+v", i, kind, rec)
			}
			if kind == "decision" && (rec.Decision != "allow" || rec.Rule != "default") || kind == "stage_end" && (rec.Exit != "ok" || rec.Duration <= 0) {
				t.Errorf("record %d: %+v", i, rec)
			}
			stages = append(stages, rec.Stage)
		}
	}
	if len(stages) < 10 {
		t.Errorf("only %v", stages)
	}
}

func TestRecordsOfFailures(t *testing.T) {
	for name, tc := range map[string]struct {
		change func(*site.Site, site.Config)
		job    func(*site.Site) fakerunner.Job
		stage  string
		exit   string
		code   int
		reason string
	}{
		"script":        {nil, func(s *site.Site) fakerunner.Job { return s.Job("exit 7") }, "run", "build", 7, "exit code 7"},
		"denied":        {auth("user_allowlist", names{}), nil, "config", "denied", 0, "no_allowlist_match"},
		"no token":      {nil, func(s *site.Site) fakerunner.Job { return site.WithToken(s.Job("true"), "") }, "config", "denied", 0, "no id_token"},
		"configuration": {mapped("x"), nil, "config", "config", 0, "cannot use the account map"},
		"resource": {
			func(s *site.Site, c site.Config) {
				c.Set("general", "data_dir", filepath.Join(s.Dir, "missing", "data"))
			}, nil,
			"config", "system", 0, "no such file or directory",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSibling(t)
			reconfigure(t, s, tc.change)
			j := s.Job("id -un")
			if tc.job != nil {
				j = tc.job(s)
			}
			s.Runner().Run(j)
			for _, e := range events(t, s, "stage_end") {
				if e.Exit == "ok" {
					continue
				}
				if e.Stage != tc.stage || e.Exit != tc.exit || e.ExitCode != tc.code || !strings.Contains(e.Reason, tc.reason) || e.Job != j.ID {
					t.Errorf("%+v", e)
				}
				return
			}
			t.Error("no stage failed")
		})
	}
}

// TestRecordOfEnvironment: the operator reads why a stage ended whose runner passes an exit
// status, or a file, that cannot be used. No such stage runs.
func TestRecordOfEnvironment(t *testing.T) {
	t.Parallel()
	for _, stage := range []string{"config", "prepare"} {
		for name, value := range map[string]string{
			"BUILD_FAILURE_EXIT_CODE": "0", "SYSTEM_FAILURE_EXIT_CODE": "x", "BUILD_EXIT_CODE_FILE": "relative", "JOB_RESPONSE_FILE": "relative",
		} {
			t.Run(stage+" "+name, func(t *testing.T) {
				t.Parallel()
				s := newSibling(t)
				r := s.Runner()
				r.Judge = nil // the runner knows no such status
				r.Hooks.Launch = func(called string) []string {
					if called != stage {
						return nil
					}
					return []string{"/usr/bin/env", name + "=" + value}
				}
				result := r.Run(s.Job("true"))
				if result.Outcome == fakerunner.Success {
					t.Error("the job succeeded")
				}
				found := false
				for _, e := range events(t, s, "stage_end") {
					found = found || e.Stage == stage && e.Exit == "system" && strings.Contains(e.Reason, "cannot use the runner's "+name)
				}
				if !found {
					t.Errorf("no record of it: %+v", events(t, s, "stage_end"))
				}
			})
		}
	}
}

func TestLevels(t *testing.T) {
	for level, want := range map[string][]string{
		"debug": {"rule", "decision", "job_end", "stage_end"}, "info": {"decision", "job_end", "stage_end"}, "warning": {"decision", "job_end"}, "error": nil,
	} {
		t.Run(level, func(t *testing.T) {
			t.Parallel()
			s := newSibling(t)
			testutil.Must(t, s.Reconfigure(func(c site.Config) {
				c.Set("auth", "logging", site.Table{"enabled": true, "level": level, "location": logFile(s)})
				c.Set("auth", "user_allowlist", names{})
			}))
			once(t, s)
			var got []string
			for _, r := range records(t, s) {
				if len(got) == 0 || got[len(got)-1] != r.Event {
					got = append(got, r.Event)
				}
			}
			if strings.Join(got, " ") != strings.Join(want, " ") {
				t.Errorf("recorded %v, want %v", got, want)
			}
		})
	}
	t.Run("not enabled", func(t *testing.T) {
		s := newSibling(t)
		testutil.Must(t, s.Reconfigure(func(c site.Config) { c.Set("auth", "logging", site.Table{"enabled": false, "location": logFile(s)}) }))
		once(t, s)
		if _, err := os.Stat(logFile(s)); err == nil {
			t.Error("something was written")
		}
	})
}

// TestRemoteLog: a server written here, over both protocols.
func TestRemoteLog(t *testing.T) {
	t.Parallel()
	check := func(t *testing.T, got string) {
		t.Helper()
		head, text, ok := strings.Cut(got, "{")
		var r record
		if !ok || !strings.HasPrefix(head, "<8") || !strings.Contains(head, " jacamar-auth[") {
			t.Errorf("arrived as %q", got)
		} else if err := json.Unmarshal([]byte("{"+text), &r); err != nil || r.Event == "" {
			t.Errorf("%q: %v", got, err)
		}
	}
	t.Run("udp", func(t *testing.T) {
		conn, err := net.ListenPacket("udp", "127.0.0.1:0")
		testutil.Must(t, err)
		defer conn.Close()
		s := newSibling(t)
		testutil.Must(t, s.Reconfigure(func(c site.Config) {
			logged(site.Table{"enabled": true, "network": "udp", "address": conn.LocalAddr().String()})(s, c)
		}))
		once(t, s)
		testutil.Must(t, conn.SetReadDeadline(time.Now().Add(time.Minute)))
		for range 2 {
			b := make([]byte, 64<<10)
			n, _, err := conn.ReadFrom(b)
			testutil.Must(t, err)
			check(t, string(b[:n]))
		}
	})
	t.Run("tcp", func(t *testing.T) {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		testutil.Must(t, err)
		defer listener.Close()
		s := newSibling(t)
		testutil.Must(t, s.Reconfigure(func(c site.Config) {
			logged(site.Table{"enabled": true, "network": "tcp", "address": listener.Addr().String()})(s, c)
		}))
		once(t, s)
		conn, err := listener.Accept()
		testutil.Must(t, err)
		defer conn.Close()
		lines := bufio.NewScanner(conn)
		n := 0
		for lines.Scan() {
			check(t, lines.Text())
			n++
		}
		if n != 2 {
			t.Errorf("%d records", n)
		}
	})
}

// TestLocalLog: the machine's own rsyslog at /dev/log, and the journal's socket,
// in a namespace that has them.
func TestLocalLog(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root: it makes a namespace with /dev/log")
	}
	t.Parallel()
	server := rsyslog.Start(t)
	ns := namespace.Start(t)
	journal := filepath.Join(t.TempDir(), "socket")
	conn, err := net.ListenPacket("unixgram", journal)
	testutil.Must(t, err)
	defer conn.Close()
	testutil.Must(t, ns.Empty("/run"))
	for _, script := range []string{
		"mkdir /run/dev && mount -t tmpfs tmpfs /run/dev && cp -a /dev/null /dev/zero /dev/urandom /run/dev && ln -s " + server.Socket + " /run/dev/log && mount --move /run/dev /dev",
		"mkdir -p /run/systemd/journal && ln -s " + journal + " /run/systemd/journal/socket",
	} {
		_, err := ns.Run("sh", "-c", script)
		testutil.Must(t, err)
	}
	t.Run("syslog", func(t *testing.T) {
		s := newSibling(t)
		testutil.Must(t, s.Reconfigure(func(c site.Config) {
			logged(site.Table{"location": "syslog"})(s, c)
			c.Set("general", "name", "by-syslog")
		}))
		once(t, s, ns.Enter()...)
		text := server.Await(t, `"name":"by-syslog"`)
		if !strings.Contains(text, "authpriv.") || !strings.Contains(text, "jacamar-auth[") {
			t.Errorf("arrived as %q", text)
		}
	})
	t.Run("journald", func(t *testing.T) {
		s := newSibling(t)
		testutil.Must(t, s.Reconfigure(func(c site.Config) { logged(site.Table{"enabled": true, "location": "journald"})(s, c) }))
		once(t, s, ns.Enter()...)
		testutil.Must(t, conn.SetReadDeadline(time.Now().Add(time.Minute)))
		b := make([]byte, 64<<10)
		n, _, err := conn.ReadFrom(b)
		testutil.Must(t, err)
		if !strings.HasPrefix(string(b[:n]), "PRIORITY=6\nSYSLOG_FACILITY=10\nSYSLOG_IDENTIFIER=jacamar-auth\nMESSAGE={") {
			t.Errorf("arrived as %q", b[:n])
		}
	})
	t.Run("a configuration that cannot be read", func(t *testing.T) {
		s := newSibling(t)
		testutil.Must(t, os.Chmod(s.ConfigFile, 0o666))
		once(t, s, ns.Enter()...)
		server.Await(t, "cannot trust "+s.ConfigFile)
	})
}

// TestUnwritableLog is F4: the job runs; the user reads a line without internals, the
// runner's own log has them.
func TestUnwritableLog(t *testing.T) {
	t.Parallel()
	for name, table := range map[string]func(*site.Site) site.Table{
		"no directory": func(s *site.Site) site.Table { return site.Table{"enabled": true, "location": s.Dir + "/missing/log"} },
		"link":         func(s *site.Site) site.Table { return site.Table{"enabled": true, "location": s.Dir + "/link"} },
		"full":         func(*site.Site) site.Table { return site.Table{"enabled": true, "location": "/dev/full"} },
		"refused": func(*site.Site) site.Table {
			return site.Table{"enabled": true, "network": "tcp", "address": "127.0.0.1:1"}
		},
		"no journal": func(*site.Site) site.Table { return site.Table{"enabled": true, "location": "journald"} },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if _, err := os.Stat("/run/systemd/journal/socket"); err == nil && name == "no journal" {
				t.Skip("this machine has a journal")
			}
			s := newSibling(t)
			testutil.Must(t, os.Symlink("/etc/hostname", s.Dir+"/link"))
			testutil.Must(t, s.Reconfigure(func(c site.Config) { logged(table(s))(s, c) }))
			runner := s.Runner()
			runner.Judge = nil // cleanup reports the log, as checked below
			r := runner.Run(s.Job("id -un"))
			if r.Outcome != fakerunner.Success {
				t.Fatalf("the job ended as %s:\n%s", r.Outcome, output(r))
			}
			for _, c := range r.Calls {
				messages := strings.Count(string(c.Stderr), "cannot write the operator's log")
				inside := strings.Contains(string(c.Stderr), "cannot write the operator's log: ")
				want := 0
				if c.Stage == "prepare" || c.Stage == "cleanup" {
					want = 1 // for the job's user, and for the runner's own log
				}
				if messages != want || inside != (c.Stage == "cleanup") {
					t.Errorf("%s wrote %q", c.Stage, c.Stderr)
				}
			}
		})
	}
	t.Run("unobfuscated", func(t *testing.T) {
		s := newSibling(t)
		testutil.Must(t, s.Reconfigure(func(c site.Config) {
			logged(site.Table{"enabled": true, "location": s.Dir + "/missing/log"})(s, c)
		}))
		r := s.Runner()
		r.Judge = nil // cleanup reports the log
		r.Custom.Config = append([]string{r.Custom.Config[0], "-u"}, r.Custom.Config[1:]...)
		result := r.Run(s.Job("id -un"))
		c, _ := result.Call("config")
		if !strings.Contains(string(c.Stderr), fmt.Sprintf("cannot write the operator's log: cannot open %s/missing/log", s.Dir)) {
			t.Errorf("config wrote %q", c.Stderr)
		}
	})
}
