package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
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

func (t trial) run(all []mutant) (r report, err error) {
	if err := sound(all); err != nil {
		return r, err
	}
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

// sound checks that the packages' tests pass with an overlay without a change.
func sound(all []mutant) error {
	done := map[string]bool{}
	for _, m := range all {
		if done[m.pkg] {
			continue
		}
		done[m.pkg] = true
		text, err := os.ReadFile(filepath.Join(m.pkg, m.file))
		if err != nil {
			return err
		}
		m.source = string(text)
		if failed, err := m.killedBy(time.Minute*5, "./"+m.pkg); failed || err != nil {
			return errors.Join(err, fmt.Errorf("the tests of %s fail without a change", m.pkg))
		}
	}
	return nil
}

// own returns the mutants that the tests of their packages do not detect.
func (t trial) own(all []mutant) (left []mutant, err error) {
	var mu sync.Mutex
	var wg sync.WaitGroup
	todo := make(chan mutant)
	for range t.parallel {
		wg.Go(func() {
			for m := range todo {
				killed, kerr := m.killedBy(time.Minute*2, "./"+m.pkg)
				mu.Lock()
				switch {
				case kerr != nil:
					err = kerr
				case !killed:
					fmt.Println("the package's own tests pass:", m)
					left = append(left, m)
				}
				mu.Unlock()
			}
		})
	}
	for _, m := range all {
		todo <- m
	}
	close(todo)
	wg.Wait()
	return left, err
}

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
