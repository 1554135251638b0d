package account

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"jacamar-ci/internal/job"
	"jacamar-ci/internal/passwd"
	"jacamar-ci/test/harness/testutil"
)

// TestLookupOfTheCurrentUser compares with id(1), which uses the C library.
func TestLookupOfTheCurrentUser(t *testing.T) {
	me, err := user.Current()
	if err != nil {
		t.Skipf("this process has no account: %v", err)
	}
	agreesWithID(t, me.Username)
}

func TestLookupOfRealAccounts(t *testing.T) {
	if !inOwnEtc(t) {
		return
	}
	name := temporaryAccount(t)
	t.Run("with no further group", func(t *testing.T) { agreesWithID(t, name) })

	groups := make([]string, 65)
	for i := range groups {
		groups[i] = fmt.Sprintf("%s-%d", name, i)
		command(t, "groupadd", groups[i])
		t.Cleanup(func() { command(t, "groupdel", groups[i]) })
	}
	command(t, "usermod", "--groups", groups[0], name)
	t.Run("with one", func(t *testing.T) { agreesWithID(t, name) })
	command(t, "usermod", "--groups", strings.Join(groups, ","), name)
	t.Run("with 65", func(t *testing.T) {
		a := agreesWithID(t, name)
		if len(a.Groups) != 66 {
			t.Errorf("%d groups, want 66", len(a.Groups))
		}
		named, err := System(nil, nil).GroupNames(t.Context(), a.Groups)
		if err != nil || len(named.Unnamed) != 0 {
			t.Fatalf("unnamed groups %v, error %v", named.Unnamed, err)
		}
		want := append(slices.Clone(groups), name)
		if got := slices.Sorted(slices.Values(named.Names)); !slices.Equal(got, slices.Sorted(slices.Values(want))) {
			t.Errorf("group names %v", got)
		}
		ids, err := System(nil, nil).GroupIDs(t.Context(), append(want, "jci-no-such-group"))
		if err != nil || len(ids) != len(want) {
			t.Errorf("%d ids of %d names, %v", len(ids), len(want), err)
		}
		for name, id := range ids {
			if !a.Groups.Has(id) {
				t.Errorf("%s has the id %d, which the account has not", name, id)
			}
		}
		if again, err := System(nil, nil).GroupsOf(t.Context(), a); err != nil || !slices.Equal(again, a.Groups) {
			t.Errorf("asked again: %v, %v", again, err)
		}
	})
}

func TestFactsOfRealAccounts(t *testing.T) {
	if !inOwnEtc(t) {
		return
	}
	name := temporaryAccount(t)
	a, err := System(nil, nil).Lookup(t.Context(), testutil.Username(t, name))
	if err != nil {
		t.Fatal(err)
	}
	aging := func(want passwd.Aging) {
		t.Helper()
		got, err := System(nil, nil).Aging(t.Context(), a.Name, time.Now())
		if err != nil || got != want {
			t.Errorf("aging %+v, %v; want %+v", got, err, want)
		}
	}
	aging(passwd.Aging{Known: true})
	command(t, "usermod", "--password", "$6$salt$hash", name)
	command(t, "usermod", "--lock", name)
	aging(passwd.Aging{Known: true, Locked: true})
	command(t, "usermod", "--unlock", "--expiredate", "1", name)
	aging(passwd.Aging{Known: true, Expired: true})

	owner, err := System(nil, nil).Owner(t.Context(), a)
	if err != nil || owner != a.Name {
		t.Errorf("owner %s, %v", owner, err)
	}
	alias := a
	alias.Name, alias.UID = testutil.Username(t, "toor"), 0
	if owner, err = System(nil, nil).Owner(t.Context(), alias); err != nil || owner.String() != "root" {
		t.Errorf("owner of user id 0 is %s, %v", owner, err)
	}
}

func TestAgingUnknownWithoutRoot(t *testing.T) {
	if os.Geteuid() == 0 {
		t.Skip("root can read the shadow entries")
	}
	me, err := user.Current()
	if err != nil {
		t.Skipf("this process has no account: %v", err)
	}
	if me.Username == "nobody" {
		t.Skip("nss-systemd generates a shadow entry for nobody, which any account may read")
	}
	got, err := System(nil, nil).Aging(t.Context(), testutil.Username(t, me.Username), time.Now())
	if err != nil || got != (passwd.Aging{}) {
		t.Errorf("aging %+v, error %v", got, err)
	}
}

func TestShellsOfThisMachine(t *testing.T) {
	shells, err := System(nil, nil).Shells()
	if err != nil || len(shells) == 0 {
		t.Errorf("shells %v, error %v", shells, err)
	}
}

func agreesWithID(t *testing.T, name string) job.Account {
	t.Helper()
	a, err := System(nil, nil).Lookup(t.Context(), testutil.Username(t, name))
	if err != nil {
		t.Fatal(err)
	}
	want := idsOf(t, name)
	got := []uint32{uint32(a.UID), uint32(a.GID)}
	for _, g := range a.Groups {
		got = append(got, uint32(g))
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("ids %v, but id(1) prints %v", got, want)
	}
	return a
}

// idsOf returns the user id, the primary group and the sorted groups.
func idsOf(t *testing.T, name string) []uint32 {
	t.Helper()
	var ids []uint32
	for _, word := range strings.Fields(command(t, "id", "-u", name) + command(t, "id", "-g", name) + command(t, "id", "-G", name)) {
		n, err := strconv.ParseUint(word, 10, 32)
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, uint32(n))
	}
	slices.Sort(ids[2:])
	return ids
}

// ownEtc is the variable that marks a process with an /etc of its own.
const ownEtc = "JACAMAR_TEST_OWN_ETC"

// inOwnEtc reports whether this process has an /etc of its own. If not, the test is run in one
// that has: useradd(8) and the like replace /etc/passwd, and with that the kernel removes the
// mounts over it of the namespaces that tests of other packages have at the same time
// (mount_namespaces(7)).
func inOwnEtc(t *testing.T) bool {
	t.Helper()
	if os.Getenv(ownEtc) != "" {
		return true
	}
	if os.Geteuid() != 0 {
		t.Skip("only root can make accounts")
	}
	cmd := exec.Command("unshare", "--mount", "--propagation", "private", "sh", "-c",
		`set -e; mount -t tmpfs tmpfs "$1"; cp -a /etc/. "$1"; mount --bind "$1" /etc; exec "$2" -test.run "^$3\$" -test.v`, "sh", t.TempDir(), os.Args[0], t.Name())
	cmd.Env = append(os.Environ(), ownEtc+"=1")
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "--- PASS: "+t.Name()+" ") {
		t.Errorf("%v: %s", err, out)
	}
	return false
}

// temporaryAccount makes an account and a group of the same name.
func temporaryAccount(t *testing.T) string {
	t.Helper()
	name := fmt.Sprintf("jci-t%d", os.Getpid())
	command(t, "useradd", "--user-group", "--no-create-home", "--shell", "/bin/bash", name)
	t.Cleanup(func() { command(t, "userdel", "--force", name) })
	machines, err := os.ReadFile(fmt.Sprintf("/proc/%d/root/etc/passwd", os.Getppid()))
	if err != nil || strings.Contains(string(machines), name) {
		t.Fatalf("the machine's /etc/passwd has %s: %v", name, err)
	}
	return name
}

func command(t *testing.T, name string, args ...string) string {
	t.Helper()
	cmd := exec.Command(name, args...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s %v: %v: %s", name, args, err, stderr.String())
	}
	return string(out)
}
