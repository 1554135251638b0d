package evidence

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"jacamar-ci/internal/job"
	"jacamar-ci/test/harness/fakerunner"
	"jacamar-ci/test/harness/setup/journald"
	"jacamar-ci/test/harness/setup/rsyslog"
	"jacamar-ci/test/harness/site"
)

// TestDefaultPlace: a site that does not configure the log has one, in a file that
// the account of jacamar-auth alone can write and read.
func TestDefaultPlace(t *testing.T) {
	for _, d := range append(site.Deployments(), site.Shared()) {
		if d.Name == "no-auth" {
			continue // no decision is made there
		}
		t.Run(d.Name, func(t *testing.T) {
			s := d.Open(t)
			for range 2 {
				j, r := runPassing(t, s, "id -un")
				all := parse(t, readLog(t, defaultLog(s.StateDir)))
				checkComplete(t, all[len(all)-recordsOf(r):], j, r)
			}
			for _, file := range []string{"operator.log", "operator.seq"} {
				info, err := os.Stat(filepath.Join(s.StateDir, file))
				if err != nil {
					t.Fatal(err)
				}
				if owner := info.Sys().(*syscall.Stat_t).Uid; info.Mode() != 0o600 || owner != keeperUID(s) {
					t.Errorf("%s: mode %v, owner %d", file, info.Mode(), owner)
				}
			}
		})
	}
}

// TestLogFileCannotBeForged: neither a job nor another user can write into the log's
// file, by any name of it, nor by the log services of the machine.
func TestLogFileCannotBeForged(t *testing.T) {
	rootOnly(t)
	deployments(t, func(t *testing.T, s *site.Site) {
		server := rsyslog.StartLocal(t, filepath.Join(s.Dir, "socket"), "", true)
		devLog(t, server.Socket)
		log := defaultLog(s.StateDir)
		runPassing(t, s, "true")
		attacks := []string{
			fmt.Sprintf("echo %s >>%s", job.ShellQuote(forged), log),
			fmt.Sprintf("mv %s %s.away", log, log),
			fmt.Sprintf("rm -f %s", log),
			fmt.Sprintf("ln -s /tmp/jacamar-evidence %s/other && mv %[1]s/other %s", s.StateDir, log),
			fmt.Sprintf("for fd in /proc/$PPID/fd/* /proc/[0-9]*/fd/*; do [ \"$(readlink $fd)\" = %s ] && echo %s >>$fd && exit 0; done; false", log, job.ShellQuote(forged)),
			fmt.Sprintf("mv %s %s.away", s.StateDir, s.StateDir),
			fmt.Sprintf("echo 99999999999999999999 >%s/operator.seq", s.StateDir),
		}
		send := fmt.Sprintf("logger -t jacamar-auth -p authpriv.info %s; logger -t 'jacamar-auth[4242]' -p authpriv.warning %[1]s", job.ShellQuote(forged))
		as(t, s.Accounts.Bob, "sh", "-c", send)
		before := len(parse(t, readLog(t, log)))
		script := []string{send, "failed=0"}
		for i, a := range attacks {
			script = append(script, fmt.Sprintf("if (%s) 2>/dev/null; then echo attack %d succeeded; failed=1; fi", a, i))
		}
		j := s.Job(append(script, "exit $failed")...)
		r := s.Runner().Run(j)
		if r.Outcome != fakerunner.Success {
			t.Errorf("an attack succeeded:\n%s", r.Trace)
		}
		if s.StateOwner() != nil {
			// The account of the runner's service has no more access to the log than a job.
			for i, a := range attacks {
				if _, err := try(t, s.Service().Name, "sh", "-c", a); err == nil {
					t.Errorf("attack %d succeeded as the account of the runner's service", i)
				}
			}
		}
		checkComplete(t, parse(t, readLog(t, log))[before:], j, r)
		if got := server.Await(t, `"mallory"`); !strings.Contains(got, "jacamar-auth") {
			t.Errorf("the forged lines did not reach the machine's log service:\n%s", got)
		}
	})
}

// TestFloodSuppressesNoRecord: with a real journal, which limits the messages of a
// service, a job's flood suppresses records there; the numbers of the remaining ones
// show that. The file has every record.
func TestFloodSuppressesNoRecord(t *testing.T) {
	rootOnly(t)
	deployments(t, func(t *testing.T, s *site.Site) {
		journal := journald.Start(t, "RateLimitIntervalSec=600s\nRateLimitBurst=200")
		devLog(t, journald.DevLog)
		journal.Join(t)
		lines := filepath.Join(s.Dir, "flood")
		if err := os.WriteFile(lines, []byte(strings.Repeat("noise\n", 20000)), 0o644); err != nil {
			t.Fatal(err)
		}
		flood := "for p in err warning info; do logger -t noise -p authpriv.$p -f " + lines + "; done"

		log := defaultLog(s.StateDir)
		runPassing(t, s, flood)
		before := len(parse(t, readLog(t, log)))
		j, r := runPassing(t, s, "id -un")
		checkComplete(t, parse(t, readLog(t, log))[before:], j, r)

		// The same in the journal, which a site can choose.
		if err := s.Reconfigure(located("journald")); err != nil {
			t.Fatal(err)
		}
		j, _ = runPassing(t, s, "id -un")
		for _, e := range journal.Read(t, "SYSLOG_IDENTIFIER=jacamar-auth") {
			if strings.Contains(e.Message, fmt.Sprintf(`"job":%d,`, j.ID)) {
				t.Errorf("the flood suppressed nothing, so this test shows nothing: %+v", e)
			}
		}
		// A number was taken for each record that was suppressed: the next one that
		// arrives shows the gap.
		if err := s.Reconfigure(); err != nil {
			t.Fatal(err)
		}
		seen := parse(t, readLog(t, log))
		runPassing(t, s, "id -un")
		next := parse(t, readLog(t, log))[len(seen)]
		if gap := next.Seq - seen[len(seen)-1].Seq; gap <= 1 {
			t.Errorf("record %d follows record %d, and those between were suppressed", next.Seq, seen[len(seen)-1].Seq)
		}
	})
}
