package customexec

import (
	"encoding/json"
	"fmt"
)

// Service is one of `services:` of a job.
type Service struct {
	Image
	// Alias are names separated by blanks or commas.
	Alias   string
	Command []string // nil: the image's own
	// Variables are the service's own, not expanded.
	Variables []Variable
}

// Variable is one variable of a service.
type Variable struct {
	Name, Value string
	// Raw reports that the value is not to be expanded.
	Raw bool
}

// maxServices bounds the services of a job response.
const maxServices = 32

func readServices(text json.RawMessage) (all []Service, err error) {
	var list []json.RawMessage
	if err := decode(text, &list); err != nil {
		return nil, err
	}
	if len(list) > maxServices {
		return nil, fmt.Errorf("the list has more than %d entries", maxServices)
	}
	for _, entry := range list {
		s, err := readService(entry)
		if err != nil {
			return nil, err
		}
		all = append(all, s)
	}
	return all, nil
}

func readService(text json.RawMessage) (s Service, err error) {
	if s.Image, err = readImage(text); err != nil {
		return s, err
	}
	var alias, command, variables json.RawMessage
	if err = object(text, map[string]*json.RawMessage{"alias": &alias, "command": &command, "variables": &variables}); err != nil {
		return s, err
	}
	var own []struct {
		Key   string `json:"key"`
		Value string `json:"value"`
		Raw   bool   `json:"raw"`
	}
	for _, f := range []struct {
		name string
		text json.RawMessage
		to   any
	}{{"alias", alias, &s.Alias}, {"command", command, &s.Command}, {"variables", variables, &own}} {
		if err := decode(f.text, f.to); err != nil {
			return Service{}, fmt.Errorf("%s: %w", f.name, err)
		}
	}
	if len(s.Command) > maxList || len(own) > maxList {
		return Service{}, fmt.Errorf("a list has more than %d entries", maxList)
	}
	for _, v := range own {
		s.Variables = append(s.Variables, Variable{v.Key, v.Value, v.Raw})
	}
	return s, nil
}

// readPublic returns the names of the variables that services get, as GitLab's docker
// executor passes them: not those of the project's settings, which may be secrets. Of two
// with one name the last counts, as for the runner.
func readPublic(text json.RawMessage) (names []string, err error) {
	var list []struct {
		Key    string `json:"key"`
		Public bool   `json:"public"`
		File   bool   `json:"file"`
	}
	if err := decode(text, &list); err != nil {
		return nil, fmt.Errorf("variables: %w", err)
	}
	last := map[string]int{}
	for i, v := range list {
		last[v.Key] = i
	}
	for i, v := range list {
		if last[v.Key] == i && v.Public && !v.File {
			names = append(names, v.Key)
		}
	}
	return names, nil
}
