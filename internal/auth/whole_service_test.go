package auth

import (
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"jacamar-ci/internal/auth/internal/statedir"
	"jacamar-ci/internal/auth/internal/thread"
	"jacamar-ci/internal/ipc"
	"jacamar-ci/internal/job"
	"jacamar-ci/test/harness/testutil"
)

// TestHelperAccount: with file capabilities a job needs a helper account that separates. Root
// uses one if it exists, and another service none.
func TestHelperAccount(t *testing.T) {
	root, capable, none := deployments["root"], deployments["file capabilities"], deployments["none"]
	const helper = "auth.helper_account"
	for name, tt := range map[string]struct {
		deploy func(*place)
		config func(*place)
		change func(*place)
		want   string // part of what the user reads with -u, "" for a success
		as     string // what getent runs as, "" where that is not known
	}{
		"root":                        {root, with(), nil, "", "5990"},
		"root, it does not exist":     {root, with(helper, `"nosuch"`), nil, "", "0"},
		"root, root":                  {root, with(helper, `"root"`), nil, "", "0"},
		"root, of a person":           {root, with(helper, `"carol"`), nil, "carol: it has the login shell /bin/bash: run: usermod", ""},
		"root, damaged":               {root, with(), func(p *place) { p.write("passwd", strings.Replace(passwdFile, ":5990:5990:", ":x:y:", 1)) }, "cannot read accounts", ""},
		"capabilities":                {capable, with(), nil, "", "5990"},
		"capabilities, root":          {capable, with(helper, `"root"`), nil, "root: it is root", ""},
		"capabilities, not there":     {capable, with(helper, `"nosuch"`), nil, "nosuch: there is no such account in /etc/passwd: run: useradd", ""},
		"none, of a person":           {none, with(helper, `"carol"`), nil, "", "5991"},
		"setuid without capabilities": {func(p *place) { p.service = svcUID }, with(), func(p *place) { testutil.Must(p.t, os.Chown(p.path("state"), helperUID, -1)) }, "this process lacks CAP_SETUID and CAP_SETGID", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPlace(t, tt.deploy)
			p.getent("id -u >> " + p.path("asked"))
			tt.config(p)
			if tt.change != nil {
				tt.change(p)
			}
			o := p.call("open-config", p.path("jacamar.toml"), "", "")
			if (o.status == 0) != (tt.want == "") || !strings.Contains(o.errs, tt.want) {
				t.Errorf("%+v, want %q", o, tt.want)
			}
			if got := p.asked("5", "0"); tt.as != "" && (len(got) == 0 || got[0] != tt.as) {
				t.Errorf("getent ran as %q, want %s", got, tt.as)
			}
		})
	}
}

// TestReasonOfTheLostLog: where the state cannot be used because the deployment has lost its
// capabilities or its helper account, the runner's own log has that reason and its fix, and no
// advice to give the state to another account.
func TestReasonOfTheLostLog(t *testing.T) {
	for name, tt := range map[string]struct {
		change func(*place)
		want   string
	}{
		"capabilities": {func(p *place) { p.capable = false }, "this process lacks CAP_SETUID and CAP_SETGID"},
		"helper":       {with("auth.helper_account", `"nosuch"`), "nosuch: there is no such account in /etc/passwd: run: useradd"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPlace(t, deployments["file capabilities"])
			p.wantSuccess(job.Config)
			tt.change(p)
			p.configure()
			o := p.run(job.Cleanup)
			if o.status == 0 || !strings.Contains(o.errs, "cannot write the operator's log: ") || !strings.Contains(o.errs, tt.want) || strings.Contains(o.errs, "chown") {
				t.Errorf("%+v", o)
			}
		})
	}
}

