package faultinjection

import (
	"flag"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"jacamar-ci/test/harness/setup/containers"
	"jacamar-ci/test/harness/site"
)

// The sweep is for `make test-faults`, which runs its parts in parallel.
var (
	whole = flag.Bool("sweep", false, "every point, not a sample")
	part  = flag.String("part", "0/1", "which part of the points, as number/parts")
	only  = flag.String("point", "", "one point, as a failed test names it, or all that begin so")
)

func TestMain(m *testing.M) {
	if err := containers.Enter(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(site.Main(m))
}

// sampled is how long a sample may take in each deployment.
const sampled = 3 * time.Second

// TestFaults injects faults into a job at points that are chosen at random, or with -sweep at all
// of them.
func TestFaults(t *testing.T) {
	harnesses(t, func(t *testing.T, r *harness) { r.tryPoints(t, r.points(t, looked(stages[:]))) })
}

// tryPoints injects faults at the points, or in a sample at some of them.
func (r *harness) tryPoints(t *testing.T, all []point) {
	t.Helper()
	var number, parts int
	if _, err := fmt.Sscanf(*part, "%d/%d", &number, &parts); err != nil {
		t.Fatal(err)
	}
	known := len(all)
	rand.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	if *whole {
		all = slices.DeleteFunc(all, func(p point) bool { return pointHash(p)/1000%r.share() != 0 })
	}
	c := count{begun: time.Now()}
	for _, p := range all {
		switch {
		case !strings.HasPrefix(p.String(), *only), *whole && pointHash(p)%parts != number:
			continue
		case *only == "" && !*whole && c.hit > 0 && c.time() > sampled:
			continue
		}
		hit, wrong := r.inject(p, 7*(pointHash(p)/parts%2))
		c.add(hit, wrong)
		if len(wrong) > 0 {
			t.Errorf("%s (injected: %v): %q", p, hit, wrong)
		}
	}
	fmt.Printf("faults: %s: %d of %d points tried, %d hit, %d violations, in %v\n", r.name(), c.tried, known, c.hit, c.violations, c.time())
	if c.hit == 0 {
		t.Error("no fault has happened")
	}
}

// pointHash is a permanent number of a point.
func pointHash(p point) int {
	h := fnv.New32a()
	fmt.Fprint(h, p)
	return int(h.Sum32() >> 1)
}

// count sums up the results of the points.
type count struct {
	tried, hit, violations int
	begun                  time.Time
}

func (c *count) add(hit bool, wrong []string) {
	c.tried++
	if hit {
		c.hit++
	}
	if len(wrong) > 0 {
		c.violations++
	}
	if c.tried%200 == 0 {
		fmt.Printf("faults: %d tried, in %v\n", c.tried, c.time())
	}
}

func (c *count) time() time.Duration { return time.Since(c.begun).Round(time.Second) }

// share is which part of all points the sweep takes: the deployments differ in few
// of them, and root's has them all. A fetch of an image takes long.
func (r *harness) share() int {
	switch {
	case r.contained != nil:
		return 16
	case r.deployment == "root":
		return 1
	}
	return 4
}

// looked are those of the stages in which calls are counted: a sample has one.
func looked(stages []string) []string {
	if *whole || *only != "" {
		return stages
	}
	return []string{stages[rand.IntN(len(stages))]}
}

// points are all of a deployment in these stages.
func (r *harness) points(t *testing.T, wanted []string) (all []point) {
	t.Helper()
	for _, p := range programs {
		for _, stage := range wanted {
			if !p.works(stage) {
				continue
			}
			counts, err := r.counts(p, stage)
			if err != nil {
				t.Fatal(err)
			}
			if len(counts) == 0 {
				t.Fatalf("nothing was traced of %s in %s", p, stage)
			}
			all = append(all, points(p, stage, counts)...)
		}
	}
	return all
}
