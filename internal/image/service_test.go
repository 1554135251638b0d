package image

import (
	"slices"
	"strings"
	"testing"
)

func TestServiceAliases(t *testing.T) {
	for _, tt := range []struct{ name, alias, want string }{
		{"postgres", "", "postgres"},
		{"postgres:15", "", "postgres"},
		{"docker://postgres:15", "", "postgres"},
		{"tutum/wordpress:latest", "", "tutum__wordpress tutum-wordpress"},
		{"registry.example.com/org/name:1", "", "registry.example.com__org__name registry.example.com-org-name"},
		{"registry.example.com:4999/org/name", "db", "registry.example.com__org__name registry.example.com-org-name db"},
		{"localhost:5000/a@" + digest, "", "localhost__a localhost-a"},
		{"a:1@" + digest, "", "a"},
		{"postgres", "db, postgres\tmain  db", "postgres db main"},
		{"[2001:db8::1]:5000/a", "", ""},
	} {
		s, err := ServiceWish{Wish: Wish{Name: tt.name}, Alias: tt.alias}.Parse()
		if err != nil || strings.Join(s.Aliases, " ") != tt.want {
			t.Errorf("%s, %q: %q, %v", tt.name, tt.alias, s.Aliases, err)
		}
	}
}

func TestBadServices(t *testing.T) {
	for want, w := range map[string]ServiceWish{
		"no name":     {},
		"not a dig":   {Wish: Wish{Name: "a@b"}},
		"alias: \"-b": {Wish: Wish{Name: "a"}, Alias: "-b"},
		"alias: \"b;": {Wish: Wish{Name: "a"}, Alias: "b;c"},
		"alias: \"bü": {Wish: Wish{Name: "a"}, Alias: "bü"},
		"more than":   {Wish: Wish{Name: "a"}, Alias: strings.Repeat("b ", maxAliases+1)},
		"NUL":         {Wish: Wish{Name: "a"}, Command: []string{"\x00"}},
		"pull policy": {Wish: Wish{Name: "a", PullPolicy: []string{"sometimes"}}},
		"is a path":   {Wish: Wish{Name: "/apps/a.sif"}},
	} {
		if s, err := w.Parse(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %+v, %v", want, s, err)
		}
	}
}

func TestServiceCommand(t *testing.T) {
	c := Config{Entrypoint: []string{"/entry"}, Cmd: []string{"serve"}}
	for _, tt := range []struct {
		entrypoint, command, want []string
	}{
		{nil, nil, []string{"/entry", "serve"}},
		{nil, []string{"other"}, []string{"/entry", "other"}},
		{nil, []string{}, []string{"/entry"}},
		{[]string{"/own"}, nil, []string{"/own"}},
		{[]string{""}, []string{"other"}, []string{"other"}},
		{[]string{""}, nil, nil},
	} {
		if got := c.ServiceCommand(Service{Request: Request{Entrypoint: tt.entrypoint}, Command: tt.command}); !slices.Equal(got, tt.want) {
			t.Errorf("%q, %q: %q", tt.entrypoint, tt.command, got)
		}
	}
}

func TestFreeAliases(t *testing.T) {
	var all []Service
	for _, w := range []ServiceWish{{Wish: Wish{Name: "postgres:15"}, Alias: "db"}, {Wish: Wish{Name: "postgres:16"}, Alias: "db other"}} {
		s, err := w.Parse()
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, s)
	}
	free, taken := FreeAliases(all)
	if len(free) != 2 || !slices.Equal(free[1], []string{"other"}) || len(taken) != 2 || !strings.Contains(taken[0], "the alias postgres of the service docker.io/library/postgres:16") {
		t.Errorf("%+v, %q", free, taken)
	}
	if len(all[1].Aliases) != 3 {
		t.Error("the argument is changed")
	}
}

func FuzzServiceAliases(f *testing.F) {
	f.Add("registry.example.com:5000/org/name:1", "db other")
	f.Fuzz(func(t *testing.T, name, alias string) {
		s, err := ServiceWish{Wish: Wish{Name: name}, Alias: alias}.Parse()
		if err != nil {
			return
		}
		for _, a := range s.Aliases {
			if !isAlias(a) || strings.ContainsAny(a, " \n'\\/:") {
				t.Errorf("%q, %q: %q", name, alias, a)
			}
		}
	})
}
