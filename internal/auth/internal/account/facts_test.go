package account

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"jacamar-ci/internal/job"
)

func TestAging(t *testing.T) {
	now := time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC) // day 20777
	for _, c := range []struct {
		name, entry string
		want        Aging
	}{
		{"password", "alice:$6$salt$hash:20000:0:99999:7:::", Aging{Known: true}},
		{"never had one, Debian", "alice:!:20000:0:99999:7:::", Aging{Known: true}},
		{"never had one, Red Hat", "alice:!!:20000:0:99999:7:::", Aging{Known: true}},
		{"no password login", "alice:*:20000:0:99999:7:::", Aging{Known: true}},
		{"empty password", "alice::20000:0:99999:7:::", Aging{Known: true}},
		{"locked password", "alice:!$6$salt$hash:20000:0:99999:7:::", Aging{Known: true, Locked: true}},
		{"locked password, Red Hat", "alice:!!$6$salt$hash:20000:0:99999:7:::", Aging{Known: true, Locked: true}},
		{"locked without password login", "alice:!*:20000:0:99999:7:::", Aging{Known: true, Locked: true}},
		{"expires tomorrow", "alice:*:20000:0:99999:7::20778:", Aging{Known: true}},
		{"expires today", "alice:*:20000:0:99999:7::20777:", Aging{Known: true, Expired: true}},
		{"expired long ago", "alice:*:20000:0:99999:7::0:", Aging{Known: true, Expired: true}},
		{"never expires, spelled -1", "alice:*:20000:0:99999:7:-1:-1:", Aging{Known: true}},
		{"locked and expired", "alice:!x:20000:0:99999:7::1:", Aging{Known: true, Locked: true, Expired: true}},
		{"password may be renewed today", "alice:*:20000:0:700:7:77::", Aging{Known: true}},
		{"password may no longer be renewed", "alice:*:20000:0:700:7:76::", Aging{Known: true, Expired: true}},
		{"password end without inactive days", "alice:*:20000:0:1:7:::", Aging{Known: true}},
		{"inactive days without a maximum", "alice:*:20000:0::7:1::", Aging{Known: true}},
		{"inactive days without a date of change", "alice:*::0:1:7:1::", Aging{Known: true}},
		{"from a directory", "alice:*:::::::", Aging{Known: true}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := stub(t, "[ $1 = shadow ] || exit 1; echo '"+c.entry+"'").Aging(t.Context(), username(t, "alice"), now)
			if err != nil || got != c.want {
				t.Errorf("got %+v, %v; want %+v", got, err, c.want)
			}
		})
	}
}

func TestAgingUnknown(t *testing.T) {
	got, err := stub(t, "exit 2").Aging(t.Context(), username(t, "alice"), time.Now())
	if err != nil || got != (Aging{}) {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestAgingRefuses(t *testing.T) {
	for _, c := range []struct{ name, script, want string }{
		{"garbage", "echo what", "getent shadow: the entry has 1 fields, not 9"},
		{"two entries", "echo alice:::::::; echo", "getent shadow: the answer has more than one line"},
		{"another name", "echo bob:*:::::::", "getent shadow: the answer is about another name"},
		{"date of change", "echo alice:*:x::::::", `getent shadow: "x" is not a number of days`},
		{"maximum", "echo alice:*:::-2::::", `getent shadow: "-2" is not a number of days`},
		{"inactive", "echo 'alice:*::::: 7::'", `getent shadow: " 7" is not a number of days`},
		{"expiry beyond any date", "echo alice:*::::::4294967296:", `getent shadow: "4294967296" is not a number of days`},
		{"failure", "exit 1", "getent shadow: exit status 1: "},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := stub(t, c.script).Aging(t.Context(), username(t, "alice"), time.Now())
			refused(t, err, "cannot look up the account alice: "+c.want)
			if got != (Aging{}) {
				t.Errorf("an error came with %+v", got)
			}
		})
	}
}

func TestGroups(t *testing.T) {
	a := job.Account{Name: username(t, "alice"), Groups: []job.GID{3, 5, 70, 4294967294}}
	for _, c := range []struct {
		name, answer string
		status       string
		want         Groups
	}{
		{
			"all", "sys:x:3:\ntwo words:x:5:alice,bob\nusers:*:70:a:b\nlast::4294967294:\n", "0",
			Groups{Names: []string{"sys", "two words", "users", "last"}},
		},
		{"none", "", "2", Groups{Unnamed: []job.GID{3, 5, 70, 4294967294}}},
		{
			"first and last without a name", "five:x:5:\nusers:x:70:\n", "2",
			Groups{Names: []string{"five", "users"}, Unnamed: []job.GID{3, 4294967294}},
		},
		{
			"some between", "sys:x:3:\nlast:x:4294967294:\n", "2",
			Groups{Names: []string{"sys", "last"}, Unnamed: []job.GID{5, 70}},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			n := stub(t, `[ "$*" = "group -- 3 5 70 4294967294" ] || exit 9; printf '`+strings.ReplaceAll(c.answer, "\n", `\n`)+`'; exit `+c.status)
			got, err := n.Groups(t.Context(), a)
			if err != nil || !reflect.DeepEqual(got, c.want) {
				t.Errorf("got %+v, %v; want %+v", got, err, c.want)
			}
		})
	}
}

func TestGroupsOfNobodyAskNobody(t *testing.T) {
	got, err := stub(t, "exit 9").Groups(t.Context(), job.Account{Name: username(t, "alice")})
	if err != nil || !reflect.DeepEqual(got, Groups{}) {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestGroupsRefuses(t *testing.T) {
	a := job.Account{Name: username(t, "alice"), Groups: []job.GID{3, 5}}
	for _, c := range []struct{ name, script, want string }{
		{"cut off", "printf sys:x:3:", "getent group: the answer is cut off"},
		{"three fields", "echo sys:x:3", "getent group: the entry has 3 fields, not 4"},
		{"empty name", "echo :x:3:", `getent group: "" is not the name of a group`},
		{"name not UTF-8", `printf '\377:x:3:\n'`, `getent group: "\xff" is not the name of a group`},
		{"id is none", "echo sys:x:03:", `getent group: "03" is not a user or group id`},
		{"not asked for", "echo sys:x:4:", "getent group: the answer has group 4, which was not asked for"},
		{"twice", "echo sys:x:3:; echo sys:x:3:", "getent group: the answer has group 3, which was not asked for"},
		{"failure", "exit 1", "getent group: exit status 1: "},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := stub(t, c.script).Groups(t.Context(), a)
			refused(t, err, "cannot look up the account alice: "+c.want)
			if !reflect.DeepEqual(got, Groups{}) {
				t.Errorf("an error came with %+v", got)
			}
		})
	}
}

func TestOwner(t *testing.T) {
	a := job.Account{Name: username(t, "alice"), UID: 1001}
	for _, c := range []struct{ name, script, want, fault string }{
		{"the account itself", "echo alice:x:1001:1::/:", "alice", ""},
		{"another name", "echo bob:x:1001:1::/:", "bob", ""},
		{"nobody", "exit 2", "", "the name service does not know its user id 1001"},
		{"another id", "echo alice:x:1002:1::/:", "", "the name service answers with the user id 1002 for 1001"},
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
	t.Run("missing", func(t *testing.T) { shellsAre(t, stub(t, ""), "/bin/sh /bin/csh") })
	for _, c := range []struct {
		name string
		make func(path string) error
	}{
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
