package account

import (
	"context"
	"errors"
	"fmt"
	"os"
	"reflect"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"jacamar-ci/internal/auth/internal/thread"
	"jacamar-ci/internal/failure"
	"jacamar-ci/internal/job"
	"jacamar-ci/test/harness/testutil"
)

const alice = "alice:x:1001:2001:Alice:/home/alice:/bin/bash\n"

func TestLookup(t *testing.T) {
	want := job.Account{
		Name: testutil.Username(t, "alice"), UID: 1001, GID: 2001, Groups: job.GIDs{2001},
		Home: testutil.AbsPath(t, "/home/alice"), Shell: testutil.AbsPath(t, "/bin/bash"),
	}
	with := func(change func(*job.Account)) job.Account {
		a := want
		change(&a)
		return a
	}
	for _, c := range []struct {
		name, passwd, initgroups string
		want                     job.Account
	}{
		{"plain", alice, "alice                \n", want},
		{"no padding", alice, "alice\n", want},
		{
			"groups are sorted and single", alice, "alice                 50 2001 3 50 4\n",
			with(func(a *job.Account) { a.Groups = job.GIDs{3, 4, 50, 2001} }),
		},
		{
			"highest ids", "alice:x:4294967294:4294967294::/home/alice:/bin/bash\n", "alice 4294967293\n",
			with(func(a *job.Account) {
				a.UID, a.GID, a.Groups = 4294967294, 4294967294, job.GIDs{4294967293, 4294967294}
			}),
		},
		{
			"root is an account like others here", "alice:x:0:0::/home/alice:/bin/bash\n", "alice 0\n",
			with(func(a *job.Account) { a.UID, a.GID, a.Groups = 0, 0, job.GIDs{0} }),
		},
		{
			"empty shell", "alice:x:1001:2001:Alice:/home/alice:\n", "alice\n",
			with(func(a *job.Account) { a.Shell = testutil.AbsPath(t, "/bin/sh") }),
		},
		{"home is cleaned", "alice:x:1001:2001::/home//alice/:/bin/bash\n", "alice\n", want},
		{"comment in Latin-1", "alice:x:1001:2001:Ren\xe9e, \x07:/home/alice:/bin/bash\n", "alice\n", want},
		{
			"65536 groups", alice, "alice " + numbers(1, 65536) + "\n",
			with(func(a *job.Account) { a.Groups = gids(1, 65536) }),
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := answers(t, c.passwd, c.initgroups).Lookup(t.Context(), testutil.Username(t, "alice"))
			if err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(got, c.want) {
				t.Errorf("got %.200v\nwant %.200v", got, c.want)
			}
		})
	}
}

