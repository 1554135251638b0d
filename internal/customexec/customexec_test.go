package customexec

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/google/go-cmp/cmp"

	"jacamar-ci/internal/failure"
	"jacamar-ci/internal/job"
)

func TestParseEnviron(t *testing.T) {
	e, err := ParseEnviron([]string{
		"BUILD_FAILURE_EXIT_CODE=3", "SYSTEM_FAILURE_EXIT_CODE=4", "BUILD_EXIT_CODE_FILE=/t/code", "JOB_RESPONSE_FILE=/t/response",
		"JACAMAR_CI_STATE=old", "JACAMAR_CI_STATE=new", "CUSTOM_ENV_JACAMAR_CI_STATE=forged", "CUSTOM_ENV_JOB_RESPONSE_FILE=/evil",
		"CUSTOM_ENV_A=1", "CUSTOM_ENV_A=line\nline\xff", "no equals sign", "",
	})
	if err != nil {
		t.Fatal(err)
	}
	if e.Codes != (failure.Codes{Build: 3, System: 4}) || e.CodeFile.String() != "/t/code" || e.Response.String() != "/t/response" || e.State != "new" {
		t.Errorf("got %+v", e)
	}
	if v, ok := e.Variable("A"); !ok || v != "line\nline\xff" {
		t.Errorf("A is %q", v)
	}
	if _, ok := e.Variable("B"); ok {
		t.Error("B exists")
	}
	if shown := fmt.Sprint(e); strings.Contains(shown, "line") {
		t.Errorf("values show in %q", shown)
	}
}

func TestParseEnvironRefuses(t *testing.T) {
	for _, pair := range []string{
		"BUILD_FAILURE_EXIT_CODE=0", "BUILD_FAILURE_EXIT_CODE=256", "BUILD_FAILURE_EXIT_CODE=x", "SYSTEM_FAILURE_EXIT_CODE=",
		"JOB_RESPONSE_FILE=relative", "JOB_RESPONSE_FILE=/a/../b", "BUILD_EXIT_CODE_FILE=/a\nb",
	} {
		if e, err := ParseEnviron([]string{pair}); err == nil {
			t.Errorf("%q was accepted as %+v", pair, e)
		}
	}
	e, err := ParseEnviron(nil)
	if err != nil || e.Codes != failure.DefaultCodes() || !e.Response.IsZero() {
		t.Errorf("an empty environment gives %+v, %v", e, err)
	}
}

// TestFaultsComeInOneOrder reads the same wrong environment many times: which
// fault is reported, and which exit status is used, must not depend on chance.
func TestFaultsComeInOneOrder(t *testing.T) {
	wrong := []string{"JOB_RESPONSE_FILE=relative", "BUILD_EXIT_CODE_FILE=relative", "SYSTEM_FAILURE_EXIT_CODE=999", "BUILD_FAILURE_EXIT_CODE=999"}
	for n, want := range []string{"JOB_RESPONSE_FILE", "BUILD_EXIT_CODE_FILE", "SYSTEM_FAILURE_EXIT_CODE", "BUILD_FAILURE_EXIT_CODE"} {
		for range 50 {
			if _, err := ParseEnviron(wrong[:n+1]); err == nil || !strings.Contains(err.Error(), want) {
				t.Fatalf("%v: got %v, want a fault of %s", wrong[:n+1], err, want)
			}
		}
	}
	for range 50 {
		e, err := ParseEnviron([]string{"BUILD_FAILURE_EXIT_CODE=x", "SYSTEM_FAILURE_EXIT_CODE=33"})
		if err == nil || e.Codes.Status(err) != 33 {
			t.Fatalf("the call ends with status %d (%v), not with the one that the runner gave", e.Codes.Status(err), err)
		}
		_, err = ParseResponse([]byte(`{"id":1,"job_info":{"project_id":2,"scoped_user_id":"x","user_id":"y","pipeline_id":"z"}}`))
		if err == nil || !strings.Contains(err.Error(), "pipeline_id") {
			t.Fatalf("got %v, want a fault of pipeline_id", err)
		}
	}
}

