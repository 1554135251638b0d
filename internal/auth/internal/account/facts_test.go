package account

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"jacamar-ci/internal/job"
	"jacamar-ci/internal/passwd"
	"jacamar-ci/test/harness/testutil"
)

func TestAging(t *testing.T) {
	now := time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC) // day 20777
	for _, c := range []struct {
		name, entry string
		want        passwd.Aging
	}{
		{"password", "alice:$6$salt$hash:20000:0:99999:7:::", passwd.Aging{Known: true}},
		{"never had one, Debian", "alice:!:20000:0:99999:7:::", passwd.Aging{Known: true}},
		{"never had one, Red Hat", "alice:!!:20000:0:99999:7:::", passwd.Aging{Known: true}},
		{"no password login", "alice:*:20000:0:99999:7:::", passwd.Aging{Known: true}},
		{"empty password", "alice::20000:0:99999:7:::", passwd.Aging{Known: true}},
		{"locked password", "alice:!$6$salt$hash:20000:0:99999:7:::", passwd.Aging{Known: true, Locked: true}},
		{"locked password, Red Hat", "alice:!!$6$salt$hash:20000:0:99999:7:::", passwd.Aging{Known: true, Locked: true}},
		{"locked without password login", "alice:!*:20000:0:99999:7:::", passwd.Aging{Known: true, Locked: true}},
		{"expires tomorrow", "alice:*:20000:0:99999:7::20778:", passwd.Aging{Known: true}},
		{"expires today", "alice:*:20000:0:99999:7::20777:", passwd.Aging{Known: true, Expired: true}},
		{"expired long ago", "alice:*:20000:0:99999:7::0:", passwd.Aging{Known: true, Expired: true}},
		{"never expires, spelled -1", "alice:*:20000:0:99999:7:-1:-1:", passwd.Aging{Known: true}},
		{"locked and expired", "alice:!x:20000:0:99999:7::1:", passwd.Aging{Known: true, Locked: true, Expired: true}},
		{"password may be renewed today", "alice:*:20000:0:700:7:77::", passwd.Aging{Known: true}},
		{"password may no longer be renewed", "alice:*:20000:0:700:7:76::", passwd.Aging{Known: true, Expired: true}},
		{"password end without inactive days", "alice:*:20000:0:1:7:::", passwd.Aging{Known: true}},
		{"inactive days without a maximum", "alice:*:20000:0::7:1::", passwd.Aging{Known: true}},
		{"inactive days without a date of change", "alice:*::0:1:7:1::", passwd.Aging{Known: true}},
		{"from a directory", "alice:*:::::::", passwd.Aging{Known: true}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := stub(t, "[ $1 = shadow ] || exit 1; echo '"+c.entry+"'").Aging(t.Context(), testutil.Username(t, "alice"), now)
			if err != nil || got != c.want {
				t.Errorf("got %+v, %v; want %+v", got, err, c.want)
			}
		})
	}
}

func TestAgingUnknown(t *testing.T) {
	got, err := stub(t, "exit 2").Aging(t.Context(), testutil.Username(t, "alice"), time.Now())
	if err != nil || got != (passwd.Aging{}) {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestReadsShadow(t *testing.T) {
	for _, c := range []struct {
		name, script string
		want         bool
	}{
		{"nothing", "exit 2", false},
		{"all", "printf 'daemon:*:1::::::\\nbin:*:1::::::\\nalice:!:1::::::\\n'", true},
		{"one of the machine's", "echo 'daemon:*:1::::::'; exit 2", true},
		{"its own", "echo 'alice:*:1::::::'; exit 2", true},
		{"made up", "echo 'root:!*:::::1::'; echo 'nobody:!*:::::1::'; exit 2", false},
	} {
		n := stub(t, `[ "$*" = "shadow -- daemon bin alice" ] || exit 9; `+c.script)
		if got, err := n.ReadsShadow(t.Context(), testutil.Username(t, "alice")); err != nil || got != c.want {
			t.Errorf("%s: %v, %v", c.name, got, err)
		}
	}
	_, err := stub(t, "exit 1").ReadsShadow(t.Context(), testutil.Username(t, "alice"))
	refused(t, err, "cannot look up the account alice: getent shadow: exit status 1: ")
}

func TestAgingRefuses(t *testing.T) {
	for _, c := range []struct{ name, script, want string }{
		{"garbage", "echo what", "getent shadow: the entry has 1 fields, not 9"},
		{"two entries", "echo alice:::::::; echo", "getent shadow: the answer has more than one line"},
		{"another name", "echo bob:*:::::::", "getent shadow: the entry has another name"},
		{"date of change", "echo alice:*:x::::::", `getent shadow: "x" is not a number of days`},
		{"maximum", "echo alice:*:::-2::::", `getent shadow: "-2" is not a number of days`},
		{"inactive", "echo 'alice:*::::: 7::'", `getent shadow: " 7" is not a number of days`},
		{"expiry beyond any date", "echo alice:*::::::4294967296:", `getent shadow: "4294967296" is not a number of days`},
		{"failure", "exit 1", "getent shadow: exit status 1: "},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := stub(t, c.script).Aging(t.Context(), testutil.Username(t, "alice"), time.Now())
			refused(t, err, "cannot look up the account alice: "+c.want)
			if got != (passwd.Aging{}) {
				t.Errorf("an error came with %+v", got)
			}
		})
	}
}