// TestTrust: what the account of the service can write is trusted, except where this process
// has privileges that the account has not.
func TestTrust(t *testing.T) {
	for name, refused := range map[string]bool{"file capabilities": true, "none": false} {
		for _, file := range []string{"jacamar.toml", "map"} {
			t.Run(name+", "+file, func(t *testing.T) {
				t.Parallel()
				p := newPlace(t, deployments[name])
				p.write("map", "70 alice\n")
				with("auth.account_source", `"map"`, "auth.account_map", quoted(p.path("map")))(p)
				testutil.Must(t, os.Chown(p.path(file), svcUID, -1))
				if o := p.run(job.Config); (o.status != 0) != refused {
					t.Errorf("%+v", o)
				}
			})
		}
	}
}

// TestKeysProgramIsJudged: the program that fetches keys is not used where others can replace
// it.
func TestKeysProgramIsJudged(t *testing.T) {
	if path, err := (service{}).keysProgram(); err == nil { // below the directory for temporary files
		t.Errorf("%s is used", path)
	}
}

// TestPlaceOfTheState: without state_dir it is the packages' place for a process with
// privileges, and else the home of its account.
func TestPlaceOfTheState(t *testing.T) {
	for name, tt := range map[string]struct {
		of   service
		want string
	}{
		"root":              {service{}, "/var/lib/jacamar"},
		"file capabilities": {service{uid: 1, powers: true}, "/var/lib/jacamar"},
		"no privileges":     {service{uid: 1}, ""},
	} {
		d := &authDriver{service: tt.of}
		dir, err := d.findStateDir(t.Context())
		if got := dir.Path().String(); err != nil || strings.HasPrefix(got, "/var/lib/jacamar") != (tt.want != "") {
			t.Errorf("%s: %s, %v", name, got, err)
		}
	}
}

// TestStateInTheHome: an account that the machine's own files have is found without a name
// service, and another one by that.
func TestStateInTheHome(t *testing.T) {
	deploy := func(p *place) { deployments["none"](p); delete(p.config, "general.state_dir") }
	p := newPlace(t, deploy)
	testutil.Must(t, os.Mkdir(p.path("home"), 0o755), os.Rename(p.path("state"), p.path("home/.jacamar-state")), os.Symlink("home/.jacamar-state", p.path("state")), os.Chown(p.path("home"), svcUID, svcUID))
	local := strings.Replace(passwdFile, "/home/svc", p.path("home"), 1)
	p.write("passwd", local)
	p.getent("")
	p.wantSuccess(job.Config)
	p.asked()
	p.wantSuccess(job.Prepare)
	if got := p.asked("passwd"); len(got) > 0 {
		t.Errorf("it has queried %q", got)
	}
	p.write("passwd", strings.Replace(local, "svc:", "old:", 1))
	p.getent(`case "$*" in "passwd -- 5991"|"passwd -- svc") echo "svc:x:5991:5991::` + p.path("home") + `:/bin/bash"; exit;; "initgroups -- svc") echo svc; exit;; esac`)
	p.wantSuccess(job.Prepare)
}

// TestStateDirIsFoundOnce: a stage finds its state directory once for each account, and an
// administrator each time.
func TestStateDirIsFoundOnce(t *testing.T) {
	path := testutil.AbsPath(t, testutil.HomeDir(t))
	found, err := statedir.New(path, nil)
	testutil.Must(t, err)
	helper := &thread.IDs{UID: 1, GID: 1}
	for name, tt := range map[string]struct {
		kept   *keptDir
		helper *thread.IDs
		admin  bool
		path   job.AbsPath
		found  bool // again
		keeps  bool
	}{
		"first":               {nil, nil, false, path, true, true},
		"again":               {&keptDir{found, nil}, nil, false, path, false, true},
		"another account":     {&keptDir{found, nil}, helper, false, path, true, true},
		"of an administrator": {nil, nil, true, path, true, false},
	} {
		d := &authDriver{kept: tt.kept, service: service{helper: tt.helper, administers: tt.admin}}
		d.Site.General.StateDir = testutil.AbsPath(t, "/elsewhere")
		dir, err := d.stateDir(t.Context())
		if err != nil || (dir.Path().String() == "/elsewhere") != tt.found || (d.kept != nil) != tt.keeps {
			t.Errorf("%s: %s, %v, kept: %+v", name, dir.Path(), err, d.kept)
		}
	}
	d := &authDriver{service: service{uid: 4_000_000_000}} // an account that does not exist has no home
	if _, err := d.stateDir(t.Context()); err == nil || d.kept != nil {
		t.Errorf("%v, kept: %+v", err, d.kept)
	}
}

