package state

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"jacamar-ci/internal/auth/internal/policy"
	"jacamar-ci/internal/failure"
	"jacamar-ci/internal/ipc"
	"jacamar-ci/internal/job"
	"jacamar-ci/internal/passwd"
	"jacamar-ci/test/harness/testutil"
)

func parsed[T any](t testing.TB, parse func(string) (T, error), text string) T {
	t.Helper()
	v, err := parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func keyOf(fill byte) Key {
	k := Key{new([keySize]byte)}
	for i := range k.secret {
		k.secret[i] = fill
	}
	return k
}

var own = Job{ID: 42, Project: 12, Service: 998, Downscope: "setuid"}

// full returns a state with every member set.
func full(t testing.TB) State {
	path := func(s string) job.AbsPath { return parsed(t, job.ParseAbsPath, s) }
	name := func(s string) job.Username { return parsed(t, job.ParseUsername, s) }
	unnamed := job.GID(2000)
	return State{
		Job: own, TokenID: "0a1b2c3d",
		Facts: policy.Facts{
			Account: job.Account{Name: name("alice"), UID: 1001, GID: 1001, Groups: job.GIDs{1001, 2000}, Home: path("/home/alice"), Shell: path("/bin/bash")},
			Groups:  policy.Groups{Compared: "lists", Allowed: 1, Blocked: 2, Unnamed: &unnamed, Unknown: 3},
			Aging:   passwd.Aging{Known: true}, Owner: name("alice"), Shells: []job.AbsPath{path("/bin/bash")}, Service: 998,
		},
		RunAs: Delegation{Called: true, Target: name("svc"), Named: name("carol"), DataDir: path("/data"), Message: "hello"},
		Dirs:  ipc.Dirs{Base: path("/home/alice/.jacamar-ci"), Builds: path("/b"), Cache: path("/c"), Scripts: path("/s")},
	}
}

const file = "/etc/gitlab-runner/jaca mar%.toml"

func seal(t testing.TB) string {
	t.Helper()
	text, err := full(t).Seal(keyOf(1), parsed(t, job.ParseAbsPath, file))
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// reopen opens a state as a later stage does.
func reopen(text string, key Key, of Job) (State, error) {
	s, err := Parse(text)
	if err != nil {
		return State{}, err
	}
	return s.Open(key, of)
}

func TestSealAndOpen(t *testing.T) {
	text := seal(t)
	s, err := Parse(text)
	if err != nil || s.Configuration().String() != file {
		t.Fatalf("%v, configuration %q", err, s.Configuration())
	}
	got, err := s.Open(keyOf(1), own)
	if err != nil {
		t.Fatal(err)
	}
	if want := full(t); !reflect.DeepEqual(got, want) {
		t.Errorf("opened\n%+v, want\n%+v", got, want)
	}
	if again := seal(t); again != text {
		t.Errorf("sealed once more it is %s, was %s", again, text)
	}
}

func refused(t *testing.T, name string, err error, want string) {
	t.Helper()
	line, hint := failure.ForUser(err, false, "")
	if err == nil || failure.KindOf(err) != failure.Denied || !strings.Contains(line, want) || !strings.Contains(hint, "retry") {
		t.Errorf("%s: %v; the user reads %q, %q; want a refusal with %q", name, err, line, hint, want)
	}
}

func TestOpenOnlyForSameJob(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*Job)
		want   string
	}{
		"job":       {func(j *Job) { j.ID = 43 }, "belongs to job 42, not to job 43"},
		"project":   {func(j *Job) { j.Project = 13 }, "belongs to project 12, not to project 13"},
		"service":   {func(j *Job) { j.Service = 0 }, "created by uid 998, but this is uid 0"},
		"downscope": {func(j *Job) { j.Downscope = "sudo" }, "auth.downscope changed from setuid to sudo during the job"},
	} {
		of := own
		c.change(&of)
		_, err := reopen(seal(t), keyOf(1), of)
		refused(t, name, err, c.want)
	}
	_, err := reopen(seal(t), keyOf(2), own)
	refused(t, "another key", err, "sealed with another key")
}

func other(v any) any {
	switch v := v.(type) {
	case string:
		return v + "x"
	case float64:
		return v + 1
	case bool:
		return !v
	}
	return "x"
}

