package ending

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"jacamar-ci/test/harness/fakerunner"
	"jacamar-ci/test/harness/setup/namespace"
	"jacamar-ci/test/harness/site"
)

// proc are mount options of /proc (proc(5)).
type proc string

const (
	open       proc = "hidepid=0"
	closed     proc = "hidepid=1"
	invisible  proc = "hidepid=2"
	ptraceable proc = "hidepid=4"
	pidsAlone  proc = "hidepid=2,subset=pid"
)

// place is a site whose driver has a /proc of its own. This process keeps the machine's,
// which shows all processes.
type place struct {
	site *site.Site
	proc proc
	ns   *namespace.Namespace
	// getent replaces the machine's during a job, "" for no change.
	getent string
}

// under mounts a new /proc in a namespace of the test's own. To remount the present
// one would change it for the whole machine: the options are the file system's.
func under(t *testing.T, s *site.Site, p proc) place {
	t.Helper()
	if os.Geteuid() != 0 {
		return place{site: s, proc: p}
	}
	ns := namespace.Start(t)
	if _, err := ns.Run("mount", "-t", "proc", "-o", string(p), "proc", "/proc"); err != nil {
		t.Fatal(err)
	}
	return place{site: s, proc: p, ns: ns}
}

// runner is the site's, whose driver is in the namespace.
func (p place) runner() *fakerunner.Runner {
	r := p.site.Runner()
	if p.ns != nil {
		r.Hooks.Launch = func(string) []string { return p.ns.Enter(p.become()...) }
	}
	return r
}

// become starts a program as the runner's account, by root.
func (p place) become() []string {
	a := p.site.Service()
	if a == nil {
		return nil
	}
	groups := make([]string, len(a.Groups))
	for i, g := range a.Groups {
		groups[i] = fmt.Sprint(g)
	}
	return []string{
		"/usr/bin/setpriv", fmt.Sprintf("--reuid=%d", a.UID), fmt.Sprintf("--regid=%d", a.GID), "--groups=" + strings.Join(groups, ","),
		"--inh-caps=-all", "--",
	}
}

// ours picks the processes of a site, the sudos among them.
func ours(s *site.Site) site.Match {
	own, started := s.Own(), site.Marked(s.Jacamar)
	return func(p site.Process) bool { return own(p) || started(p) }
}
