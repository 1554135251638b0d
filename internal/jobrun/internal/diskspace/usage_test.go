package diskspace

import (
	"testing"

	"golang.org/x/sys/unix"
)

func TestFormatBytes(t *testing.T) {
	const gib = 1 << 30
	for want, u := range map[string]usage{
		"0 of 1000 bytes":     {0, 1000},
		"1.0 of 1 KiB":        {1024, 1024},
		"0.5 of 1 MiB":        {1 << 19, 1 << 20},
		"50.0 of 50 GiB":      {50 * gib, 50 * gib},
		"49.9 of 50.5 GiB":    {49*gib + gib*9/10, 50*gib + gib/2},
		"1536.0 of 2 PiB":     {1536 << 50, 2 << 50},
		"0.0 of 7.3 TiB":      {12345, 73 << 40 / 10},
		"1023.0 of 1023 KiB":  {1023 << 10, 1023 << 10},
		"0.1 of 1 MiB":        {100 << 10, 1 << 20},
		"2.0 of 2.4 GiB":      {2 * gib, 2*gib + gib*4/10},
		"1048576 of 10 bytes": {1 << 20, 10},
	} {
		if got := formatBytes(u); got != want {
			t.Errorf("%+v: %q, want %q", u, got, want)
		}
	}
}

func TestFullAndNearlyFull(t *testing.T) {
	for name, tt := range map[string]struct {
		space space
		full  string
		tight string
	}{
		"no limits":       {space{usage{5, 0}, usage{5, 0}}, "", ""},
		"space":           {space{usage{1 << 30, 2 << 30}, usage{10, 1000}}, "", ""},
		"bytes full":      {space{usage{1 << 30, 1 << 30}, usage{10, 1000}}, "1.0 of 1 GiB", "1.0 of 1 GiB"},
		"over the limit":  {space{usage{3 << 30, 2 << 30}, usage{}}, "3.0 of 2 GiB", "3.0 of 2 GiB"},
		"files full":      {space{usage{0, 1 << 40}, usage{7, 7}}, "7 of 7 files and directories", "7 of 7 files and directories"},
		"bytes nearly":    {space{usage{1<<30 - 1<<20, 1 << 30}, usage{}}, "", "1.0 of 1 GiB"},
		"files nearly":    {space{usage{0, 1 << 40}, usage{950, 1000}}, "", "950 of 1000 files and directories"},
		"a limit of 1MiB": {space{usage{0, 1 << 20}, usage{}}, "", "0.0 of 1 MiB"},
	} {
		t.Run(name, func(t *testing.T) {
			if words, ok := tt.space.full(); words != tt.full || ok != (tt.full != "") {
				t.Errorf("full: %q %v", words, ok)
			}
			if words, ok := tt.space.nearlyFull(); words != tt.tight || ok != (tt.tight != "") {
				t.Errorf("nearly full: %q %v", words, ok)
			}
		})
	}
}

// TestSpaceOf interprets statfs(2) as df(1) does: 100 blocks of which 30 are free, 20 of
// them for all users.
func TestSpaceOf(t *testing.T) {
	st := unix.Statfs_t{Bsize: 1 << 20, Frsize: 4096, Blocks: 100, Bfree: 30, Bavail: 20, Files: 10, Ffree: 4}
	if got, want := spaceOf(&st), (space{usage{70 * 4096, 90 * 4096}, usage{6, 10}}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	st.Frsize, st.Files, st.Ffree = 0, 0, 0 // btrfs counts no files
	if got, want := spaceOf(&st), (space{usage{70 << 20, 90 << 20}, usage{}}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
}

func TestWarning(t *testing.T) {
	for want, s := range map[string]space{
		"": {},
		"your quota on /home is full: 50.0 of 50 GiB":               {bytes: usage{50 << 30, 50 << 30}},
		"your quota on /home is nearly full: 50.0 of 50 GiB in use": {bytes: usage{50<<30 - 1, 50 << 30}},
	} {
		if got := s.warning(func() string { return "your quota on /home" }); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func TestIsLessThan(t *testing.T) {
	small, large, unknown := space{bytes: usage{1, 10}}, space{bytes: usage{90, 100}}, space{}
	for _, tt := range []struct {
		a, b space
		want bool
	}{
		{small, large, true},
		{large, small, false},
		{small, small, false},
		{small, unknown, true},
		{unknown, small, false},
		{unknown, unknown, false},
	} {
		if got := tt.a.isLessThan(tt.b); got != tt.want {
			t.Errorf("%v less than %v: %v", tt.a, tt.b, got)
		}
	}
}