func TestTooLong(t *testing.T) {
	e, _ := ParseEnviron([]string{"CUSTOM_ENV_B=" + strings.Repeat("x", 11), "CUSTOM_ENV_C=" + strings.Repeat("x", 12), "CUSTOM_ENV_A=" + strings.Repeat("x", 10), "OTHER=" + strings.Repeat("x", 99)})
	for _, limit := range []int{12, 0} {
		if err := e.TooLong(limit); err != nil {
			t.Errorf("with the limit %d: %v", limit, err)
		}
	}
	err := e.TooLong(10)
	if err == nil || !strings.Contains(err.Error(), "CI variable B is 11 bytes") || failure.KindOf(err) != failure.Build {
		t.Errorf("got %v", err)
	}
}

// TestOnlyRunStagesHaveAScript: the other stages are called without one.
func TestOnlyRunStagesHaveAScript(t *testing.T) {
	dir := t.TempDir()
	e := Environ{CodeFile: abs(t, dir, "code")}
	script := filepath.Join(dir, "script")
	for _, file := range []string{script, e.CodeFile.String()} {
		if err := os.WriteFile(file, []byte("echo\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, stage := range []job.Stage{job.Config, job.Prepare, job.Cleanup} {
		text, err := e.Script(stage, script)
		sub, serr := SubStage(stage, "build_script")
		if err != nil || text != nil || serr != nil || sub != "" {
			t.Errorf("%s: %q %v, %q %v", stage, text, err, sub, serr)
		}
	}
	text, err := e.Script(job.Run, script)
	sub, serr := SubStage(job.Run, "build_script")
	if err != nil || string(text) != "echo\n" || serr != nil || sub != "build_script" {
		t.Errorf("run: %q %v, %q %v", text, err, sub, serr)
	}
	if _, err := os.Lstat(e.CodeFile.String()); err == nil {
		t.Error("the exit code of an earlier script is still there")
	}
	if _, err := SubStage(job.Run, "a/b"); err == nil {
		t.Error("a path was taken for the name of a stage")
	}
}

func TestRunnerHint(t *testing.T) {
	for in, want := range map[string]string{
		"": "runner", "Xyp9ididg": "Xyp9ididg", "a-b_c": "a-b_c", "../x": "runner", "a/b": "runner", "a\nb": "runner",
		strings.Repeat("x", 33): "runner", "9abc": "9abc", "..": "runner",
	} {
		e, _ := ParseEnviron([]string{"CUSTOM_ENV_CI_RUNNER_SHORT_TOKEN=" + in})
		if got := e.Runner(); got != want {
			t.Errorf("%q gives %q, want %q", in, got, want)
		}
	}
}

const good = `{"id":42,"token":"x","job_info":{"project_id":20,"pipeline_id":7,"user_id":5,"name":"n"},` +
	`"git_info":{"repo_url":"https://gitlab-ci-token:x@h/group/sub/project.git"},"runner_info":{"timeout":3600},` +
	`"variables":[{"key":"T","value":"eyJh.b.c"},{"key":"T","value":"eyJz.y.x"},{"key":"U","value":"plain"}],"unknown":{"deep":[1,{}]}}`

func TestParseResponse(t *testing.T) {
	r, err := ParseResponse([]byte(good))
	if err != nil {
		t.Fatal(err)
	}
	if r.ID != 42 || r.ProjectID != 20 || r.PipelineID != 7 || r.UserID != 5 || r.ScopedUserID != 0 || r.Project != "group/sub/project" || r.Timeout != 3600 {
		t.Errorf("got %+v", r)
	}
}

func TestReadResponse(t *testing.T) {
	dir := t.TempDir()
	path := func(name, text string) job.AbsPath {
		p, err := job.ParseAbsPath(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if text != "" {
			if err := os.WriteFile(p.String(), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		return p
	}
	if r, err := ReadResponse(path("good", good)); err != nil || r.ID != 42 {
		t.Errorf("got %+v, %v", r, err)
	}
	for want, file := range map[string]job.AbsPath{
		"named no JOB_RESPONSE_FILE": {}, "no such file": path("missing", ""), "not a JSON object": path("list", "[]"), "id": path("empty", "{}"),
	} {
		if r, err := ReadResponse(file); err == nil || !strings.Contains(err.Error(), want) || r.ID != 0 || failure.HasPublicText(err) {
			t.Errorf("%s: got %+v, %v", want, r, err)
		}
	}
}

func TestParseResponseWithoutOptionalFields(t *testing.T) {
	r, err := ParseResponse([]byte(`{"id":1,"job_info":{"project_id":2,"user_id":null,"pipeline_id":0}}`))
	if err != nil || r.Project != "project-2" || r.UserID != 0 || r.PipelineID != 0 || r.Timeout != 0 {
		t.Errorf("got %+v, %v", r, err)
	}
}

func TestHelperIsNeeded(t *testing.T) {
	for fields, want := range map[string]bool{
		``: false,
		`,"cache":null,"artifacts":null,"dependencies":null`:                                         false,
		`,"cache":[],"artifacts":[],"dependencies":[]`:                                               false,
		`,"cache":[{"key":"k"}]`:                                                                     true,
		`,"artifacts":[{"paths":["x"]}]`:                                                             true,
		`,"dependencies":[{"id":1,"name":"build"}]`:                                                  false,
		`,"dependencies":[{"id":1},{"id":2,"artifacts_file":{"filename":"artifacts.zip","size":7}}]`: true,
		`,"cache":7,"artifacts":{},"dependencies":"x"`:                                               false,
	} {
		r, err := ParseResponse([]byte(`{"id":1,"job_info":{"project_id":2}` + fields + `}`))
		if r.Helper != want || err != nil {
			t.Errorf("%s: %v, %v", fields, r.Helper, err)
		}
	}
}

func TestStepRunnerIsNeeded(t *testing.T) {
	for fields, want := range map[string]bool{
		``:                        false,
		`,"run":null`:             false,
		`,"run":""`:               false,
		`,"run":"[]"`:             false,
		`,"run":[]`:               false,
		`,"run":7`:                false,
		`,"run":"x"`:              false,
		`,"run":[{"name":"a"}]`:   true,
		`,"run":"[{\"name\":1}]"`: true,
	} {
		r, err := ParseResponse([]byte(`{"id":1,"job_info":{"project_id":2}` + fields + `}`))
		if r.StepRunner != want || err != nil {
			t.Errorf("%s: %v, %v", fields, r.StepRunner, err)
		}
	}
}

func TestImageAndServices(t *testing.T) {
	for _, tt := range []struct {
		fields          string
		image, services bool
	}{
		{``, false, false},
		{`,"image":null,"services":null`, false, false},
		{`,"image":{"name":""},"services":[]`, false, false},
		{`,"image":7,"services":"x"`, false, false},
		{`,"image":{"name":"busybox"}`, true, false},
		{`,"services":[{"name":"postgres"}]`, false, true},
	} {
		r, err := ParseResponse([]byte(`{"id":1,"job_info":{"project_id":2}` + tt.fields + `}`))
		if r.Image != tt.image || r.Services != tt.services || err != nil {
			t.Errorf("%s: %v, %v, %v", tt.fields, r.Image, r.Services, err)
		}
	}
}

// TestTracing: both ids are used, or none.
func TestTracing(t *testing.T) {
	const trace, span = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
	ids := func(trace, span string) string {
		return fmt.Sprintf(`,"features":{"tracing":{"trace_id":%q,"span_parent_id":%q}}`, trace, span)
	}
	for fields, want := range map[string]bool{
		ids(trace, span): true,
		``:               false,
		`,"features":7`:  false,
		`,"features":{"tracing":{"trace_id":"` + trace + `","span_parent_id":"` + span + `"},"tracing":7}`: false,
		ids("", ""):                         false,
		ids(trace, ""):                      false,
		ids("", span):                       false,
		ids(trace[1:], span):                false,
		ids(trace+"0", span):                false,
		ids(trace, span[1:]):                false,
		ids(strings.ToUpper(trace), span):   false,
		ids(trace, "b7ad6b716920333g"):      false,
		ids(strings.Repeat("0", 32), span):  false,
		ids(trace, strings.Repeat("0", 16)): false,
		ids(trace[:31]+"\n", span):          false,
	} {
		r, err := ParseResponse([]byte(`{"id":1,"job_info":{"project_id":2}` + fields + `}`))
		if err != nil || want && (r.Trace != trace || r.Span != span) || !want && r.Trace+r.Span != "" {
			t.Errorf("%s: %q %q, %v", fields, r.Trace, r.Span, err)
		}
	}
}

func TestTempDir(t *testing.T) {
	for value, want := range map[string]string{"/b/000/g/p.tmp": "/b/000/g/p.tmp", ".tmp": "", "": "", "/b/../x.tmp": "", "/b/a\nb.tmp": ""} {
		e, err := ParseEnviron([]string{"CUSTOM_ENV_RUNNER_TEMP_PROJECT_DIR=" + value})
		if got := e.TempDir().String(); got != want || err != nil {
			t.Errorf("%q: %q, %v", value, got, err)
		}
	}
}

func TestParseResponseRefuses(t *testing.T) {
	swap := func(old, new string) string {
		if !strings.Contains(good, old) {
			t.Fatalf("the sample has no %s", old)
		}
		return strings.Replace(good, old, new, 1)
	}
	for name, text := range map[string]string{
		"empty":               "",
		"spaces":              "  ",
		"not JSON":            "hello",
		"an array":            "[]",
		"truncated":           good[:len(good)/2],
		"cut before its end":  good[:len(good)-1],
		"followed by more":    good + "{}",
		"id as text":          swap(`"id":42`, `"id":"42"`),
		"id negative":         swap(`"id":42`, `"id":-42`),
		"id zero":             swap(`"id":42`, `"id":0`),
		"id a float":          swap(`"id":42`, `"id":42.0`),
		"id with exponent":    swap(`"id":42`, `"id":4e1`),
		"id too large":        swap(`"id":42`, `"id":9223372036854775808`),
		"id missing":          swap(`"id":42,`, ``),
		"id null":             swap(`"id":42`, `"id":null`),
		"id twice":            swap(`"id":42`, `"id":41,"id":42`),
		"id in other case":    swap(`"id":42`, `"ID":42`),
		"job_info twice":      swap(`"git_info"`, `"job_info":{"project_id":1},"git_info"`),
		"project twice":       swap(`"project_id":20`, `"project_id":20,"project_id":21`),
		"project as text":     swap(`"project_id":20`, `"project_id":"20"`),
		"project missing":     swap(`"project_id":20,`, ``),
		"user as text":        swap(`"user_id":5`, `"user_id":"5"`),
		"pipeline negative":   swap(`"pipeline_id":7`, `"pipeline_id":-7`),
		"job_info a list":     swap(`{"project_id":20,"pipeline_id":7,"user_id":5,"name":"n"}`, `[]`),
		"repo_url a number":   swap(`"https://gitlab-ci-token:x@h/group/sub/project.git"`, `7`),
		"timeout as text":     swap(`3600`, `"3600"`),
		"timeout negative":    swap(`3600`, `-1`),
		"variables an object": swap(`"variables":[`, `"variables":{},"x":[`),
		"deep nesting":        swap(`[1,{}]`, strings.Repeat("[", 100000)+strings.Repeat("]", 100000)),
	} {
		t.Run(name, func(t *testing.T) {
			if r, err := ParseResponse([]byte(text)); err == nil {
				t.Errorf("accepted as %+v", r)
			} else if len(err.Error()) > 200 || strings.Contains(err.Error(), "eyJh") {
				t.Errorf("the error contains too much: %v", err)
			}
		})
	}
}

func TestProjectPath(t *testing.T) {
	for in, want := range map[string]string{
		"https://h/a/b.git": "a/b", "https://h/a/b": "a/b", "https://h:8443/root/a/b.git": "root/a/b", "": "project-9",
		"https://h/": "project-9", "https://h/../../etc.git": "project-9", "https://h/a/../b.git": "project-9",
		"https://h/a%0ab.git": "project-9", "https://h/a//b.git": "project-9", "::": "project-9", "https://h/a%2f..%2fb": "project-9",
	} {
		if got := projectPath(in, 9); got != want {
			t.Errorf("%q gives %q, want %q", in, got, want)
		}
	}
}

func TestToken(t *testing.T) {
	r, err := ParseResponse([]byte(good))
	if err != nil {
		t.Fatal(err)
	}
	e, _ := ParseEnviron([]string{"CUSTOM_ENV_T=eyJ.replaced.later", "CUSTOM_ENV_U=plain", "CUSTOM_ENV_V=eyJ.only.here", "CUSTOM_ENV_W="})
	for name, want := range map[string]string{"T": "eyJh.b.c", "U": "plain", "V": "eyJ.only.here", "W": "", "X": ""} {
		if got, ok := e.Token(name, r); ok != (want != "") || got.Reveal() != want {
			t.Errorf("%s: got %q, %v", name, got.Reveal(), ok)
		}
	}
	want := "id_tokens:\n  T:\n    aud: \"https://x\""
	if a := TokenAdvice("T", "https://x"); strings.Join(a.Lines, "\n") != want {
		t.Errorf("%q", a)
	}
}

func abs(t *testing.T, elem ...string) job.AbsPath {
	t.Helper()
	p, err := job.ParseAbsPath(filepath.Join(elem...))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestReadRunnerFile(t *testing.T) {
	dir := t.TempDir()
	write := func(name string, mode os.FileMode, text []byte) job.AbsPath {
		p := filepath.Join(dir, name)
		if err := os.WriteFile(p, text, mode); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(p, mode); err != nil {
			t.Fatal(err)
		}
		return abs(t, p)
	}
	whole := bytes.Repeat([]byte("a\x00\r\n"), 1000)
	if got, err := readRunnerFile(write("good", 0o700, whole), int64(len(whole))); err != nil || !bytes.Equal(got, whole) {
		t.Errorf("read %d bytes, %v", len(got), err)
	}
	if got, err := readRunnerFile(write("empty", 0o600, nil), 10); err != nil || len(got) != 0 {
		t.Errorf("read %q, %v", got, err)
	}
	if err := unix.Mkfifo(filepath.Join(dir, "fifo"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("good", filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	for name, p := range map[string]job.AbsPath{
		"missing": abs(t, dir, "none"), "directory": abs(t, dir), "FIFO": abs(t, dir, "fifo"), "symbolic link": abs(t, dir, "link"),
		"group writes": write("group", 0o620, nil), "others write": write("others", 0o602, nil),
		"device": abs(t, "/dev/zero"), "too large": write("large", 0o600, make([]byte, len(whole)+1)),
	} {
		if _, err := readRunnerFile(p, int64(len(whole))); err == nil {
			t.Errorf("%s: read", name)
		}
	}
	if os.Geteuid() != 0 {
		t.Skip("the owner cannot be tried: only root can give a file away")
	}
	other := write("foreign", 0o600, nil)
	if err := os.Chown(other.String(), 12345, -1); err != nil {
		t.Fatal(err)
	}
	if _, err := readRunnerFile(other, 10); err == nil {
		t.Error("a file of another owner was read")
	}
}

func TestGrowingFile(t *testing.T) {
	if got, err := readWhole(strings.NewReader("abcdef"), 3, 10); err != nil || string(got) != "abcdef" {
		t.Errorf("read %q, %v", got, err)
	}
	if got, err := readWhole(strings.NewReader("abcdef"), 3, 5); err == nil {
		t.Errorf("read %q beyond the limit", got)
	}
	if got, err := readWhole(strings.NewReader("ab"), 3, 5); err != nil || string(got) != "ab" {
		t.Errorf("read %q, %v", got, err)
	}
}

func TestExitCodeFile(t *testing.T) {
	file := abs(t, t.TempDir(), "code")
	if err := removeExitCode(file); err != nil {
		t.Errorf("nothing to clear: %v", err)
	}
	if err := WriteExitCode(file, 7); err != nil {
		t.Fatal(err)
	}
	if text, _ := os.ReadFile(file.String()); string(text) != "7\n" {
		t.Errorf("it holds %q", text)
	}
	if err := WriteExitCode(file, 8); err == nil {
		t.Error("an existing file was written")
	}
	if err := removeExitCode(file); err != nil {
		t.Fatal(err)
	}
	if err := WriteExitCode(file, 255); err != nil {
		t.Fatal(err)
	}
	if err := removeExitCode(job.AbsPath{}); err != nil {
		t.Errorf("no file named: %v", err)
	}
	if err := WriteExitCode(job.AbsPath{}, 1); err != nil {
		t.Errorf("no file named: %v", err)
	}
	if err := WriteExitCode(abs(t, "/nonexistent/code"), 1); err == nil {
		t.Error("written nowhere")
	}
}

func TestAnswer(t *testing.T) {
	var b bytes.Buffer
	a := NewConfigOutput(abs(t, "/b"), abs(t, "/c"), "v1", `{"a":"b"}`)
	if err := a.Write(&b); err != nil {
		t.Fatal(err)
	}
	d := json.NewDecoder(&b)
	var back map[string]any
	if err := d.Decode(&back); err != nil || d.More() {
		t.Fatalf("not one JSON value: %v", err)
	}
	if back["builds_dir"] != "/b" || back["builds_dir_is_shared"] != false {
		t.Errorf("got %v", back)
	}
	if diff := cmp.Diff(map[string]any{stateVariable: `{"a":"b"}`, "GOMAXPROCS": "1"}, back["job_env"]); diff != "" {
		t.Errorf("job_env (-want +got):\n%s", diff)
	}
}

func FuzzParseResponse(f *testing.F) {
	f.Add([]byte(good))
	f.Add([]byte(`{"id":1,"job_info":{"project_id":2}}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		r, err := ParseResponse(text)
		if err != nil {
			return
		}
		if r.ID <= 0 || r.ProjectID <= 0 || r.UserID < 0 || r.Timeout < 0 {
			t.Errorf("accepted %+v", r)
		}
		if _, err := job.ParseAbsPath("/" + r.Project); err != nil || strings.HasPrefix(r.Project, "/") {
			t.Errorf("accepted the project %q", r.Project)
		}
	})
}

func TestLoginTakesPlainNamesOnly(t *testing.T) {
	for _, c := range []struct {
		name, lang, tz string
		want           []string
	}{
		{"both", "de_DE.UTF-8@euro", "Europe/Berlin", []string{"LANG=de_DE.UTF-8@euro", "TZ=Europe/Berlin"}},
		{"a zone with rules", "C", "CET-1CEST,M3.5.0,M10.5.0", []string{"LANG=C", "TZ=CET-1CEST,M3.5.0,M10.5.0"}},
		{"neither", "", "", nil},
		{"a zone by its path", "C.UTF-8", "/etc/shadow", []string{"LANG=C.UTF-8"}},
		{"a zone by its path in the other form", "C.UTF-8", ":/dev/zero", []string{"LANG=C.UTF-8"}},
		{"a zone that climbs", "C.UTF-8", "Europe/../../../tmp/x", []string{"LANG=C.UTF-8"}},
		{"a zone with dots", "C.UTF-8", "..", []string{"LANG=C.UTF-8"}},
		{"a locale by its path", "/tmp/evil", "UTC", []string{"TZ=UTC"}},
		{"a format", "%n", "UTC", []string{"TZ=UTC"}},
		{"a command", "$(id)", "`id`", nil},
		{"spaces", "C UTF", " UTC", nil},
		{"a new line", "C\nX=1", "UTC\n", nil},
		{"a NUL", "C\x00", "UTC\x00", nil},
		{"the longest", strings.Repeat("a", 64), strings.Repeat("b", 65), []string{"LANG=" + strings.Repeat("a", 64)}},
	} {
		t.Run(c.name, func(t *testing.T) {
			e, err := ParseEnviron([]string{"LANG=" + c.lang, "TZ=" + c.tz, "LC_ALL=de_DE", "LANGUAGE=de", "CUSTOM_ENV_LANG=fr_FR"})
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, pair := range e.Login {
				got = append(got, pair.String())
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}