// TestEveryMemberIsSealed changes and removes each member in the JSON text.
func TestEveryMemberIsSealed(t *testing.T) {
	text := seal(t)
	body := strings.Index(text, "{")
	var doc map[string]any
	decode := func() map[string]any {
		doc = nil
		if err := json.Unmarshal([]byte(text[body:]), &doc); err != nil {
			t.Fatal(err)
		}
		return doc
	}
	var paths []string
	testutil.Leaves(decode(), func(path string, _ any, _ func(any)) { paths = append(paths, path) })
	if len(paths) < 25 {
		t.Errorf("the state has %d values: %q", len(paths), paths)
	}
	for _, chosen := range paths {
		decode()
		testutil.Leaves(doc, func(path string, v any, replace func(any)) {
			if path == chosen {
				replace(other(v))
			}
		})
		changed, err := json.Marshal(doc)
		if err != nil {
			t.Fatal(err)
		}
		_, err = reopen(text[:body]+string(changed), keyOf(1), own)
		refused(t, chosen, err, "was changed")
	}
}

// TestEveryByteIsSealed changes, removes and repeats each byte.
func TestEveryByteIsSealed(t *testing.T) {
	text := seal(t)
	for i := range text {
		for _, changed := range []string{
			text[:i] + string(text[i]^1) + text[i+1:], text[:i] + string(text[i]^0x20) + text[i+1:], text[:i] + text[i+1:], text[:i] + text[i:i+1] + text[i:], text[:i],
		} {
			if s, err := reopen(changed, keyOf(1), own); err == nil && changed != text {
				t.Errorf("%q was opened: %+v", changed, s)
			}
		}
	}
	for _, more := range []string{" ", "\n", "\x00", " x", "{}"} {
		for _, changed := range []string{text + more, more + text} {
			if _, err := reopen(changed, keyOf(1), own); err == nil {
				t.Errorf("%q was opened", changed)
			}
		}
	}
}

// TestMalformed: Parse refuses these texts.
func TestMalformed(t *testing.T) {
	for text, want := range map[string]string{
		"":                      "another version",
		`{"v":1,"config":"/x"}`: "another version",
		"1 x /x {}":             "another version",
		"2":                     "was changed",
		"2 x":                   "was changed",
		"2 x %2Fx":              "was changed",
		"2 x %zz {}":            "was changed",
		"2 x relative {}":       "was changed",
		"2 x  {}":               "was changed",
		"2 x %2Fx%0A {}":        "was changed",
		"2  %2Fx {}":            "sealed with another key",
		"2 " + strings.Repeat("0", 64) + " %2Fx {}": "sealed with another key",
	} {
		_, err := reopen(text, keyOf(1), own)
		refused(t, text, err, want)
	}
}

// TestSealedAndUnreadable: a sealed body that is no state is a system failure.
func TestSealedAndUnreadable(t *testing.T) {
	text := sealText(keyOf(1), parsed(t, job.ParseAbsPath, "/x"), []byte("{"))
	if _, err := reopen(text, keyOf(1), own); err == nil || failure.KindOf(err) != failure.System {
		t.Errorf("%v", err)
	}
}

func TestTooLong(t *testing.T) {
	s := full(t)
	s.RunAs.Message = ""
	text, err := s.Seal(keyOf(1), parsed(t, job.ParseAbsPath, "/x"))
	if err != nil {
		t.Fatal(err)
	}
	rest := maxLength - len(text) - len(`,"message":""`)
	for _, c := range []struct {
		length int
		fits   bool
	}{{rest, true}, {rest + 1, false}} {
		s.RunAs.Message = strings.Repeat("m", c.length)
		text, err := s.Seal(keyOf(1), parsed(t, job.ParseAbsPath, "/x"))
		if (err == nil) != c.fits || c.fits && len(text) != maxLength {
			t.Errorf("%d bytes of %d: %v", len(text), maxLength, err)
		}
	}
}

// FuzzOpen changes a sealed state: only the identical text opens.
func FuzzOpen(f *testing.F) {
	text, key := seal(f), keyOf(1)
	f.Add(0, 0, "")
	f.Add(0, len(text), `{"v":1}`)
	f.Add(2, 64, strings.Repeat("0", 64))
	f.Add(strings.Index(text, "1001"), 4, "0000")
	f.Fuzz(func(t *testing.T, at, length int, insert string) {
		at = min(max(at, 0), len(text))
		length = min(max(length, 0), len(text)-at)
		changed := text[:at] + insert + text[at+length:]
		s, err := reopen(changed, key, own)
		if err == nil && changed != text {
			t.Errorf("%q was opened as %+v", changed, s)
		}
		if err != nil && changed == text {
			t.Error(err)
		}
	})
}

func BenchmarkOpen(b *testing.B) {
	text, key := seal(b), keyOf(1)
	for b.Loop() {
		if _, err := reopen(text, key, own); err != nil {
			b.Fatal(err)
		}
	}
}
