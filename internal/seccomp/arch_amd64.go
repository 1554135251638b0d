package seccomp

import "golang.org/x/sys/unix"

const (
	nativeArch = unix.AUDIT_ARCH_X86_64
	// secondABI is where the numbers of x32 begin (__X32_SYSCALL_BIT), which
	// hardly any kernel has.
	secondABI = 0x40000000
)

// i386 programs; the number is that of asm/unistd_32.h.
var foreignABIs = [...]foreignABI{{unix.AUDIT_ARCH_I386, 54}}
