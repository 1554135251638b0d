package containers

import (
	"testing"

	"jacamar-ci/test/harness/fakerunner"
	"jacamar-ci/test/harness/site"
)

// service is one of the suite's images as a service.
func (r *rig) service(image, alias string) fakerunner.Service {
	return fakerunner.Service{Name: r.own.Host + "/" + image, Alias: alias}
}

// A script uses its service over the aliases of GitLab and of the job.
func TestService(t *testing.T) {
	over(t, func(t *testing.T, r *rig) {
		j := r.job("bb:1", lines("wget -q -O - http://db:8080/", "wget -q -O - http://127.0.0.1-web:8080/", "wget -q -O - http://127.0.0.1__web:8080/", "echo count $((6*7))"))
		j.Bare, j.Services = true, []fakerunner.Service{r.service("web:1", "db")}
		site.Want(t, r.run(t, j), fakerunner.Success, 0, "web-service\nweb-service\nweb-service\n", "count 42", "network of their own")
	})
}
