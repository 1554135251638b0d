package customexec

import (
	"encoding/json"
	"fmt"
	"net/url"
	"path"
	"strings"

	"jacamar-ci/internal/failure"
	"jacamar-ci/internal/job"
	"jacamar-ci/internal/strictjson"
)

// Response is the part of the job response that comes from GitLab itself. Fields that a
// runner's version does not have are zero.
type Response struct {
	ID           job.ID
	ProjectID    job.ID
	PipelineID   job.ID
	UserID       job.ID
	ScopedUserID job.ID
	// Project is the path that the runner builds the project in, from the
	// repository's address; "project-<id>" where that has none.
	Project string
	// Timeout of the job in seconds, 0 if unknown.
	Timeout int
	// Helper reports that the job has caches or artifacts, for which the runner's
	// scripts call the runner's own program.
	Helper bool
	// StepRunner reports that the job is written with "run:", for which the
	// runner's script calls the program step-runner.
	StepRunner bool
	// Image and Services report that the job names them.
	Image, Services bool
	// Trace and Span are the ids, in hexadecimal, below which the runner traces the job;
	// "" where GitLab gives none.
	Trace, Span string
	// tokens are the first values of the job's variables that look like a JWT.
	tokens map[string]string
	// What Containers reads.
	image, services, credentials, variables json.RawMessage
}

// maxResponse is the largest job response in bytes.
const maxResponse = 64 << 20

// ReadResponse reads the file that the runner wrote for this job.
func ReadResponse(file job.AbsPath) (r Response, err error) {
	if file.IsZero() {
		return Response{}, failure.Privatef("the runner named no JOB_RESPONSE_FILE: it is too old, or not GitLab Runner")
	}
	text, err := readRunnerFile(file, maxResponse)
	if err != nil {
		return Response{}, failure.Privatef("cannot read the job response: %w", err)
	}
	if r, err = ParseResponse(text); err != nil {
		return Response{}, failure.Privatef("cannot read the job response: %w", err)
	}
	return r, nil
}

// wireJob has the fields of the runner's spec.Job, by their names.
type wireJob map[string]json.RawMessage

// ParseResponse reads a job response. Unknown fields are ignored; a field that occurs
// twice, at a level that is read, is refused.
func ParseResponse(text []byte) (r Response, err error) {
	w, err := strictjson.Members(text)
	if err != nil {
		return Response{}, err
	}
	if r.ID, err = number("id", w["id"]); err != nil {
		return Response{}, err
	}
	for _, read := range []func(wireJob) error{r.readInfo, r.readGit, r.readTimeout, r.readTokens} {
		if err := read(w); err != nil {
			return Response{}, err
		}
	}
	r.Helper, r.StepRunner = needsHelper(w), hasSteps(w["run"])
	r.Image, r.Services = hasImage(w["image"]), hasEntries(w["services"])
	r.image, r.services, r.credentials, r.variables = w["image"], w["services"], w["credentials"], w["variables"]
	r.Trace, r.Span = tracing(w["features"])
	return r, nil
}

// tracing returns the ids of the trace and of the span that the job belongs to. Unusable
// ones are none: they are not needed to run the job.
func tracing(text json.RawMessage) (trace, span string) {
	var features struct {
		Tracing struct {
			Trace string `json:"trace_id"`
			Span  string `json:"span_parent_id"`
		} `json:"tracing"`
	}
	if json.Unmarshal(text, &features) != nil || !isHex(features.Tracing.Trace, 32) || !isHex(features.Tracing.Span, 16) {
		return "", ""
	}
	return features.Tracing.Trace, features.Tracing.Span
}

// isHex reports whether s is a number of so many lower-case hexadecimal digits that is
// not zero.
func isHex(s string, digits int) bool {
	return len(s) == digits && strings.Trim(s, "0123456789abcdef") == "" && strings.Trim(s, "0") != ""
}

func (r *Response) readInfo(w wireJob) error {
	var project json.RawMessage
	err := object(w["job_info"], fields{{"project_id", &project}, {"pipeline_id", &r.PipelineID}, {"user_id", &r.UserID}, {"scoped_user_id", &r.ScopedUserID}})
	if err != nil {
		return fmt.Errorf("job_info: %w", err)
	}
	r.ProjectID, err = number("project_id", project)
	return err
}

// readGit takes the project's path from the repository's address, as the runner
// does for the build directory.
func (r *Response) readGit(w wireJob) error {
	var address string
	if git := w["git_info"]; !absent(git) {
		if err := object(git, fields{{"repo_url", &address}}); err != nil {
			return fmt.Errorf("git_info: %w", err)
		}
	}
	r.Project = projectPath(address, r.ProjectID)
	return nil
}

