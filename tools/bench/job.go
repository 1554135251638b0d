package main

import (
	"fmt"
	"time"

	"jacamar-ci/test/harness/fakerunner"
)

// runStages are the run stages of a job with all features: with config, prepare and
// cleanup they are twelve.
var runStages = []string{
	"prepare_script", "get_sources", "restore_cache", "download_artifacts", "build_script", "after_script",
	"archive_cache", "upload_artifacts_on_success", "cleanup_file_variables",
}

// wholeJobs measures the time that a job spends in the driver's calls and subtracts
// that of the shells alone.
func (b *benchmark) wholeJobs() error {
	const jobs = 20
	var calls, beyond sample
	for range jobs {
		total, n, err := b.wholeJob()
		if err != nil {
			return err
		}
		calls = append(calls, total)
		beyond = append(beyond, total-time.Duration(n)*b.shells.median())
	}
	fmt.Printf("\nA job of 12 stages, each script `true`; %d jobs\n\n", jobs)
	fmt.Printf("in all calls of the driver     %s (%s)\n", millis(calls.median()), calls.spread())
	fmt.Printf("of it beyond the %d shells      %s (%s)\n", len(runStages), millis(beyond.median()), beyond.spread())
	return nil
}

func (b *benchmark) wholeJob() (total time.Duration, scripts int, err error) {
	j := b.site.Job("true")
	j.Raw = map[string][]byte{}
	for _, stage := range runStages {
		j.Raw[stage] = []byte("true\n")
	}
	result := b.site.Runner().Run(j)
	if result.Outcome != fakerunner.Success {
		return 0, 0, fmt.Errorf("the job ended as %s: %s\n%s", result.Outcome, result.Reason, result.Trace)
	}
	for _, c := range result.Calls {
		total += c.Duration
	}
	if len(result.Calls) != len(runStages)+3 {
		return 0, 0, fmt.Errorf("the job had the stages %v", result.Stages())
	}
	return total, len(runStages), nil
}
