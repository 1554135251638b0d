package container

import (
	"strings"
	"testing"

	"jacamar-ci/internal/failure"
)

// TestClassify contains the output of podman 4.3 and 5.4, apptainer 1.5 and 1.6, charliecloud 0.31
// and skopeo 1.9 for each response of a registry.
func TestClassify(t *testing.T) {
	for _, tt := range []struct {
		stderr string
		result FetchResult
		reason string
	}{
		{"Trying to pull r.example.com/a:1...\nError: initializing source docker://r.example.com/a:1: reading manifest 1 in r.example.com/a: manifest unknown: manifest unknown", NotFound, "manifest unknown"},
		{"Error: initializing source docker://r/a:1: reading manifest 1 in r/a: unauthorized: authentication required", Denied, "unauthorized"},
		{"FATAL:   While making image from oci registry: requested access to the resource is denied", Denied, "denied"},
		{"error: unauthorized or not in registry: r.example.com:443/a:1", Denied, "unauthorized"},
		{"error: no further authentication possible, giving up", Denied, "authentication"},
		{"error: GET failed; expected status {401, 404, 200, 429} but got 403: Forbidden", Denied, "403"},
		{"error: GET failed; expected status {401, 404, 200, 429} but got 500: Internal Server Error", Failed, "500"},
		{"error: requested arch unavailable: amd64\nhint: available: s390x", WrongMachine, "amd64"},
		{"Error: copying: toomanyrequests: You have reached your pull rate limit", Throttled, "toomanyrequests"},
		{"Error: received unexpected HTTP status: 500 Internal Server Error", Unreachable, "500"},
		{"Error: pinging container registry r:1: Get \"https://r:1/v2/\": dial tcp 127.0.0.1:1: connect: connection refused", Unreachable, "connection refused"},
		{"Error: pinging: Get \"https://u:pw@r/v2/\": x509: certificate signed by unknown authority", Untrusted, "https://r/v2/"},
		{"Error: dial tcp: lookup r.example.com: no such host", Unreachable, "no such host"},
		{"Error: writing blob: storing blob to file \"/t/storage1/1\": write /t/storage1/1: no space left on device", NoSpace, "no space"},
		{"Error: writing blob: write /t/1: disk quota exceeded", NoSpace, "quota"},
		{"Error: choosing an image from manifest list: no image found in manifest list for architecture arm64", WrongMachine, "arm64"},
		{"FATAL:   While performing build: packer failed to pack: while unpacking rootfs: no extractable OCI/Docker tar layers found in this image", BadImage, "layers"},
		{"FATAL:   While performing build: conveyor failed to get: no child with platform linux/amd64 in index r/a:1", WrongMachine, "linux/amd64"},
		{"FATAL:   While performing build: conveyor failed to get: reading digest 1 in r/a: StatusCode: 404, \"\"", NotFound, "404"},
		{"FATAL:   While performing build: conveyor failed to get: reading digest 1 in r/a: StatusCode: 403, \"\"", Denied, "403"},
		{"FATAL:   While performing build: conveyor failed to get: reading digest 1 in r/a: StatusCode: 429, \"\"", Throttled, "429"},
		{"FATAL:   While performing build: conveyor failed to get: reading digest 1 in r/a: StatusCode: 503, \"\"", Unreachable, "503"},
		{"Error: something new\x1b[2J", Failed, "something new?[2J"},
		{"Error: invalid reference format", BadReference, "invalid reference"},
		{"unshare: unshare failed: Operation not permitted", NoCell, "unshare failed"},
		{"Error: open /c/images/1/overlay: permission denied", Failed, "permission denied"},
		{"Error: kernel does not support overlay fs: 'overlay' is not supported over nfs at \"/c/1.new/overlay\": backing file system is unsupported for this graph driver", BadStorage, "over nfs"},
		{"error: rejecting too many up-levels: /t/1.tar.gz: climbing -> ../../../etc/passwd", BadImage, "climbing"},
		{"error: manifest list has no key 'manifests'", BadImage, "manifest list"},
		{"FATAL:   while reading the configuration: json: cannot unmarshal number into Go struct field .Config", BadImage, "unmarshal"},
		{"Error: denied: permission denied for group/project", Denied, "denied"},
		{"", Failed, "exit code 125"},
	} {
		v, reason := Classify(Reply{Code: 125, Stderr: tt.stderr})
		if v != tt.result || !strings.Contains(reason, tt.reason) || strings.Contains(reason, "pw@") {
			t.Errorf("%.60q: %v %q", tt.stderr, v, reason)
		}
	}
	if v, reason := Classify(Reply{Stderr: "denied"}); v != Fetched || reason != "" {
		t.Errorf("a success: %v %q", v, reason)
	}
}

func TestClassifyKilled(t *testing.T) {
	if v, reason := Classify(Reply{Code: 137, Stderr: "Trying to pull\nKilled"}); v != Failed || reason != "a program of the container engine was killed" {
		t.Errorf("%v %q", v, reason)
	}
}

func TestKind(t *testing.T) {
	for v := Failed; v <= BadStorage; v++ {
		want := failure.System
		if v == NotFound || v == Denied || v == WrongMachine || v == BadReference || v == BadImage {
			want = failure.Build
		}
		if v.Kind() != want {
			t.Errorf("%d: %v", v, v.Kind())
		}
	}
}

func FuzzClassify(f *testing.F) {
	f.Add("Get \"https://u:p@r/\": x509: y")
	f.Fuzz(func(t *testing.T, stderr string) {
		_, reason := Classify(Reply{Code: 1, Stderr: stderr})
		if len(reason) > maxReason+4 || strings.ContainsAny(reason, "\n\r\x1b") {
			t.Errorf("%q", reason)
		}
	})
}

// TestTidyHidesUserinfo wherever the line is cut.
func TestTidyHidesUserinfo(t *testing.T) {
	for lead := range maxReason + 10 {
		line := tidy(strings.Repeat("x", lead) + " https://user:hush@r.example.com/")
		if strings.Contains(line, "://u") || len(line) > maxReason+len("…") {
			t.Errorf("behind %d bytes: %q", lead, line[lead:])
		}
	}
}

func TestWithoutUserinfo(t *testing.T) {
	for text, want := range map[string]string{
		"no address, a@b":                  "no address, a@b",
		"https://u:p@r":                    "https://r",
		"https://u:p@r/a@b":                "https://r/a@b",
		"https://r/a@b":                    "https://r/a@b",
		"a https://u@r then http://v:w@s/": "a https://r then http://s/",
		`"https://u:p/"q@r`:                `"https://u:p/"q@r`,
	} {
		if got := withoutUserinfo(text); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}
