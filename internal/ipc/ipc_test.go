package ipc

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"jacamar-ci/internal/failure"
	"jacamar-ci/internal/job"
	"jacamar-ci/internal/proctree"
	"jacamar-ci/internal/rlimit"
	"jacamar-ci/internal/seccomp"
	"jacamar-ci/internal/settings"
)

func sample(t testing.TB, sub job.SubStage) Request {
	t.Helper()
	name, err := job.ParseUsername("alice")
	if err != nil {
		t.Fatal(err)
	}
	home, err := job.ParseAbsPath("/home/alice")
	if err != nil {
		t.Fatal(err)
	}
	pair, err := job.ParseEnv("A=b c")
	if err != nil {
		t.Fatal(err)
	}
	nofile, err := rlimit.ParseRange("10:20")
	if err != nil {
		t.Fatal(err)
	}
	ptrace, err := seccomp.ParseCall("ptrace")
	if err != nil {
		t.Fatal(err)
	}
	return Request{
		Version: Version, Stage: job.Run, SubStage: sub,
		Account: job.Account{Name: name, UID: 1000, GID: 100, Groups: job.GIDs{100, 200}, Home: home, Shell: home},
		Job:     Job{ID: 7, Runner: "abc", Project: "group/project", Timeout: 3600, Owner: proctree.Process{PID: 1, Start: 2, Boot: "b"}},
		Settings: Settings{
			General: settings.General{Executor: settings.Shell, UserBashEnv: []job.Env{pair}, LoginShells: settings.LoginPerJob, KillTimeout: time.Minute}, DataDir: "$HOME", Downscope: settings.Setuid,
			Confinement: settings.Confinement{NoNewPrivs: true, Limits: settings.Limits{NoFile: nofile}, Seccomp: settings.Seccomp{BlockCalls: []seccomp.Call{ptrace}}},
			Batch:       &Batch{Batch: settings.Batch{CommandDelay: time.Second}, Rules: []BatchRule{{Name: "r", RuleArgs: settings.RuleArgs{Args: []string{"-x"}}}}},
		},
		Dirs: Dirs{Builds: home, Cache: home, Scripts: home},
	}
}

var exported = cmp.AllowUnexported(job.Username{}, job.AbsPath{}, job.Env{}, rlimit.Range{}, seccomp.Call{})

// conversation connects the two ends.
func conversation(t *testing.T) (*ParentConn, net.Conn, net.Conn) {
	t.Helper()
	a, j := net.Pipe()
	t.Cleanup(func() { a.Close(); j.Close() })
	return NewParentConn(a), a, j
}

func TestRequestAndScriptArrive(t *testing.T) {
	script := append(bytes.Repeat([]byte("x\x00\r\n"), 1<<20), "no newline at the end"...)
	for name, tc := range map[string]struct {
		sub    job.SubStage
		script []byte
	}{
		"run":          {job.BuildScript, script},
		"empty script": {job.BuildScript, nil},
		"other stage":  {"", nil},
	} {
		t.Run(name, func(t *testing.T) {
			auth, _, conn := conversation(t)
			sent := make(chan error, 1)
			go func() { sent <- auth.Send(sample(t, tc.sub), tc.script) }()
			_, r, got, err := Accept(conn)
			if err := errors.Join(err, <-sent); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(sample(t, tc.sub), r, exported, cmpopts.EquateEmpty()); diff != "" {
				t.Error(diff)
			}
			if !bytes.Equal(got, tc.script) {
				t.Errorf("the script has %d bytes, want %d", len(got), len(tc.script))
			}
		})
	}
}

func TestOrders(t *testing.T) {
	auth, theirs, conn := conversation(t)
	end := NewChildConn(conn)
	go func() {
		_ = auth.Terminate()
		_ = auth.Terminate()
		theirs.Close()
	}()
	for i, want := range []Control{Terminate, Terminate, ParentGone, ParentGone} {
		if got := end.Next(); got != want {
			t.Errorf("order %d is %v, want %v", i, got, want)
		}
	}
	auth, theirs, conn = conversation(t)
	_ = auth
	go func() { _, _ = theirs.Write([]byte("B\x00\x00\x00\x00")) }()
	if got := NewChildConn(conn).Next(); got != ParentGone {
		t.Errorf("nonsense is taken for %v", got)
	}
}