// TestFilterOfSystemCalls: jacamar has one unless the site has disabled it.
func TestFilterOfSystemCalls(t *testing.T) {
	p := newPlace(t)
	p.wantSuccess(job.Config)
	with("auth.seccomp.disabled", "true")(p)
	p.wantSuccess(job.Prepare)
	filtered, free := p.wantSent(job.Config).Filters, p.wantSent(job.Prepare).Filters
	if filtered != free+1 {
		t.Errorf("%d filters, and %d where it is disabled", filtered, free)
	}
}

// TestRootMakesTheDirectory: root makes the account's base directory where the site has
// configured that.
func TestRootMakesTheDirectory(t *testing.T) {
	p := newPlace(t, func(p *place) {
		p.config["auth.root_dir_creation"], p.config["general.data_dir"] = "true", quoted(p.path("data"))
	})
	testutil.Must(t, os.Mkdir(p.path("data"), 0o755))
	p.wantSuccess(job.Config)
	var st unix.Stat_t
	if err := unix.Stat(p.path("data/alice"), &st); err != nil || st.Uid != aliceUID {
		t.Errorf("%v, of uid %d", err, st.Uid)
	}
	testutil.Must(t, os.Chmod(p.path("data"), 0o777))
	if o := p.run(job.Config); o.status != systemFailed {
		t.Errorf("where others can write: %+v", o)
	}
	if _, ran := p.sent(job.Config); ran {
		t.Error("jacamar has run")
	}
}

// TestRefusedImage: a job whose image is refused does not run, and the operator reads which rule
// refuses it.
func TestRefusedImage(t *testing.T) {
	p := newPlace(t, with("general.run_mechanism", `"podman"`, "container.image_required", "true"))
	o := p.run(job.Config)
	rule, _ := p.refusal(0)
	if _, ran := p.sent(job.Config); o.status != buildFailed || ran || rule != "image_required" {
		t.Errorf("%+v, refused by %q", o, rule)
	}
}

// TestFailedConfig: the record of a job ends with a config stage that made nothing, and stays
// after one that may have made directories.
func TestFailedConfig(t *testing.T) {
	for name, tt := range map[string]struct {
		change func(*place)
		lives  int
	}{
		"before jacamar": {with("auth.jacamar_path", `"/usr/nosuch/jacamar"`), 0},
		"nothing made":   {func(p *place) { p.answers(job.Config, ipc.Result{Kind: "system", Reason: "no"}) }, 0},
		"made":           {func(p *place) { p.answers(job.Config, ipc.Result{Kind: "system", Reason: "no", Made: true}) }, 1},
		"no seal":        {func(p *place) { testutil.Must(p.t, os.WriteFile(p.path("state/seal.key"), []byte("short"), 0o600)) }, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPlace(t)
			tt.change(p)
			if o := p.run(job.Config); o.status != systemFailed || o.out != "" || len(p.lives()) != tt.lives {
				t.Errorf("%+v, %d live jobs", o, len(p.lives()))
			}
		})
	}
}

