package safedir

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestPrivate(t *testing.T) {
	for name, tc := range map[string]struct {
		plant func(t *testing.T, top string)
		rules Rules
		above os.FileMode // of the directory above it
		why   string
	}{
		"missing":            {func(*testing.T, string) {}, me(), 0o700, ""},
		"missing, for group": {func(*testing.T, string) {}, group(), 0o750, ""},
		"there":              {func(t *testing.T, top string) { must(t, os.MkdirAll(top+"/a/b.tmp", 0o700)) }, group(), 0o700, ""},
		"there and wide": {func(t *testing.T, top string) {
			must(t, os.MkdirAll(top+"/a/b.tmp", 0o755), os.Chmod(top+"/a", 0o755), os.Chmod(top+"/a/b.tmp", 0o777))
		}, group(), 0o755, ""},
		"a file in its place": {func(t *testing.T, top string) {
			must(t, os.Mkdir(top+"/a", 0o700), write(top+"/a/b.tmp"))
		}, me(), 0o700, ""},
		"a link in its place": {func(t *testing.T, top string) {
			must(t, os.Mkdir(top+"/a", 0o700), os.Mkdir(top+"/c", 0o755), os.Symlink("../c", top+"/a/b.tmp"))
		}, me(), 0o700, ""},
		"a link on the way": {func(t *testing.T, top string) {
			must(t, os.Mkdir(top+"/c", 0o755), os.Symlink("c", top+"/a"))
		}, me(), 0, "a: it is not a directory"},
		"a file on the way": {func(t *testing.T, top string) { must(t, write(top+"/a")) }, me(), 0, "a: it is not a directory"},
		"another's": {func(t *testing.T, top string) {
			asRoot(t, "give files away")
			must(t, os.MkdirAll(top+"/a/b.tmp", 0o700), os.Chown(top+"/a/b.tmp", stranger, -1))
		}, me(), 0o700, "owned by account 65533"},
	} {
		t.Run(name, func(t *testing.T) {
			top := filepath.Join(private(t), "base")
			f := base(t, top, tc.rules)
			tc.plant(t, top)
			err := f.Private("a", "b.tmp")
			if (err == nil) != (tc.why == "") || (err != nil && !strings.Contains(err.Error(), tc.why)) {
				t.Fatalf("got %v, want %q", err, tc.why)
			}
			if err != nil {
				return
			}
			if above, got := mode(t, top+"/a"), mode(t, top+"/a/b.tmp"); above != tc.above || got != 0o700 {
				t.Errorf("modes %04o and %04o, want %04o and 0700", above, got, tc.above)
			}
			if _, err := os.Stat(top + "/c"); err == nil && mode(t, top+"/c") != 0o755 {
				t.Error("what the link leads to has another mode")
			}
		})
	}
	f := base(t, private(t), me())
	for _, elem := range [][]string{{"a", ".."}, {"..", "a"}, {"a", ""}, {"a/b"}} {
		if f.Private(elem...) == nil {
			t.Errorf("%q was made", elem)
		}
	}
	withUmask(t, 0o077, func() { must(t, f.Private("x", "y")) })
	withUmask(t, 0, func() { must(t, f.Private("x0", "y")) })
	if mode(t, f.Path().String()+"/x0/y") != 0o700 {
		t.Error("the umask decides")
	}
}