func TestLookupRefusesMalformedOutput(t *testing.T) {
	for _, c := range []struct{ name, passwd, initgroups, want string }{
		{"empty", "", "alice\n", "getent passwd: the answer is cut off"},
		{"cut off", strings.TrimSuffix(alice, "\n"), "alice\n", "getent passwd: the answer is cut off"},
		{"two entries", alice + alice, "alice\n", "getent passwd: the answer has more than one line"},
		{"garbage", "what?\n", "alice\n", "getent passwd: the entry has 1 fields, not 7"},
		{"six fields", "alice:x:1001:2001:/home/alice:/bin/bash\n", "alice\n", "getent passwd: the entry has 6 fields, not 7"},
		{"eight fields", "alice:x:1001:2001:a:b:/home/alice:/bin/bash\n", "alice\n", "getent passwd: the entry has 8 fields, not 7"},
		{"another name", "bob:x:1001:2001::/home/bob:/bin/bash\n", "alice\n", "the name service returned the account bob"},
		{"case folded", "Alice:x:1001:2001::/home/alice:/bin/bash\n", "alice\n", "the name service returned the account Alice"},
		{"name is no name", "-alice:x:1001:2001::/home/alice:/bin/bash\n", "alice\n", `getent passwd: name: the account name "-alice" has a character that account names do not have`},
		{"uid -1", "alice:x:-1:2001::/home/alice:/bin/bash\n", "alice\n", `getent passwd: user id: "-1" is not a user or group id`},
		{"uid 2^32-1", "alice:x:4294967295:2001::/home/alice:/bin/bash\n", "alice\n", `getent passwd: user id: "4294967295" is not a user or group id`},
		{"uid 2^32", "alice:x:4294967296:2001::/home/alice:/bin/bash\n", "alice\n", `getent passwd: user id: "4294967296" is not a user or group id`},
		{"uid with leading zeros", "alice:x:0001001:2001::/home/alice:/bin/bash\n", "alice\n", `getent passwd: user id: "0001001" is not a user or group id`},
		{"uid in hexadecimal", "alice:x:0x3e9:2001::/home/alice:/bin/bash\n", "alice\n", `getent passwd: user id: "0x3e9" is not a user or group id`},
		{"uid empty", "alice:x::2001::/home/alice:/bin/bash\n", "alice\n", `getent passwd: user id: "" is not a user or group id`},
		{"gid -1", "alice:x:1001:-1::/home/alice:/bin/bash\n", "alice\n", `getent passwd: group id: "-1" is not a user or group id`},
		{"gid 2^32-1", "alice:x:1001:4294967295::/home/alice:/bin/bash\n", "alice\n", `getent passwd: group id: "4294967295" is not a user or group id`},
		{"home empty", "alice:x:1001:2001:::/bin/bash\n", "alice\n", "getent passwd: home directory: the path is empty"},
		{"home relative", "alice:x:1001:2001::home/alice:/bin/bash\n", "alice\n", `getent passwd: home directory: the path "home/alice" is not absolute`},
		{"home climbs", "alice:x:1001:2001::/home/alice/../../root:/bin/bash\n", "alice\n", `getent passwd: home directory: the path "/home/alice/../../root" has a ".." in it`},
		{"home not UTF-8", "alice:x:1001:2001::/home/al\xffce:/bin/bash\n", "alice\n", `getent passwd: home directory: the path "/home/al\xffce" has control characters`},
		{"shell relative", "alice:x:1001:2001::/home/alice:bash\n", "alice\n", `getent passwd: shell: the path "bash" is not absolute`},
		{"shell not UTF-8", "alice:x:1001:2001::/home/alice:/bin/\xff\n", "alice\n", `getent passwd: shell: the path "/bin/\xff" has control characters`},
		{"groups empty", alice, "", "getent initgroups: the answer is cut off"},
		{"groups cut off", alice, "alice 1 2", "getent initgroups: the answer is cut off"},
		{"groups in two lines", alice, "alice 1\nalice 2\n", "getent initgroups: the answer has more than one line"},
		{"groups of another", alice, "bob 1\n", "getent initgroups: the entry has another name"},
		{"groups of a longer name", alice, "alicea 1\n", "getent initgroups: the entry has another name"},
		{"group -1", alice, "alice 1 -1\n", `getent initgroups: group id: "-1" is not a user or group id`},
		{"group 2^32-1", alice, "alice 4294967295\n", `getent initgroups: group id: "4294967295" is not a user or group id`},
		{"group by name", alice, "alice wheel\n", `getent initgroups: group id: "wheel" is not a user or group id`},
		{"group with a tab", alice, "alice 1\t2\n", `getent initgroups: group id: "1\t2" is not a user or group id`},
		{"65536 groups and another primary one", alice, "alice " + numbers(10000, 65536) + "\n", "65537 groups are more than the kernel's 65536"},
		{"70000 groups", alice, "alice " + numbers(1, 70000) + "\n", "70000 groups are more than the kernel's 65536"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := answers(t, c.passwd, c.initgroups).Lookup(t.Context(), testutil.Username(t, "alice"))
			refused(t, err, "cannot look up the account alice: "+c.want)
			if !reflect.DeepEqual(got, job.Account{}) {
				t.Errorf("an error came with the account %v", got)
			}
		})
	}
}

func TestLookupGetentFails(t *testing.T) {
	const ok = `case $1 in passwd) echo alice:x:1001:2001::/home/alice:/bin/bash;; initgroups) echo alice;; esac`
	for _, c := range []struct{ name, script, want string }{
		{"unknown database", `echo "Unknown database: $1" >&2; echo more >&2; exit 1`, "getent passwd: exit status 1: Unknown database: passwd"},
		{"any other status", `printf 'a\033[31mb' >&2; exit 3`, "getent passwd: exit status 3: a?[31mb"},
		{"killed", `kill -KILL $$`, "getent passwd: ended by signal 9"},
		{"hangs on passwd", `[ $1 = passwd ] && exec sleep 1000; ` + ok, "getent passwd: timed out after 2s"},
		{"hangs on groups", `[ $1 = initgroups ] && exec sleep 1000; ` + ok, "getent initgroups: timed out after 2s"},
		{
			"groups fail", `[ $1 = initgroups ] && { echo "could not get list of groups for $3" >&2; exit 1; }; ` + ok,
			"getent initgroups: exit status 1: could not get list of groups for alice",
		},
		{"no groups answer", `[ $1 = initgroups ] && exit 2; ` + ok, "getent initgroups: no entry"},
		{"endless", `exec cat /dev/zero`, "getent passwd: printed more than 16777216 bytes"},
		{"leaves a daemon with the output", `[ $1 = passwd ] && exec 9>&1 && x=$(setsid -f sh -c 'echo $$ >"$1"; exec sleep 1000 >&9' sh "${0%/*}/daemon"); ` + ok, "getent passwd: left a process behind that holds its output"},
	} {
		t.Run(c.name, func(t *testing.T) {
			n := stub(t, c.script)
			switch c.name { // the other query has the time that it needs
			case "hangs on passwd":
				n.limit = 2 * time.Second
			case "hangs on groups":
				n.groupLimit = 2 * time.Second
			}
			_, err := n.Lookup(t.Context(), testutil.Username(t, "alice"))
			refused(t, err, "cannot look up the account alice: "+c.want)
			if strings.Contains(c.name, "daemon") {
				daemon, err := strconv.Atoi(strings.TrimSpace(stubFile(t, n, "daemon")))
				testutil.Must(t, err, syscall.Kill(daemon, syscall.SIGKILL))
			}
		})
	}
}