// TestLogOfTheSite: records go where the site has configured that.
func TestLogOfTheSite(t *testing.T) {
	t.Run("off", func(t *testing.T) {
		t.Parallel()
		p := newPlace(t, with("auth.logging.enabled", "false"))
		p.wantSuccess(job.Config)
		if len(p.records()) > 0 {
			t.Errorf("%v", p.records())
		}
	})
	t.Run("a file", func(t *testing.T) {
		t.Parallel()
		p := newPlace(t)
		with("auth.logging.location", quoted(p.path("named.log")))(p)
		p.wantSuccess(job.Config)
		if text, err := os.ReadFile(p.path("named.log")); len(p.records()) > 0 || err != nil || !strings.Contains(string(text), "stage_end") {
			t.Errorf("%v, %v: %s", p.records(), err, text)
		}
	})
	t.Run("none that can be written", func(t *testing.T) {
		t.Parallel()
		p := newPlace(t)
		with("auth.logging.location", quoted(p.path("state/named.log")))(p)
		testutil.Must(t, os.Mkdir(p.path("state/named.log"), 0o700))
		p.wantSuccess(job.Config)
		if o := p.run(job.Prepare); o.status != 0 || !strings.Contains(o.errs, "cannot write the operator's log (administrators") {
			t.Errorf("%+v", o)
		}
	})
	t.Run("a server", func(t *testing.T) {
		t.Parallel()
		server, err := net.ListenPacket("udp", "127.0.0.1:0")
		testutil.Must(t, err)
		defer server.Close()
		p := newPlace(t, with("auth.logging.network", `"udp"`, "auth.logging.address", quoted(server.LocalAddr().String())))
		p.wantSuccess(job.Config)
		wantRecord(t, server)
		if len(p.records()) > 0 {
			t.Errorf("%v", p.records())
		}
	})
	for location, socket := range map[string]string{"syslog": "log", "journald": "socket"} {
		t.Run(location, func(t *testing.T) {
			t.Parallel()
			p := newPlace(t, with("auth.logging.location", quoted(location), "auth.logging.level", `"info"`)) // the queue of a socket is short
			server := p.socket(socket)
			p.wantSuccess(job.Config)
			wantRecord(t, server)
			if len(p.records()) > 0 {
				t.Errorf("%v", p.records())
			}
		})
	}
}

// TestRecordWithoutConfiguration: a failure before the configuration has named the log is
// recorded in the machine's syslog, and no other one. What a person has mistyped is not.
func TestRecordWithoutConfiguration(t *testing.T) {
	p := newPlace(t, with("auth.user_blocklist", `["alice"]`))
	server := p.socket("log")
	p.run(job.Cleanup)
	p.run(job.Config)
	if _, reason := p.refusal(0); reason == "" {
		t.Error("a refusal by the rules is not in the log of the site")
	}
	p.write("jacamar.toml", "what")
	p.run(job.Config)
	if got := wantRecord(t, server); !strings.Contains(got, `"stage":"config"`) || strings.Contains(got, "alice") {
		t.Errorf("%s", got)
	}
	p.person = true
	p.call("misused", "", "", "")
	p.person = false
	if o := p.call("misused", "", "", ""); o.status != systemFailed {
		t.Errorf("%+v", o)
	}
	if got := wantRecord(t, server); !strings.Contains(got, "unknown option --what") || strings.Contains(got, `"exit":"ok"`) {
		t.Errorf("%s", got)
	}
}

// socket listens for records instead of a service of the machine.
func (p *place) socket(name string) net.PacketConn {
	p.t.Helper()
	server, err := net.ListenPacket("unixgram", p.path(name))
	testutil.Must(p.t, err, os.Chmod(p.path(name), 0o666))
	p.t.Cleanup(func() { server.Close() })
	return server
}

// wantRecord returns the next record of a stage's end.
func wantRecord(t *testing.T, server net.PacketConn) string {
	t.Helper()
	testutil.Must(t, server.SetReadDeadline(time.Now().Add(time.Minute)))
	for b := make([]byte, 64<<10); ; {
		n, _, err := server.ReadFrom(b)
		testutil.Must(t, err)
		if text := string(b[:n]); strings.Contains(text, "stage_end") {
			return text
		}
	}
}
