package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"jacamar-ci/test/harness/fakerunner"
)

// logSize is how much the script prints, in bytes.
const logSize = 1 << 30

// printer prints the log and then stays, so that the time that the processes
// above it have used can still be read.
const printer = "echo begun; head -c %d /dev/zero; exec sleep 1000\n"

// jobLog compares a job's output through Jacamar with output into a descriptor
// that the script has inherited.
func (b *benchmark) jobLog() error {
	return b.during("build_script", "true\n", func(c fakerunner.Call) error {
		if err := with(c, fmt.Sprintf(printer, logSize)); err != nil {
			return err
		}
		const rounds = 5
		var inherited, ours, cpu sample
		for range rounds {
			direct, err := b.inherited()
			if err != nil {
				return err
			}
			through, used, err := logOf(c)
			if err != nil {
				return err
			}
			inherited, ours, cpu = append(inherited, direct), append(ours, through), append(cpu, used)
		}
		fmt.Printf("\n1 GiB of job log, read through a pipe in pieces of 32 KiB; %d rounds, taking turns\n\n", rounds)
		fmt.Printf("inherited descriptor   %s (%s)\n", millis(inherited.median()), inherited.spread())
		fmt.Printf("through Jacamar        %s (%s), %.2f x the speed\n", millis(ours.median()), ours.spread(), inherited.median().Seconds()/ours.median().Seconds())
		fmt.Printf("CPU of Jacamar         %s (%s)\n", millis(cpu.median()), cpu.spread())
		return nil
	})
}

// inherited is the same script as the account's own, on the pipe itself.
func (b *benchmark) inherited() (time.Duration, error) {
	cmd := as(b.site.Account, "/bin/bash", "-c", fmt.Sprintf("head -c %d /dev/zero", logSize))()
	r, w, err := os.Pipe()
	if err != nil {
		return 0, err
	}
	defer r.Close()
	cmd.Stdout = w
	err = cmd.Start()
	w.Close()
	if err != nil {
		return 0, err
	}
	took, err := readLog(r)
	return took, errors.Join(err, cmd.Wait())
}

func logOf(c fakerunner.Call) (took, cpu time.Duration, err error) {
	p, err := start(c)
	if err != nil {
		return 0, 0, err
	}
	defer p.stop()
	before, err := p.cpu()
	if err != nil {
		return 0, 0, err
	}
	if took, err = readLog(p.out); err != nil {
		return 0, 0, err
	}
	after, err := p.cpu()
	return took, after - before, err
}

// readLog reads the log and returns the time from its first byte to its last.
func readLog(r io.Reader) (time.Duration, error) {
	piece := make([]byte, 32<<10)
	n, err := r.Read(piece)
	for began := time.Now(); err == nil; {
		if n >= logSize {
			return time.Since(began), nil
		}
		var more int
		more, err = r.Read(piece)
		n += more
	}
	return 0, fmt.Errorf("the log ended after %d bytes: %w", n, err)
}

// cpu is what both processes have used so far, without their children.
func (p *pair) cpu() (time.Duration, error) {
	var sum time.Duration
	for _, pid := range []int{p.auth, p.jacamar} {
		threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", pid))
		if err != nil {
			return 0, err
		}
		for _, file := range threads {
			used, err := onCPU(file)
			if err != nil {
				return 0, err
			}
			sum += used
		}
	}
	return sum, nil
}

// onCPU reads the first number of a schedstat file, nanoseconds. Source:
// Documentation/scheduler/sched-stats.rst of the kernel.
func onCPU(file string) (time.Duration, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return 0, err
	}
	first, _, _ := strings.Cut(string(text), " ")
	n, err := strconv.ParseInt(first, 10, 64)
	return time.Duration(n), err
}
