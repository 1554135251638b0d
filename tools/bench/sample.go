package main

import (
	"fmt"
	"slices"
	"time"

	"jacamar-ci/test/harness/site"
)

// sample holds the measurements of one subject.
type sample []time.Duration

// quantile returns the value that the share q of all values does not exceed.
func (s sample) quantile(q float64) time.Duration {
	if len(s) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(s))
	return sorted[int(q*float64(len(sorted)-1)+0.5)]
}

func (s sample) median() time.Duration { return s.quantile(0.5) }

func (s sample) spread() string {
	return fmt.Sprintf("%s to %s", millis(s.quantile(0.1)), millis(s.quantile(0.9)))
}

func millis(d time.Duration) string { return fmt.Sprintf("%.2f ms", d.Seconds()*1000) }

// takeTurns runs all subjects once a round, after some rounds that do not count. What the
// stages of a site extend has the same size before each round (keepSizes).
func takeTurns(of *site.Site, subjects []subject, rounds int) ([]sample, error) {
	const warmUp = 5
	samples, restore := make([]sample, len(subjects)), keepSizes(of)
	for round := range warmUp + rounds {
		if err := restore(); err != nil {
			return nil, err
		}
		for i, s := range subjects {
			took, err := s.run()
			if err != nil {
				return nil, err
			}
			if round >= warmUp {
				samples[i] = append(samples[i], took)
			}
		}
	}
	return samples, nil
}
