package capability

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// words encodes an attribute.
func words(values ...uint32) (text []byte) {
	for _, v := range values {
		text = binary.LittleEndian.AppendUint32(text, v)
	}
	return text
}

func TestParseFile(t *testing.T) {
	const setuid = 1 << unix.CAP_SETUID
	for name, tt := range map[string]struct {
		text []byte
		want Set
		err  bool
	}{
		"none":                  {nil, Set{}, false},
		"revision 2":            {words(revision2|effectiveFlag, setuid, 0, 1, 0), Set{setuid, 1}, false},
		"revision 3":            {words(revision3|effectiveFlag, setuid, 0, 0, 0, 1000), Set{setuid, 0}, false},
		"revision 1":            {words(revision1|effectiveFlag, setuid, 0), Set{setuid, 0}, false},
		"permitted only":        {words(revision2, setuid, 0, 0, 0), Set{}, false},
		"inheritable only":      {words(revision2|effectiveFlag, 0, setuid, 0, 0), Set{}, false},
		"an unknown revision":   {words(0x04000000|effectiveFlag, setuid, 0, 0, 0), Set{}, true},
		"revision 2, too short": {words(revision2|effectiveFlag, setuid, 0), Set{}, true},
		"half a number":         {words(revision2|effectiveFlag, setuid, 0, 1, 0)[:19], Set{}, true},
	} {
		got, err := parseFile(tt.text)
		if got != tt.want || (err != nil) != tt.err {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
}

func TestFileSet(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if _, err := FileSet(file); err == nil {
		t.Error("a missing file has capabilities")
	}
	if err := os.WriteFile(file, nil, 0o700); err != nil {
		t.Fatal(err)
	}
	if got, err := FileSet(file); err != nil || got != (Set{}) {
		t.Errorf("%v, %v", got, err)
	}
	err := unix.Setxattr(file, fileAttribute, words(revision2|effectiveFlag, 1<<unix.CAP_SETUID|1<<unix.CAP_SETGID, 0, 0, 0), 0)
	if err != nil {
		t.Skipf("cannot give a file capabilities: %v", err)
	}
	if got, err := FileSet(file); err != nil || !got.Has(unix.CAP_SETUID) || !got.Has(unix.CAP_SETGID) || got.Has(unix.CAP_SYS_ADMIN) {
		t.Errorf("%v, %v", got, err)
	}
}
