// Command mutation turns every single condition of the packages that decide and that
// give up privileges into its opposite, one at a time, and runs their tests: a
// test that passes all the same is one that is missing.
//
//	go run ./tools/mutation [-only REGEXP] [-own] [-parallel N]
//
// The tree is not touched: go test gets the changed file as an overlay. What the
// tests of the package let pass, the black-box suite that covers it gets to see. There
// is no list of exceptions: a condition that makes no difference is one to remove.
package main

import (
	"flag"
	"fmt"
	"os"
	"regexp"
	"slices"
)

func main() {
	only := flag.String("only", "", "take only the changes whose name matches")
	parallel := flag.Int("parallel", 2, "how many tests run at once")
	own := flag.Bool("own", false, "run the packages' own tests alone, which is quick")
	list := flag.Bool("list", false, "list the changes, and run nothing")
	flag.Parse()
	pattern, err := regexp.Compile(*only)
	if err == nil {
		err = hunt(pattern, trial{parallel: *parallel, alone: *own}, *list)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "mutants:", err)
		os.Exit(1)
	}
}

func hunt(only *regexp.Regexp, t trial, list bool) error {
	all, err := everyMutant()
	if err != nil {
		return err
	}
	chosen := slices.DeleteFunc(all, func(m mutant) bool { return !only.MatchString(m.String()) })
	if os.Geteuid() != 0 && !list {
		return fmt.Errorf("only as root do the packages' tests see every condition")
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
	fmt.Printf("%d changes of a condition: the package's own tests notice %d, a black-box suite %d more, %d survive\n",
		len(chosen), report.own, report.suite, len(report.survivors))
	if len(report.survivors) > 0 {
		return fmt.Errorf("no test notices these:\n%s", report)
	}
	return nil
}
