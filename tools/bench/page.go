package main

import (
	"fmt"
	"os"
	"path/filepath"
	"time"

	"jacamar-ci/internal/job"
	"jacamar-ci/internal/journal"
	"jacamar-ci/internal/proctree"
)

const (
	// pageJobs is how many live jobs the page has, with two events for each of their stages.
	pageJobs   = 500
	pageStages = 12
	// pageRounds is how often it is written.
	pageRounds = 20
)

// page measures how long jacamar-admin needs to write the page, JSON and metrics.
func (b *benchmark) page() error {
	if err := timed(b.site, func(string, time.Duration) {}); err != nil { // it makes the journal
		return err
	}
	if err := b.fillJournal(); err != nil {
		return err
	}
	out, err := os.MkdirTemp(b.site.Dir, "page-")
	if err != nil {
		return err
	}
	write := plain(b.site.Admin, "status", "--configuration", b.site.ConfigFile, "--html", filepath.Join(out, "index.html"),
		"--json", filepath.Join(out, "status.json"), "--metrics", filepath.Join(out, "jacamar.prom"), "--counters", filepath.Join(out, "counters.json"))
	var took, cpu sample
	for range pageRounds {
		begin := time.Now()
		used, err := processorTime(write, 0)
		if err != nil {
			return err
		}
		took, cpu = append(took, time.Since(begin)), append(cpu, used)
	}
	fmt.Printf("\nThe status page of %d live jobs of %d events; %d rounds\n\n", pageJobs, 2*pageStages+1, pageRounds)
	fmt.Printf("wall clock  %s (%s)\nprocessor   %s (%s)\n", millis(took.median()), took.spread(), millis(cpu.median()), cpu.spread())
	return nil
}

// fillJournal makes the live jobs.
func (b *benchmark) fillJournal() error {
	dir, err := job.ParseAbsPath(filepath.Join(b.site.StateDir, "journal"))
	if err != nil {
		return err
	}
	host, err := os.Hostname()
	if err != nil {
		return err
	}
	j, err := journal.Open(dir, host)
	if err != nil {
		return err
	}
	defer j.Close()
	self, _ := proctree.Find(os.Getpid())
	for n := range pageJobs {
		events := []journal.Event{journal.At(time.Now(), journal.Granted, journal.Context{Account: "alice", Project: "climate/icon", Executor: "slurm", Owner: &self})}
		for range pageStages {
			events = append(events, journal.At(time.Now(), journal.Stage, journal.Context{Stage: "build_script"}), journal.At(time.Now(), journal.StageEnd, journal.Context{Stage: "build_script", Exit: "ok"}))
		}
		l, err := j.Create(journal.Key{UID: 1, Project: 2, Job: job.ID(n + 1)}, events...)
		if err != nil {
			return err
		}
		if err := l.Close(); err != nil {
			return err
		}
	}
	return nil
}
