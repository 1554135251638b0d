package containers

import (
	"fmt"
	"os"
	"testing"

	"jacamar-ci/test/harness/fakerunner"
	"jacamar-ci/test/harness/images"
	"jacamar-ci/test/harness/setup/debian"
	"jacamar-ci/test/harness/site"
)

// withPostgres puts the image of PostgreSQL into the open registry.
func (w *world) withPostgres(t *testing.T) string {
	t.Helper()
	debian.Need(t, images.PostgresPrograms())
	w.postgres.Do(func() {
		var p images.Packed
		if p, w.postgresErr = images.Postgres(); w.postgresErr == nil {
			w.postgresName = w.own.Copy(p, "postgres", "")
		}
	})
	if w.postgresErr != nil {
		t.Fatal(w.postgresErr)
	}
	return w.postgresName
}

// meetingPlace is a directory that several jobs can write.
func (w *world) meetingPlace(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp(w.dir, "meet-")
	if err == nil {
		err = os.Chmod(dir, 0o777)
	}
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// A script uses a real PostgreSQL over its alias. Two such jobs run at once on one host,
// each with its own database on the same port: each waits until the other one has its
// table.
func TestPostgres(t *testing.T) {
	for i, e := range engines() {
		for _, x := range executors()[:2] {
			if testing.Short() && i > 0 {
				continue
			}
			t.Run(e.name+"/"+x.name, func(t *testing.T) {
				meet := theWorld(t).meetingPlace(t)
				r := openRig(t, e, x, func(c site.Config) { c.Set("container", "binds", []string{meet}) })
				r.usePostgres(t, meet)
			})
		}
	}
}

func (r *rig) usePostgres(t *testing.T, meet string) {
	t.Helper()
	name := r.withPostgres(t)
	var jobs []*fakerunner.Execution
	for n := range 2 {
		j := r.site.Job(lines(
			"query() { psql -h db -U postgres -A -t -c \"$1\"; }",
			fmt.Sprintf("query 'create table t%d as select 6*7 as answer'", n),
			fmt.Sprintf("touch %[1]s/made.%[2]d; for n in $(seq 1800); do [ ! -e %[1]s/made.%[3]d ] || break; sleep 0.1; done", meet, n, 1-n),
			fmt.Sprintf("echo \"answer $(query 'select answer from t%d'), tables $(query \"select count(*) from pg_tables where schemaname = 'public'\")\"", n),
			"echo \"cluster $(query 'show cluster_name')\""))
		j.Image, j.ImageEntrypoint, j.Bare = name, []string{""}, true
		j.Services = []fakerunner.Service{{Name: name, Alias: "db", Variables: []fakerunner.Variable{{Key: "CLUSTER", Value: fmt.Sprintf("of-job-%d", n)}}}}
		jobs = append(jobs, r.runner.Start(j))
	}
	for n, e := range jobs {
		site.Want(t, e.Wait(), fakerunner.Success, 0, "answer 42, tables 1", fmt.Sprintf("cluster of-job-%d", n))
	}
	r.nothingLeft(t)
}