func projectPath(address string, id job.ID) string {
	fallback := "project-" + id.String()
	u, err := url.Parse(address)
	if err != nil {
		return fallback
	}
	p := strings.Trim(strings.TrimSuffix(u.Path, ".git"), "/")
	if p == "" || p != path.Clean(p) || strings.HasPrefix(p, "..") || job.Printable(p) != p {
		return fallback
	}
	return p
}

func (r *Response) readTimeout(w wireJob) error {
	var info struct {
		Timeout int `json:"timeout"`
	}
	if decode(w["runner_info"], &info) != nil || info.Timeout < 0 {
		return fmt.Errorf("runner_info: no timeout in seconds")
	}
	r.Timeout = info.Timeout
	return nil
}

// variable is one of `variables` of the job or of a service.
type variable struct {
	Key    string `json:"key"`
	Value  string `json:"value"`
	Public bool   `json:"public"`
	File   bool   `json:"file"`
	Raw    bool   `json:"raw"`
}

func readVariables(text json.RawMessage) (all []variable, err error) {
	if err := decode(text, &all); err != nil {
		return nil, fmt.Errorf("variables: %w", err)
	}
	return all, nil
}

// readTokens keeps, of the variables, the first value of each name that has the
// three parts of a signed token.
func (r *Response) readTokens(w wireJob) error {
	list, err := readVariables(w["variables"])
	if err != nil {
		return err
	}
	r.tokens = map[string]string{}
	for _, v := range list {
		if _, seen := r.tokens[v.Key]; !seen && strings.HasPrefix(v.Value, "eyJ") && strings.Count(v.Value, ".") == 2 {
			r.tokens[v.Key] = v.Value
		}
	}
	return nil
}

// hasSteps reports whether the field run has a step. GitLab sends the list as a
// text, the runner writes it as a list. Like needsHelper it only decides on a
// warning.
func hasSteps(run json.RawMessage) bool {
	var text string
	if json.Unmarshal(run, &text) == nil {
		return hasEntries(json.RawMessage(text))
	}
	return hasEntries(run)
}

// hasEntries reports whether a text is a list that is not empty.
func hasEntries(text json.RawMessage) bool {
	var list []json.RawMessage
	return json.Unmarshal(text, &list) == nil && len(list) > 0
}

// hasImage, like hasSteps, only decides on a warning. Where a job has no image the runner
// writes one without a name.
func hasImage(text json.RawMessage) bool {
	var image struct {
		Name string `json:"name"`
	}
	return json.Unmarshal(text, &image) == nil && image.Name != ""
}

// needsHelper looks for what the runner's scripts call its own program for.
// Earlier jobs without artifacts are among the dependencies too. It only decides
// on a warning, so that a form of the lists which is not known is no fault.
func needsHelper(w wireJob) bool {
	var jobs []struct {
		File struct {
			Name string `json:"filename"`
		} `json:"artifacts_file"`
	}
	if json.Unmarshal(w["dependencies"], &jobs) != nil {
		jobs = nil
	}
	for _, j := range jobs {
		if j.File.Name != "" {
			return true
		}
	}
	return hasEntries(w["cache"]) || hasEntries(w["artifacts"])
}

// fields are those of a JSON object that are wanted, and pointers to what they become.
type fields []struct {
	name string
	to   any
}

// object reads the wanted fields of one JSON object; those that are absent stay as they
// are.
func object(text []byte, want fields) error {
	has, err := strictjson.Members(text)
	if err != nil {
		return err
	}
	for _, f := range want {
		if err := decode(has[f.name], f.to); err != nil {
			return fmt.Errorf("%s: %w", f.name, err)
		}
	}
	return nil
}

// decode decodes a field that may be absent. The decoder's own error may contain a
// password.
func decode(text json.RawMessage, to any) (err error) {
	switch to := to.(type) {
	case *json.RawMessage:
		*to = text
		return nil
	case *job.ID:
		if !absent(text) {
			*to, err = job.ParseID(string(text))
		}
		return err
	}
	if !absent(text) && json.Unmarshal(text, to) != nil {
		return fmt.Errorf("not of the expected type")
	}
	return nil
}

func absent(text json.RawMessage) bool {
	return len(text) == 0 || string(text) == "null" || string(text) == "0"
}

// number reads a GitLab id, which is a JSON number here.
func number(name string, text json.RawMessage) (job.ID, error) {
	id, err := job.ParseID(string(text))
	if err != nil {
		return 0, fmt.Errorf("%s: %w", name, err)
	}
	return id, nil
}