func TestResults(t *testing.T) {
	dirs := sample(t, "").Dirs
	for name, tc := range map[string]struct {
		err  error
		kind failure.Kind
		code int
		user string // what the job's user reads, "" for anything
	}{
		"success":         {nil, failure.System, 0, ""},
		"exit 7":          {failure.Exit(7), failure.Build, 7, "the job's script ended with exit code 7"},
		"build, no code":  {failure.Buildf("no such partition"), failure.Build, 0, "no such partition"},
		"quota":           {failure.Systemf("disk full").WithHint("remove files"), failure.System, 0, "disk full"},
		"unknown error":   {errors.New("boom"), failure.System, 0, "this CI resource could not run the job"},
		"private":         {failure.Privatef("boom"), failure.System, 0, "this CI resource could not run the job"},
		"wrapped":         {fmt.Errorf("boom: %w", failure.Systemf("disk full")), failure.System, 0, "disk full"},
		"very long":       {failure.Systemf("%s", strings.Repeat("x", 1<<20)), failure.System, 0, ""},
		"denied is plain": {failure.Deniedf("boom"), failure.System, 0, "this CI resource could not run the job"},
	} {
		t.Run(name, func(t *testing.T) {
			auth, _, conn := conversation(t)
			go func() { _ = NewChildConn(conn).Report(ResultOf(tc.err, dirs)) }()
			r, err := auth.Result(nil)
			if err != nil {
				t.Fatal(err)
			}
			got := r.Err()
			if (got == nil) != (tc.err == nil) || failure.KindOf(got) != tc.kind {
				t.Errorf("arrived as %v", got)
			}
			if code, _ := failure.ScriptCode(got); code != tc.code {
				t.Errorf("code %d, want %d", code, tc.code)
			}
			if line, _ := failure.ForUser(got, false, ""); tc.user != "" && line != tc.user {
				t.Errorf("the user reads %q, want %q", line, tc.user)
			}
			if tc.err != nil && !strings.Contains(tc.err.Error(), strings.TrimSuffix(got.Error(), "…")) {
				t.Errorf("the operator reads %q of %q", got, tc.err)
			}
			if tc.err == nil && r.Dirs != dirs {
				t.Errorf("directories are %v", r.Dirs)
			}
		})
	}
}

// TestLongReasonsEndWithAWholeCharacter sends texts whose limit falls into each
// byte of a character.
func TestLongReasonsEndWithAWholeCharacter(t *testing.T) {
	for shift := range utf8.UTFMax {
		text := strings.Repeat("x", shift) + strings.Repeat("😀", reasonLength)
		r := ResultOf(failure.Systemf("%s", text).WithHint("%s", text), Dirs{})
		for _, got := range []string{r.Reason, r.Hint} {
			kept, marked := strings.CutSuffix(got, "…")
			if !marked || !utf8.ValidString(kept) || !strings.HasPrefix(text, kept) || len(kept) > reasonLength {
				t.Errorf("shifted by %d: %d bytes are kept, the last of them %q", shift, len(kept), kept[len(kept)-4:])
			}
		}
	}
}

func TestNoResultIsTheEndOfTheStream(t *testing.T) {
	auth, _, conn := conversation(t)
	conn.Close()
	if _, err := auth.Result(nil); err != io.EOF {
		t.Errorf("got %v, want io.EOF", err)
	}
}

// frame builds the bytes of a frame as a hostile peer might.
func frame(kind byte, length uint32, payload string) string {
	return string([]byte{kind, byte(length >> 24), byte(length >> 16), byte(length >> 8), byte(length)}) + payload
}

func TestHostileBytes(t *testing.T) {
	sound := sample(t, "")
	sound.Version = Version
	with := func(change func(*Request)) string {
		r := sound
		change(&r)
		return request(t, r)
	}
	good := string(encoded(t, sound))
	if _, _, _, err := Accept(rw(requestFrameOf(good))); err != nil {
		t.Fatalf("the sample itself is refused: %v", err)
	}
	renamed := func(old, text string) string {
		prefixed := func(s string) string { return string(appendBytes(nil, s)) }
		if strings.Count(good, prefixed(old)) == 0 {
			t.Fatalf("%q is not in the sample", old)
		}
		return requestFrameOf(strings.Replace(good, prefixed(old), prefixed(text), 1))
	}
	for name, text := range map[string]string{
		"empty":             "",
		"half a header":     "B\x00",
		"unknown type":      frame('X', 0, ""),
		"too long":          frame('B', 2<<20+1, ""),
		"cut off":           frame('B', 10, "{}"),
		"wrong order":       frame('S', 0, ""),
		"no message":        requestFrameOf("abc"),
		"nothing":           requestFrameOf(""),
		"one byte more":     requestFrameOf(good + "\x00"),
		"one byte less":     requestFrameOf(good[:len(good)-1]),
		"unknown executor":  with(func(r *Request) { r.Settings.Executor = "cow" }),
		"unknown scope":     with(func(r *Request) { r.Settings.Downscope = "all" }),
		"other version":     with(func(r *Request) { r.Version = 1 }),
		"version with JSON": requestFrameOf(`{"version":4,"stage":"config"}`),
		"unchecked name":    renamed("alice", "../root"),
		"numeric name":      renamed("alice", "0"),
		"relative home":     renamed("/home/alice", "tmp"),
		"unknown stage":     with(func(r *Request) { r.Stage = "destroy" }),
		"hostile substage":  with(func(r *Request) { r.SubStage = "../x" }),
	} {
		t.Run(name, func(t *testing.T) {
			if _, _, _, err := Accept(rw(text)); err == nil || err == io.EOF {
				t.Errorf("accepted (%v)", err)
			}
		})
	}
	dirs := strings.Replace(result(t, Result{Dirs: sound.Dirs}), "\x0b/home/alice", "\x0b./home/alic", 1)
	for name, text := range map[string]string{
		"wrong type":       frame('B', 0, ""),
		"no message":       frame('R', 1, "x"),
		"code 256":         result(t, Result{Kind: "build", Code: 256, Reason: "x"}),
		"negative code":    result(t, Result{Kind: "build", Code: -1, Reason: "x"}),
		"code of a system": result(t, Result{Kind: "system", Code: 7, Reason: "x"}),
		"no reason":        result(t, Result{Kind: "system"}),
		"another kind":     result(t, Result{Kind: "denied", Reason: "x"}),
		"code of success":  result(t, Result{Code: 7}),
		"hostile dirs":     dirs,
	} {
		t.Run("result "+name, func(t *testing.T) {
			if r, err := NewParentConn(rw(text)).Result(nil); err == nil {
				t.Errorf("accepted as %+v", r)
			}
		})
	}
}

