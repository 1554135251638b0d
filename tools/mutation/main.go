// Command mutation negates every condition of the packages that decide and that drop
// privileges, one at a time, and runs their tests: where all pass, a test is missing.
//
//	go run ./tools/mutation [-only REGEXP] [-own] [-parallel N]
//
// The source tree does not change: the go command gets changed files as an overlay. The
// tests of a package are built once with all mutants, of which each run chooses one, and
// run in a process namespace. Mutants that they do not detect run with the other tests that
// cover the package. There is no list of exceptions: remove a condition without an effect.
package main

import (
	"flag"
	"fmt"
	"os"
	"regexp"
	"slices"
)

func main() {
	only := flag.String("only", "", "only the changes whose name matches")
	parallel := flag.Int("parallel", 2, "how many tests run at once")
	own := flag.Bool("own", false, "run only the packages' own tests, which is quick")
	list := flag.Bool("list", false, "list the changes without running tests")
	flag.Parse()
	pattern, err := regexp.Compile(*only)
	if err == nil {
		err = search(pattern, trial{parallel: *parallel, alone: *own}, *list)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "mutants:", err)
		os.Exit(1)
	}
}

func search(only *regexp.Regexp, t trial, list bool) error {
	all, err := everyMutant()
	if err != nil {
		return err
	}
	chosen := slices.DeleteFunc(all, func(m mutant) bool { return !only.MatchString(m.String()) })
	if os.Geteuid() != 0 && !list {
		return fmt.Errorf("needs root: without it the packages' tests do not reach every condition")
	}
	if list {
		for _, m := range chosen {
			fmt.Println(m)
		}
		return nil
	}
	report, err := t.run(chosen)
	if err != nil {
		return err
	}
	fmt.Println("together:", report.summary(len(chosen)))
	if len(report.survivors) > 0 {
		return fmt.Errorf("no test detects these:\n%s", report)
	}
	return nil
}