// TestLookupCancelsOtherQuery has a query for the groups that hangs when the other one
// fails.
func TestLookupCancelsOtherQuery(t *testing.T) {
	n := stub(t, `pid="${0%/*}/pid"
if [ $1 = initgroups ]; then echo $$ >"$pid.new"; mv "$pid.new" "$pid"; exec sleep 1000; fi
until [ -e "$pid" ]; do :; done; exit 1`)
	begin := time.Now()
	_, err := n.Lookup(t.Context(), testutil.Username(t, "alice"))
	refused(t, err, "cannot look up the account alice: getent passwd: exit status 1: ")
	if d := time.Since(begin); d > n.limit/2 {
		t.Errorf("took %s", d)
	}
	if _, err := os.Stat("/proc/" + strings.TrimSpace(stubFile(t, n, "pid"))); err == nil {
		t.Error("the other query is still running")
	}
}

func TestLookupWithoutGetent(t *testing.T) {
	n := System(nil, nil)
	n.getent = []string{"/nonexistent/a", "/nonexistent/b"}
	_, err := n.Lookup(t.Context(), testutil.Username(t, "alice"))
	refused(t, err, "cannot look up the account alice: cannot find getent at /nonexistent/a or /nonexistent/b")
}

func TestLookupStopsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := stub(t, "exec sleep 1000").Lookup(ctx, testutil.Username(t, "alice"))
	if !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
}

func TestLookupUnknownUser(t *testing.T) {
	for _, c := range []struct {
		name  string
		names Names
	}{
		{"real name service", System(nil, nil)},
		{"groups fail as well", stub(t, "[ $1 = passwd ] && exit 2; exit 1")},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := c.names.Lookup(t.Context(), testutil.Username(t, "jci-nosuch"))
			var unknown UnknownError
			if !errors.As(err, &unknown) || unknown.Name.String() != "jci-nosuch" {
				t.Fatalf("error %v is no UnknownError", err)
			}
			if k := failure.KindOf(err); k != failure.Denied {
				t.Errorf("kind %s, want denied", k)
			}
			if line, _ := failure.ForUser(err, true, ""); line != "there is no local account jci-nosuch" {
				t.Errorf("the operator reads %q", line)
			}
		})
	}
}

func TestGetentEnvironment(t *testing.T) {
	t.Setenv("LD_LIBRARY_PATH", "/evil")
	n := stub(t, `env >"${0%/*}/env.$1"; printf '%s %s\n' "$#" "$*" >"${0%/*}/argv.$1"
case $1 in passwd) printf '%s\n' 'DOM\a@b.c:x:1001:2001::/home/a:';; initgroups) printf '%s\n' 'DOM\a@b.c';; esac`)
	if _, err := n.Lookup(t.Context(), testutil.Username(t, `DOM\a@b.c`)); err != nil {
		t.Fatal(err)
	}
	for _, db := range []string{"passwd", "initgroups"} {
		if got, want := stubFile(t, n, "argv."+db), "3 "+db+` -- DOM\a@b.c`+"\n"; got != want {
			t.Errorf("arguments %q, want %q", got, want)
		}
		for line := range strings.Lines(stubFile(t, n, "env."+db)) {
			// PWD and _ are the shell's own.
			if name, _, _ := strings.Cut(line, "="); line != "PATH=/usr/bin:/bin\n" && line != "LC_ALL=C\n" && name != "PWD" && name != "_" {
				t.Errorf("environment of %s has %q", db, line)
			}
		}
	}
}

func refused(t *testing.T, err error, want string) {
	t.Helper()
	if err == nil || err.Error() != want {
		t.Fatalf("error %v\nwant  %s", err, want)
	}
	if k := failure.KindOf(err); k != failure.System {
		t.Errorf("kind %s, want system", k)
	}
}

func gids(first, count int) []job.GID {
	list := make([]job.GID, count)
	for i := range list {
		list[i] = job.GID(first + i)
	}
	return list
}

func numbers(first, count int) string {
	return strings.Trim(fmt.Sprint(gids(first, count)), "[]")
}

// TestShadowIsReadAsItsOwnAccount: its ids may read shadow(5), and serve nothing else.
func TestShadowIsReadAsItsOwnAccount(t *testing.T) {
	runAs, shadowAs := &thread.IDs{UID: 5001}, &thread.IDs{UID: 5002}
	for database, want := range map[string]*thread.IDs{"shadow": shadowAs, "passwd": runAs, groupDatabase: runAs, initgroupsDatabase: runAs} {
		if got := System(runAs, shadowAs).idsFor(database); got != want {
			t.Errorf("%s: %+v", database, got)
		}
	}
}
