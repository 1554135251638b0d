package customexec

import (
	"slices"
	"strings"
	"testing"
)

func jobFields(fields string) string { return `{"id":1,"job_info":{"project_id":1}` + fields + `}` }

func TestServices(t *testing.T) {
	c, err := containersOf(t, jobFields(`,"services":[{"name":"r.example.com/postgres:15","alias":"db, other","entrypoint":[""],"command":["a","b"],"pull_policy":["always"],`+
		`"variables":[{"key":"A","value":"$B"},{"key":"C","value":"$B","raw":true}]},{"name":""}],`+
		`"variables":[{"key":"OPEN","public":true},{"key":"SECRET","value":"x"},{"key":"FILE","public":true,"file":true},{"key":"BOTH","public":true},{"key":"BOTH"}]`))
	if err != nil || len(c.Services) != 2 {
		t.Fatalf("%+v, %v", c, err)
	}
	s := c.Services[0]
	if s.Name != "r.example.com/postgres:15" || s.Alias != "db, other" || !slices.Equal(s.Command, []string{"a", "b"}) || len(s.Entrypoint) != 1 || len(s.PullPolicy) != 1 {
		t.Errorf("%+v", s)
	}
	if want := []Variable{{"A", "$B", false}, {"C", "$B", true}}; !slices.Equal(s.Variables, want) {
		t.Errorf("%+v", s.Variables)
	}
	if !slices.Equal(c.Public, []string{"OPEN"}) {
		t.Errorf("public: %v", c.Public)
	}
}

func TestMalformedServices(t *testing.T) {
	for _, text := range []string{
		`"x"`, `[1]`, `[{"name":7}]`, `[{"name":"a","name":"b"}]`, `[{"name":"a","command":"x"}]`, `[{"name":"a","alias":[]}]`, `[{"name":"a","variables":{}}]`,
		"[" + strings.Repeat(`{"name":"a"},`, maxServices) + `{"name":"a"}]`,
		`[{"name":"a","command":[` + strings.Repeat(`"x",`, maxList) + `"x"]}]`,
		`[{"name":"a","variables":[` + strings.Repeat(`{"key":"K"},`, maxList) + `{"key":"K"}]}]`,
	} {
		if c, err := containersOf(t, jobFields(`,"services":`+text)); err == nil {
			t.Errorf("%s: %+v", text, c.Services)
		}
	}
	if c, err := containersOf(t, jobFields(`,"services":null`)); err != nil || c.Services != nil {
		t.Errorf("%+v, %v", c, err)
	}
}
