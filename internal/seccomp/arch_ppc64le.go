package seccomp

import "golang.org/x/sys/unix"

const (
	native    = unix.AUDIT_ARCH_PPC64LE
	secondABI = 0
)

var foreign = [0]architecture{}
