package main

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"
)

// trial runs the tests against mutants: those of their packages, several at once, and
// unless it is limited to these, the black-box suites against the remaining ones.
type trial struct {
	parallel int
	alone    bool
}

// report is the result of each mutant.
type report struct {
	own, suite int
	survivors  []mutant
}

func (r report) String() string {
	var lines []string
	for _, m := range r.survivors {
		lines = append(lines, "  "+m.String())
	}
	return strings.Join(lines, "\n")
}

// add returns the sum of two reports.
func (r report) add(other report) report {
	return report{r.own + other.own, r.suite + other.suite, append(r.survivors, other.survivors...)}
}

// run tries the mutants package by package.
func (t trial) run(all []mutant) (sum report, err error) {
	for len(all) > 0 {
		n := 1
		for n < len(all) && all[n].pkg == all[0].pkg {
			n++
		}
		r, err := t.pkg(all[:n])
		if err != nil {
			return sum, err
		}
		fmt.Printf("%s: %s\n", all[0].pkg, r.summary(n))
		sum, all = sum.add(r), all[n:]
	}
	return sum, nil
}

// summary returns the numbers of a report for n mutants.
func (r report) summary(n int) string {
	return fmt.Sprintf("%d changes of a condition: the package's own tests detect %d, other tests %d more, %d survive", n, r.own, r.suite, len(r.survivors))
}

// pkg tries the mutants of one package.
func (t trial) pkg(all []mutant) (r report, err error) {
	left, err := t.own(all)
	if err != nil {
		return r, err
	}
	r.own = len(all) - len(left)
	for _, m := range left {
		killed, err := t.suites(m)
		switch {
		case err != nil:
			return r, err
		case killed:
			r.suite++
		default:
			fmt.Println("survives:", m)
			r.survivors = append(r.survivors, m)
		}
	}
	return r, nil
}

// own returns the mutants of a package that its own tests do not detect.
func (t trial) own(all []mutant) (left []mutant, err error) {
	p, err := buildProgram(all[0].pkg, all)
	if err != nil {
		return nil, err
	}
	started := time.Now()
	if failed, _, err := p.fails(0, 5*time.Minute); failed || err != nil {
		return nil, errors.Join(err, fmt.Errorf("the tests of %s fail without a change", p.pkg))
	}
	limit := 20*time.Second + 4*time.Since(started)
	numbers := make(chan int)
	var mu sync.Mutex
	var wg sync.WaitGroup
	for range t.parallel {
		wg.Go(func() {
			for number := range numbers {
				m := all[number-1]
				failed, timeout, ferr := p.fails(number, limit)
				mu.Lock()
				switch {
				case ferr != nil:
					err = ferr
				case timeout:
					fmt.Println("detected by a timeout:", m)
				case !failed:
					fmt.Println("the package's own tests pass:", m)
					left = append(left, m)
				}
				mu.Unlock()
			}
		})
	}
	for i := range all {
		numbers <- i + 1
	}
	close(numbers)
	wg.Wait()
	return left, err
}

// suites runs what covers the package of a mutant.
func (t trial) suites(m mutant) (killed bool, err error) {
	if t.alone {
		return false, nil
	}
	for _, suite := range suitesOf(m.pkg) {
		if killed, err = m.killedBy(time.Minute*12, suite...); killed || err != nil {
			return killed, err
		}
	}
	return false, nil
}
