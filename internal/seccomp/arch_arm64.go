package seccomp

import "golang.org/x/sys/unix"

const (
	native    = unix.AUDIT_ARCH_AARCH64
	secondABI = 0
)

// 32-bit ARM programs; the number is that of asm/unistd-eabi.h.
var foreign = [...]architecture{{unix.AUDIT_ARCH_ARM, 54}}
