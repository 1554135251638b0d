package jobrun

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
)

// kernelCounters has how many processes the kernel has ended for lack of memory since the
// machine started, those of limits on control groups among them: oom_kill, since Linux 4.13.
const kernelCounters = "/proc/vmstat"

// memoryKills returns that number, 0 where it is not known.
func memoryKills(file string) int64 {
	text, err := os.ReadFile(file)
	if err != nil {
		return 0
	}
	for line := range bytes.Lines(text) {
		if value, found := bytes.CutPrefix(line, []byte("oom_kill ")); found {
			n, _ := strconv.ParseInt(string(bytes.TrimSpace(value)), 10, 64)
			return n
		}
	}
	return 0
}

// memoryWarning describes what the kernel ended between two numbers, "" for nothing. They
// are the machine's: another job may have been the one.
func memoryWarning(before, after int64) string {
	switch n := after - before; {
	case n == 1:
		return "the kernel ended a process on this machine for lack of memory while the script ran; if it was the job's, request more memory or use less"
	case n > 1:
		return fmt.Sprintf("the kernel ended %d processes on this machine for lack of memory while the script ran; if they were the job's, request more memory or use less", n)
	}
	return ""
}
