package account

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"jacamar-ci/internal/failure"
	"jacamar-ci/internal/job"
	"jacamar-ci/test/harness/testutil"
)

func localFiles(t *testing.T, passwd, group string) Files {
	t.Helper()
	f := Files{passwd: filepath.Join(t.TempDir(), "passwd"), group: filepath.Join(t.TempDir(), "group")}
	for path, text := range map[string]string{f.passwd: passwd, f.group: group} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return f
}

const (
	localPasswd = "root:x:0:0:root:/root:/bin/bash\n+::::::\n\nshort:x\njacamar2:x:996:996::/:/bin/sh\njacamar:x:997:997:Jacamar CI:/var/lib/jacamar:/usr/sbin/nologin\n" +
		"jacamar:x:0:0::/:/bin/sh\nalias:x:997:100::/:/bin/sh\nbroken:x:many:1::/:/bin/sh\nlast:x:5:6::/:/bin/false"
	localGroup = "root:x:0:\nshadow:x:42:jacamar\nboth:x:50:last,jacamar,other\nprefix:x:51:jacamar2\nshort:x:52\njacamar:x:997:\n"
)

func TestLocal(t *testing.T) {
	f := localFiles(t, localPasswd, localGroup)
	a, err := f.Lookup(testutil.Username(t, "jacamar"))
	if want := "{jacamar 997 997 42,50,997 /var/lib/jacamar /usr/sbin/nologin}"; err != nil || fmt.Sprint(a) != want {
		t.Errorf("%v, %v; want %s", a, err, want)
	}
	if a, err = f.ByUID(997); err != nil || a.Name.String() != "jacamar" || a.Home.String() != "/var/lib/jacamar" {
		t.Errorf("%v, %v", a, err)
	}
	if a, err = f.ByPrimaryGroup(100); err != nil || a.Name.String() != "alias" {
		t.Errorf("%v, %v", a, err)
	}
	if a, err = f.ByUID(0); err != nil || a.Name.String() != "root" {
		t.Errorf("%v, %v", a, err)
	}
	if a, err = f.Lookup(testutil.Username(t, "last")); err != nil || a.UID != 5 {
		t.Errorf("the last line, without an end: %v, %v", a, err)
	}
	for name, want := range map[string]error{"nobody": ErrNotLocal, "jaca": ErrNotLocal} {
		if a, err := f.Lookup(testutil.Username(t, name)); !errors.Is(err, want) {
			t.Errorf("%s: %v, %v", name, a, err)
		}
	}
	if a, err := f.ByUID(99); !errors.Is(err, ErrNotLocal) {
		t.Errorf("%v, %v", a, err)
	}
}

// TestLocalUnreadable: an unreadable entry is an error, not another account.
func TestLocalUnreadable(t *testing.T) {
	jacamar := "jacamar:x:997:997::/:/bin/false\n"
	for name, f := range map[string]Files{
		"broken":        localFiles(t, "jacamar:x:many:1::/:/bin/sh\n", ""),
		"no file":       {passwd: "/nonexistent", group: "/dev/null"},
		"no groups":     {passwd: localFiles(t, jacamar, "").passwd, group: "/nonexistent"},
		"broken group":  localFiles(t, jacamar, "g:x:-1:jacamar\n"),
		"a directory":   {passwd: "/", group: "/dev/null"},
		"minus one":     localFiles(t, "jacamar:x:4294967295:1::/:/bin/sh\n", ""),
		"group's minus": localFiles(t, jacamar, "g:x:4294967295:jacamar\n"),
	} {
		if a, err := f.Lookup(testutil.Username(t, "jacamar")); err == nil || errors.Is(err, ErrNotLocal) || failure.KindOf(err) != failure.System {
			t.Errorf("%s: %v, %v", name, a, err)
		}
	}
}

func TestLocalOfThisMachine(t *testing.T) {
	a, err := LocalFiles().Lookup(testutil.Username(t, "root"))
	if err != nil || a.UID != 0 || a.GID != 0 {
		t.Errorf("%v, %v", a, err)
	}
	if _, err := LocalFiles().ByUID(job.UID(0)); err != nil {
		t.Error(err)
	}
}
