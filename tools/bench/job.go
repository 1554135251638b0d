package main

import (
	"fmt"
	"time"
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
		total, err := wholeJob(b.site)
		if err != nil {
			return err
		}
		calls = append(calls, total)
		beyond = append(beyond, total-time.Duration(len(runStages))*b.shells.median())
	}
	fmt.Printf("\nA job of 12 stages, each script `true`; %d jobs\n\n", jobs)
	fmt.Printf("in all calls of the driver     %s (%s)\n", millis(calls.median()), calls.spread())
	fmt.Printf("of it beyond the %d shells      %s (%s)\n", len(runStages), millis(beyond.median()), beyond.spread())
	return nil
}
