package authz

import (
	"errors"
	"fmt"
	"hash/fnv"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"jacamar-ci/test/harness/fakerunner"
	"jacamar-ci/test/harness/fakerunner/gitlab"
	"jacamar-ci/test/harness/setup/namespace"
	"jacamar-ci/test/harness/site"
	"jacamar-ci/test/harness/testutil"
)

// person is an account that exists in the tests' namespace only.
type person struct {
	uid, gid string // gid is the uid when empty
	shell    string // /bin/bash when empty
	// shadow is the password and what follows it; "*:19000:0:99999:7:::" when empty.
	shadow string
	// home is the state of its directory: valid (empty), "missing", or "another's".
	home string
	// groups are further groups, each made with the name as its member.
	groups []string
}

const usable = "*:19000:0:99999:7:::"

// people are every kind of account that a directory can hold.
var people = map[string]person{
	"ordinary":     {uid: "20001"},
	"Upper.Case-1": {uid: "20002"},
	"at@b.org":     {uid: "20003"},
	`DOM\back`:     {uid: "20004"},
	"1digit":       {uid: "20005"},
	"member":       {uid: "20006", groups: []string{"hpc", "ci-users"}},
	"guest":        {uid: "20007", groups: []string{"guests", "ci-users"}},
	"loner":        {uid: "20008"},
	"svc":          {uid: "20009"},
	"carol":        {uid: "20010"},
	"joiner":       {uid: "20011", groups: many("j", 65)},

	"toor":        {uid: "0"},
	"rootgroup":   {uid: "20100", gid: "0"},
	"nobody2":     {uid: "65534", gid: "20101"},
	"nogroup2":    {uid: "20102", gid: "65534"},
	"old16":       {uid: "65535"},
	"negative":    {uid: "2147483648"},
	"overflowing": {uid: "4294967294"},
	"minusone":    {uid: "4294967295"},
	"bigger":      {uid: "4294967296"},
	"minus":       {uid: "-1"},
	"octal":       {uid: "020103"},
	"minusgroup":  {uid: "20104", gid: "4294967295"},
	"system":      {uid: "150"},
	"below":       {uid: "777"},
	"first":       {uid: "20105"},
	"second":      {uid: "20105"},
	"unknowngid":  {uid: "20106", gid: "29999"},

	"locked":     {uid: "20200", shadow: "!$6$salt$hash:19000:0:99999:7:::"},
	"nopassword": {uid: "20201", shadow: "!:19000:0:99999:7:::"},
	"expired":    {uid: "20202", shadow: "*:19000:0:99999:7::1:"},
	"stale":      {uid: "20203", shadow: "$6$salt$hash:10000:0:30:7:0::"},
	"mustchange": {uid: "20204", shadow: "$6$salt$hash:10000:0:30:7:::"},
	"nologin":    {uid: "20205", shell: "/usr/sbin/nologin"},
	"false":      {uid: "20206", shell: "/bin/false"},
	"git":        {uid: "20207", shell: "/usr/bin/git-shell"},
	"dash":       {uid: "20208", shell: "/bin/dash"},
	"noshell":    {uid: "20209", shell: "none"},
	"homeless":   {uid: "20210", home: "missing"},
	"lodger":     {uid: "20211", home: "another's"},
	"relative":   {uid: "20212", home: "relative"},
}

func many(prefix string, n int) []string {
	out := make([]string, n)
	for i := range out {
		out[i] = fmt.Sprintf("%s%d", prefix, i)
	}
	return out
}

// peopleNamespace is the namespace with all of them, for the whole process.
var peopleNamespace struct {
	once sync.Once
	ns   *namespace.Namespace
	stop func()
	dir  string
	err  error
}

func inPeopleNamespace(t testing.TB) *namespace.Namespace {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root: it makes accounts, in a namespace of their own")
	}
	dir := common(t).Dir
	peopleNamespace.once.Do(func() { peopleNamespace.err = settle(dir) })
	testutil.Must(t, peopleNamespace.err)
	return peopleNamespace.ns
}

