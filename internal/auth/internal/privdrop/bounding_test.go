package privdrop

import (
	"testing"

	"golang.org/x/sys/unix"
)

// Only where dropping and reading agree is a capability one that the kernel does
// not know; the first is known to all of them.
func TestBeyond(t *testing.T) {
	for _, tt := range []struct {
		c          uintptr
		drop, read error
		want       bool
	}{
		{41, unix.EINVAL, unix.EINVAL, true},
		{1, unix.EINVAL, unix.EINVAL, true},
		{0, unix.EINVAL, unix.EINVAL, false},
		{41, unix.EINVAL, nil, false},
		{41, nil, unix.EINVAL, false},
		{41, unix.EPERM, unix.EINVAL, false},
		{41, nil, nil, false},
	} {
		if got := beyond(tt.c, tt.drop, tt.read); got != tt.want {
			t.Errorf("beyond(%d, %v, %v) is %v", tt.c, tt.drop, tt.read, got)
		}
	}
}
