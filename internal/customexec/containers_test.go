package customexec

import (
	"reflect"
	"strings"
	"testing"

	"jacamar-ci/internal/image"
)

const jobWithImage = `{"id":1,"job_info":{"project_id":1},"image":{"name":"a:1","entrypoint":["",""],"pull_policy":["always"],"ports":[],
"executor_opts":{"docker":{"platform":"linux/amd64","user":"7"},"kubernetes":{"user":"8"}}},
"credentials":[{"type":"registry","url":"r.example.com","username":"gitlab-ci-token","password":"pw-1"},{"type":"dependency","url":"x","username":"y","password":"z"}],
"variables":[{"key":"DOCKER_AUTH_CONFIG","value":"first"},{"key":"DOCKER_AUTH_CONFIG","value":"last","file":true}]}`

func containersOf(t *testing.T, text string) (Containers, error) {
	t.Helper()
	r, err := ParseResponse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return r.Containers()
}

func TestContainers(t *testing.T) {
	c, err := containersOf(t, jobWithImage)
	if err != nil {
		t.Fatal(err)
	}
	want := image.Wish{Name: "a:1", Entrypoint: []string{"", ""}, PullPolicy: []string{"always"}, User: "7", Platform: "linux/amd64"}
	if !reflect.DeepEqual(c.Image, want) {
		t.Errorf("%+v, want %+v", c.Image, want)
	}
	if len(c.Registries) != 1 || c.Registries[0].URL != "r.example.com" || c.Registries[0].Password.Reveal() != "pw-1" {
		t.Errorf("%d logins", len(c.Registries))
	}
	if c.AuthConfig.Reveal() != "last" || !c.File {
		t.Errorf("%q, %v", c.AuthConfig.Reveal(), c.File)
	}
}

func TestContainersWithout(t *testing.T) {
	for _, text := range []string{
		`{"id":1,"job_info":{"project_id":1}}`,
		`{"id":1,"job_info":{"project_id":1},"image":null,"credentials":null,"variables":null}`,
		`{"id":1,"job_info":{"project_id":1},"image":{"name":"","executor_opts":{}},"credentials":[]}`,
	} {
		c, err := containersOf(t, text)
		if err != nil || c.Image.Name != "" || c.Registries != nil || c.AuthConfig.Reveal() != "" {
			t.Errorf("%s: %+v, %v", text, c, err)
		}
	}
}

// An error never contains a password.
func TestContainersRefuses(t *testing.T) {
	for change, want := range map[[2]string]string{
		{`"name":"a:1"`, `"name":7`}:                                "image: name",
		{`"name":"a:1"`, `"name":"a:1","name":"b:1"`}:               "twice",
		{`["",""]`, `"sh"`}:                                         "entrypoint",
		{`["always"]`, `[1]`}:                                       "pull_policy",
		{`"user":"7"`, `"user":["7"]`}:                              "executor_opts",
		{`"docker":{`, `"docker":7,"more":{`}:                       "executor_opts",
		{`"password":"pw-1"`, `"password":["pw-1"]`}:                "credentials",
		{`"type":"registry"`, `"type":"registry","type":"other"`}:   "twice",
		{`["",""]`, `[` + strings.Repeat(`"x",`, maxList) + `"x"]`}: "more than",
	} {
		_, err := containersOf(t, strings.Replace(jobWithImage, change[0], change[1], 1))
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "pw-1") {
			t.Errorf("%s: %v, want %q", change[1], err, want)
		}
	}
}

func FuzzContainers(f *testing.F) {
	f.Add(jobWithImage)
	f.Fuzz(func(t *testing.T, text string) {
		r, err := ParseResponse([]byte(text))
		if err != nil {
			return
		}
		c, err := r.Containers()
		if err == nil && (len(c.Registries) > maxRegistries || len(c.Image.Entrypoint) > maxList || c.Image.Name != "" && !r.Image) {
			t.Errorf("%+v", c)
		}
	})
}
