package passwd

import "testing"

func TestParse(t *testing.T) {
	a, err := Parse("alice:x:5001:5002:Alice, 1st floor\xff:/home/alice:/bin/zsh\n")
	if err != nil || a.Name.String() != "alice" || a.UID != 5001 || a.GID != 5002 || a.Home.String() != "/home/alice" || a.Shell.String() != "/bin/zsh" {
		t.Errorf("%+v %v", a, err)
	}
	if a, err := Parse("alice:x:5001:5002::/home/alice:\n"); err != nil || a.Shell.String() != "/bin/sh" {
		t.Errorf("without a shell: %+v %v", a, err)
	}
}

func TestParseRefuses(t *testing.T) {
	for _, line := range []string{
		"", "\n", "alice\n", "alice:x:5001:5002::/home/alice\n", "alice:x:5001:5002::/home/alice:/bin/sh:more\n", "1000:x:5001:5002::/h:/bin/sh\n",
		"alice:x:-1:5002::/h:/bin/sh\n", "alice:x:4294967295:1::/h:/bin/sh\n", "alice:x:1:x::/h:/bin/sh\n", "alice:x:1:1::h:/bin/sh\n", "alice:x:1:1::/h:sh\n",
		"alice:x:1:1::/h:/bin/sh", "alice:x:1:1::/h:/bin/sh\nbob:x:2:2::/h:/bin/sh\n",
	} {
		if a, err := Parse(line); err == nil {
			t.Errorf("%q is %+v", line, a)
		}
	}
}
