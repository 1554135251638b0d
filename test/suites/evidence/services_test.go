package evidence

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"jacamar-ci/internal/job"
	"jacamar-ci/test/harness/setup/journald"
	"jacamar-ci/test/harness/setup/rsyslog"
	"jacamar-ci/test/harness/site"
)

// shipped is the package's configuration for rsyslog, adapted to a site as its comments
// describe.
func shipped(t *testing.T, s *site.Site, file string) string {
	t.Helper()
	text := readLog(t, "../../../rpm/share/rsyslog.conf")
	for from, to := range map[string]string{
		"@PREFIX@/bin/jacamar-auth":   s.Auth,
		`$!uid == "0"`:                fmt.Sprintf(`$!uid == "%d"`, serviceUID(s)),
		`$!_UID == "0"`:               fmt.Sprintf(`$!_UID == "%d"`, serviceUID(s)),
		"/var/log/jacamar/syslog.log": file,
	} {
		if !strings.Contains(text, from) {
			t.Fatalf("rpm/share/rsyslog.conf has no %s", from)
		}
		text = strings.ReplaceAll(text, from, to)
	}
	return text
}

// messages are the records in a file of rsyslog's, which has a head before each.
func messages(t *testing.T, text string) (all []record) {
	t.Helper()
	for line := range strings.Lines(text) {
		_, rest, ok := strings.Cut(line, "jacamar-auth[")
		_, rest, begun := strings.Cut(rest, "]: ")
		if !ok || !begun {
			t.Fatalf("the line %q is not as rsyslog writes it", line)
		}
		all = append(all, parse(t, rest)...)
	}
	return all
}

// TestShippedRsyslog: with the package's file and a real rsyslogd, the records
// arrive, all of them, and forged ones of other users and jobs do not.
func TestShippedRsyslog(t *testing.T) {
	rootOnly(t)
	deployments(t, func(t *testing.T, s *site.Site) {
		file := filepath.Join(t.TempDir(), "log", "syslog.log")
		server := rsyslog.StartLocal(t, filepath.Join(s.Dir, "socket"), shipped(t, s, file), true)
		devLog(t, server.Socket)
		send := fmt.Sprintf("logger -t jacamar-auth -p authpriv.info %s; logger --id=1 -t jacamar-auth -p authpriv.warning %[1]s", job.ShellQuote(forged))
		as(t, s.Accounts.Bob, "sh", "-c", send)
		j, r := runPassing(t, s, send)
		as(t, s.Accounts.Bob, "sh", "-c", send+"; logger -t jacamar-auth the end")
		// Other messages are left to the other rules.
		if left := server.Await(t, "the end"); strings.Count(left, "mallory") != 6 || strings.Contains(left, `"seq":2`) {
			t.Errorf("the forged lines, and no others, should be here:\n%s", left)
		}
		checkComplete(t, messages(t, readLog(t, file)), j, r)
		info, err := os.Stat(file)
		if err != nil || info.Mode() != 0o600 {
			t.Errorf("mode %v, %v", info.Mode(), err)
		}
	}, located("syslog"))
}

// TestShippedRsyslogWithoutTheParameters: where rsyslog has no fields of the sender, the
// rule accepts no message.
func TestShippedRsyslogWithoutTheParameters(t *testing.T) {
	rootOnly(t)
	s := site.New(t, located("syslog"))
	file := filepath.Join(t.TempDir(), "syslog.log")
	server := rsyslog.StartLocal(t, filepath.Join(s.Dir, "socket"), shipped(t, s, file), false)
	devLog(t, server.Socket)
	runPassing(t, s, "logger -t jacamar-auth the end")
	server.Await(t, `"event":"stage_end"`)
	if _, err := os.Stat(file); err == nil {
		t.Errorf("taken all the same:\n%s", readLog(t, file))
	}
}

// TestJournalctlCommand: the commands of the manual, with a real journald, return the
// records and none that others forged.
func TestJournalctlCommand(t *testing.T) {
	rootOnly(t)
	manual := readLog(t, "../../../docs/tracing.md")
	command := regexp.MustCompile(`(?m)^journalctl (_UID=0 SYSLOG_IDENTIFIER=jacamar-auth) `).FindStringSubmatch(manual)
	stricter := regexp.MustCompile("journalctl (_EXE=/opt/jacamar/bin/jacamar-auth)").FindStringSubmatch(manual)
	if command == nil || stricter == nil {
		t.Fatal("docs/tracing.md has no command for the journal")
	}
	deployments(t, func(t *testing.T, s *site.Site) {
		journal := journald.Start(t, "")
		devLog(t, journald.DevLog)
		journal.Join(t)
		send := fmt.Sprintf("logger -t jacamar-auth -p authpriv.info %s; printf 'SYSLOG_IDENTIFIER=jacamar-auth\\n_UID=0\\n_EXE=%s\\nMESSAGE=%%s\\n' %[1]s | logger --journald", job.ShellQuote(forged), s.Auth)
		as(t, s.Accounts.Bob, "sh", "-c", send)
		j, r := runPassing(t, s, send)
		if all := journal.Read(t, "SYSLOG_IDENTIFIER=jacamar-auth"); len(all) != 4+recordsOf(r) {
			t.Fatalf("the journal has %d messages, want 4 forged ones and %d records", len(all), recordsOf(r))
		}
		uid := strings.ReplaceAll(command[1], "_UID=0", fmt.Sprintf("_UID=%d", serviceUID(s)))
		var text strings.Builder
		for _, e := range journal.Read(t, strings.Fields(uid)...) {
			text.WriteString(e.Message + "\n")
		}
		checkComplete(t, parse(t, text.String()), j, r)
		for _, e := range journal.Read(t, strings.ReplaceAll(stricter[1], "/opt/jacamar/bin/jacamar-auth", s.Auth)) {
			if rec := parse(t, e.Message); len(rec) != 1 || rec[0].Job != j.ID || e.Exe != s.Auth {
				t.Errorf("%+v", e)
			}
		}
	}, located("journald"))
}
