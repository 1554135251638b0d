package job

import "testing"

func TestNoLogin(t *testing.T) {
	for shell, want := range map[string]bool{
		"/bin/bash": false, "/sbin/nologin": true, "/usr/sbin/nologin": true, "/bin/false": true, "/nologin/bash": false, "/bin/nologin2": false,
	} {
		p, err := ParseAbsPath(shell)
		if err != nil || (Account{Shell: p}).NoLogin() != want {
			t.Errorf("%s: %v, want %v", shell, err, want)
		}
	}
}

func TestZeroPath(t *testing.T) {
	if p, err := ParseAbsPath("/"); err != nil || p.IsZero() || !(AbsPath{}).IsZero() {
		t.Errorf("%q, %v", p, err)
	}
}