func TestOwner(t *testing.T) {
	a := job.Account{Name: testutil.Username(t, "alice"), UID: 1001}
	for _, c := range []struct{ name, script, want, fault string }{
		{"the account itself", "echo alice:x:1001:1::/:", "alice", ""},
		{"another name", "echo bob:x:1001:1::/:", "bob", ""},
		{"nobody", "exit 2", "", "the name service has no entry for its user id 1001"},
		{"another id", "echo alice:x:1002:1::/:", "", "the name service returned the user id 1002 for 1001"},
		{"garbage", "echo", "", "getent passwd: the entry has 1 fields, not 7"},
		{"failure", "exit 1", "", "getent passwd: exit status 1: "},
	} {
		t.Run(c.name, func(t *testing.T) {
			n := stub(t, `[ "$*" = "passwd -- 1001" ] || exit 9; `+c.script)
			got, err := n.Owner(t.Context(), a)
			if c.fault != "" {
				refused(t, err, "cannot look up the account alice: "+c.fault)
			} else if err != nil {
				t.Fatal(err)
			}
			if got.String() != c.want {
				t.Errorf("owner %q, want %q", got, c.want)
			}
		})
	}
}

func TestByUID(t *testing.T) {
	n := answers(t, "alice:x:1001:2001::/home/alice:/bin/bash\n", "alice 2001\n")
	if a, err := n.ByUID(t.Context(), 1001); err != nil || a.Name.String() != "alice" || a.UID != 1001 || a.GID != 2001 {
		t.Errorf("%+v, %v", a, err)
	}
	if a, err := n.ByUID(t.Context(), 1002); err == nil || a.Name.String() != "" || a.UID != 0 {
		t.Errorf("of another user id: %+v, %v", a, err)
	}
}

func TestLoginsOff(t *testing.T) {
	for _, c := range []struct {
		name string
		make func(n Names) error
		want bool
	}{
		{"no file", func(Names) error { return nil }, false},
		{"first", func(n Names) error { return os.WriteFile(n.nologin[0], nil, 0o600) }, true},
		{"second", func(n Names) error { return os.WriteFile(n.nologin[1], nil, 0o600) }, true},
		{"dangling link", func(n Names) error { return os.Symlink("/nonexistent", n.nologin[1]) }, true},
		{"unreadable", func(n Names) error { n.nologin[1] = n.getent[1] + "/below-a-file"; return nil }, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			n := stub(t, "")
			if err := c.make(n); err != nil {
				t.Fatal(err)
			}
			if got := n.LoginsOff(); got != c.want {
				t.Errorf("LoginsOff() = %v, want %v", got, c.want)
			}
		})
	}
}

func TestShells(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"comments and blanks", "# shells\n\n  /bin/bash  \n/bin/zsh # ours\nrbash\n/bin/../sh\n/usr/bin/fish", "/bin/bash /bin/zsh /usr/bin/fish"},
		{"empty", "", ""},
		{"the longest", strings.Repeat("#", shellsLimit), ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			n := stub(t, "")
			if err := os.WriteFile(n.shells, []byte(c.text), 0o600); err != nil {
				t.Fatal(err)
			}
			shellsAre(t, n, c.want)
		})
	}
	for _, c := range []struct {
		name string
		make func(path string) error
	}{
		{"missing", func(string) error { return nil }},
		{"a directory", func(p string) error { return os.Mkdir(p, 0o700) }},
		{"too long", func(p string) error { return os.WriteFile(p, make([]byte, shellsLimit+1), 0o600) }},
		{"no directory", func(p string) error { return os.Symlink(filepath.Dir(p)+"/getent/x", p) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			n := stub(t, "")
			if err := c.make(n.shells); err != nil {
				t.Fatal(err)
			}
			if got, err := n.Shells(); err == nil || got != nil {
				t.Errorf("shells %v, error %v", got, err)
			}
		})
	}
}

func shellsAre(t *testing.T, n Names, want string) {
	t.Helper()
	shells, err := n.Shells()
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, s := range shells {
		got = append(got, s.String())
	}
	if strings.Join(got, " ") != want {
		t.Errorf("shells %q, want %q", got, want)
	}
}