// settle writes the account files again, inside.
func settle(dir string) (err error) {
	if peopleNamespace.ns, peopleNamespace.stop, err = namespace.Open(); err != nil {
		return err
	}
	peopleNamespace.dir = filepath.Join(dir, "homes")
	if err := errors.Join(os.Mkdir(peopleNamespace.dir, 0o755), os.Chmod(peopleNamespace.dir, 0o755)); err != nil {
		return err
	}
	passwd, shadow, group, err := machineFiles()
	if err != nil {
		return err
	}
	gid := 30000
	for _, name := range slices.Sorted(maps.Keys(people)) { // of two names with one uid the first owns it
		p := people[name]
		passwd, shadow = passwd+p.passwd(name), shadow+p.shadowLine(name)
		if p.gid == "" {
			group += fmt.Sprintf("%s-own:x:%s:\n", strings.ToLower(strings.NewReplacer("@", "-", `\`, "-", ".", "-").Replace(name)), p.uid)
		}
		for _, g := range p.groups {
			if !strings.Contains(group, "\n"+g+":") {
				gid++
				group += fmt.Sprintf("%s:x:%d:\n", g, gid)
			}
			group = join(group, g, name)
		}
		if err := p.settleHome(name); err != nil {
			return err
		}
	}
	return errors.Join(
		peopleNamespace.ns.Put("/etc/passwd", passwd, 0o644), peopleNamespace.ns.Put("/etc/shadow", shadow, 0o600), peopleNamespace.ns.Put("/etc/group", group, 0o644),
		peopleNamespace.ns.Put("/etc/nsswitch.conf", "passwd: files\ngroup: files\nshadow: files\nhosts: files dns\n", 0o644),
	)
}

// join makes name a member of group g.
func join(file, g, name string) string {
	lines := strings.SplitAfter(file, "\n")
	for i, l := range lines {
		if strings.HasPrefix(l, g+":") {
			l = strings.TrimSuffix(l, "\n")
			if !strings.HasSuffix(l, ":") {
				l += ","
			}
			lines[i] = l + name + "\n"
		}
	}
	return strings.Join(lines, "")
}

func machineFiles() (passwd, shadow, group string, err error) {
	for _, f := range []struct {
		path string
		text *string
	}{{"/etc/passwd", &passwd}, {"/etc/shadow", &shadow}, {"/etc/group", &group}} {
		b, rerr := os.ReadFile(f.path)
		*f.text, err = string(b), errors.Join(err, rerr)
	}
	return passwd, shadow, group, err
}

func (p person) passwd(name string) string {
	gid, shell, home := p.gid, p.shell, filepath.Join(peopleNamespace.dir, name)
	if gid == "" {
		gid = p.uid
	}
	switch shell {
	case "":
		shell = "/bin/bash"
	case "none":
		shell = ""
	}
	if p.home == "relative" {
		home = "home/" + name
	}
	return fmt.Sprintf("%s:x:%s:%s::%s:%s\n", name, p.uid, gid, home, shell)
}

func (p person) shadowLine(name string) string {
	if p.shadow == "" {
		return name + ":" + usable + "\n"
	}
	return name + ":" + p.shadow + "\n"
}

func (p person) settleHome(name string) error {
	home := filepath.Join(peopleNamespace.dir, name)
	uid, err := strconv.ParseUint(p.uid, 10, 32)
	switch {
	case p.home == "missing" || p.home == "relative" || err != nil:
		return nil
	case p.home == "another's":
		uid = 4242
	case uid == 1<<32-1: // chown would leave it as it is
		return nil
	}
	return errors.Join(os.Mkdir(home, 0o700), os.Chown(home, int(uid), int(uid)))
}

// by makes a job that a user of GitLab caused.
func by(login string) func(*site.Site) fakerunner.Job {
	return func(s *site.Site) fakerunner.Job {
		h := fnv.New32()
		_, _ = h.Write([]byte(login))
		return caused(s, gitlab.User{ID: int64(h.Sum32()) + 1, Login: login, Email: "x@example.org"})
	}
}

func caused(s *site.Site, u gitlab.User) fakerunner.Job {
	j := s.Job("id -un", "echo groups $(id -G)", "grep -E '^(Cap|NoNew)' /proc/self/status")
	j.UserID = u.ID
	return s.WithClaims(j, s.GitLab.Claims(j, u))
}

// in creates a runner whose driver runs in a namespace.
func in(ns *namespace.Namespace, s *site.Site) *fakerunner.Runner {
	r := s.Runner()
	for _, argv := range []*[]string{&r.Custom.Config, &r.Custom.Prepare, &r.Custom.Run, &r.Custom.Cleanup} {
		*argv = ns.Enter(*argv...)
	}
	return r
}

// peopleAttempts are attempts in that namespace.
func peopleAttempts(t *testing.T, all []attempt) {
	t.Helper()
	ns := inPeopleNamespace(t)
	for i := range all {
		all[i].runner = func(s *site.Site) *fakerunner.Runner { return in(ns, s) }
	}
	attempts(t, all)
}