func encoded(t testing.TB, message any) []byte {
	t.Helper()
	text, err := encode(message)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func framed(t testing.TB, k kind, message any) string {
	t.Helper()
	text := encoded(t, message)
	return frame(byte(k), uint32(len(text)), string(text))
}

func request(t testing.TB, r Request) string { t.Helper(); return framed(t, requestFrame, r) }
func result(t testing.TB, r Result) string   { t.Helper(); return framed(t, resultFrame, r) }

func requestFrameOf(text string) string { return frame('B', uint32(len(text)), text) }

func rw(text string) io.ReadWriter {
	return struct {
		io.Reader
		io.Writer
	}{strings.NewReader(text), io.Discard}
}

func TestTooMuchIsNotSent(t *testing.T) {
	b := sample(t, job.BuildScript)
	if err := NewParentConn(rw("")).Send(b, make([]byte, job.MaxScript+1)); err == nil {
		t.Error("a script over the limit was sent")
	}
	b.Settings.Message = strings.Repeat("x", 2<<20)
	if err := NewParentConn(rw("")).Send(b, nil); err == nil {
		t.Error("a request over the limit was sent")
	}
}

func FuzzAccept(f *testing.F) {
	var b bytes.Buffer
	if err := NewParentConn(&b).Send(sample(f, job.BuildScript), []byte("echo")); err != nil {
		f.Fatal(err)
	}
	f.Add(b.Bytes())
	f.Fuzz(func(t *testing.T, text []byte) {
		_, r, script, err := Accept(rw(string(text)))
		if err == nil && (r.Version != Version || len(script) > len(text)) {
			t.Errorf("accepted %+v", r)
		}
	})
}

func FuzzResult(f *testing.F) {
	f.Add([]byte(result(f, Result{Kind: "build", Code: 7, Reason: "x"})))
	f.Fuzz(func(t *testing.T, text []byte) {
		r, err := NewParentConn(rw(string(text))).Result(nil)
		if code, ok := failure.ScriptCode(r.Err()); err == nil && ok && (code < 1 || code > 255) {
			t.Errorf("code %d", code)
		}
	})
}

// TestLeftovers: what could not be removed arrives, bounded on both sides.
func TestLeftovers(t *testing.T) {
	var left []Leftover
	for range 50 {
		left = append(left, Leftover{Path: "/" + strings.Repeat("<", 5000), Reason: strings.Repeat("\x01", 5000)})
	}
	for name, err := range map[string]error{"success": nil, "failure": failure.Systemf("%s", strings.Repeat("<", 1<<20)).WithHint("%s", strings.Repeat("<", 1<<20))} {
		t.Run(name, func(t *testing.T) {
			auth, _, conn := conversation(t)
			sent := make(chan error, 1)
			go func() { sent <- NewChildConn(conn).Report(ResultOf(err, sample(t, "").Dirs).WithLeft(left)) }()
			r, rerr := auth.Result(nil)
			if err := errors.Join(rerr, <-sent); err != nil {
				t.Fatal(err)
			}
			if len(r.Left) != maxLeft || len(r.Left[0].Path) != leftoverLength || len(r.Left[0].Reason) != leftoverLength {
				t.Errorf("%d arrive, the first has %d and %d bytes", len(r.Left), len(r.Left[0].Path), len(r.Left[0].Reason))
			}
		})
	}
	r, err := decodeResult(encoded(t, Result{Left: make([]Leftover, 500)}))
	if err != nil || len(r.Left) != maxLeft {
		t.Errorf("of a hostile peer arrive %d, %v", len(r.Left), err)
	}
}
