package customexec

import (
	"encoding/json"
	"fmt"

	"jacamar-ci/internal/image"
	"jacamar-ci/internal/job"
)

// Containers is what the job response contains about containers.
type Containers struct {
	// Image is `image:` of the job, with an empty name where there is none.
	Image    image.Wish
	Services []Service
	// Public are the names of the job's variables that its services get.
	Public []string
	// Registries are logins of GitLab's own: for its registry and its dependency proxy.
	Registries []Registry
	// AuthConfig is the job's variable DOCKER_AUTH_CONFIG, not expanded; File reports
	// that it is of type file, whose value in the environment is a path.
	AuthConfig job.Secret
	File       bool
}

// Registry is one of `credentials`.
type Registry struct {
	URL, User string
	Password  job.Secret
}

// Bounds of the lists in a job response. GitLab sends two logins.
const (
	maxRegistries = 64
	maxList       = 1024
)

// authConfig is GitLab's variable for logins of registries.
const authConfig = "DOCKER_AUTH_CONFIG"

// Containers reads the fields about containers. A response without them has no image.
func (r Response) Containers() (c Containers, err error) {
	if c.Image, err = readImage(r.image); err != nil {
		return Containers{}, fmt.Errorf("image: %w", err)
	}
	if c.Services, err = readServices(r.services); err != nil {
		return Containers{}, fmt.Errorf("services: %w", err)
	}
	if c.Public, err = readPublic(r.variables); err != nil {
		return Containers{}, err
	}
	if c.Registries, err = readRegistries(r.credentials); err != nil {
		return Containers{}, fmt.Errorf("credentials: %w", err)
	}
	c.AuthConfig, c.File, err = readAuthConfig(r.variables)
	return c, err
}

func readImage(text json.RawMessage) (i image.Wish, err error) {
	if absent(text) {
		return i, nil
	}
	var options json.RawMessage
	err = object(text, fields{{"name", &i.Name}, {"entrypoint", &i.Entrypoint}, {"pull_policy", &i.PullPolicy}, {"executor_opts", &options}})
	if err != nil {
		return image.Wish{}, err
	}
	if len(i.Entrypoint) > maxList || len(i.PullPolicy) > maxList {
		return image.Wish{}, fmt.Errorf("a list has more than %d entries", maxList)
	}
	i.User, i.Platform, err = readDocker(options)
	return i, err
}

// readDocker reads the options of `image:docker`.
func readDocker(options json.RawMessage) (user, platform string, err error) {
	var docker json.RawMessage
	if !absent(options) {
		err = object(options, fields{{"docker", &docker}})
	}
	if err == nil && !absent(docker) {
		err = object(docker, fields{{"user", &user}, {"platform", &platform}})
	}
	if err != nil {
		err = fmt.Errorf("executor_opts: %w", err)
	}
	return user, platform, err
}

// readRegistries keeps the logins of registries; GitLab may send others.
func readRegistries(text json.RawMessage) (all []Registry, err error) {
	list, err := decodeList(text, maxRegistries)
	if err != nil {
		return nil, err
	}
	for _, entry := range list {
		var kind, secret string
		var r Registry
		if err := object(entry, fields{{"type", &kind}, {"url", &r.URL}, {"username", &r.User}, {"password", &secret}}); err != nil {
			return nil, err
		}
		if r.Password = job.NewSecret(secret); kind == "registry" {
			all = append(all, r)
		}
	}
	return all, nil
}

// readAuthConfig finds the last variable of that name, which is the one that counts for
// the runner.
func readAuthConfig(text json.RawMessage) (value job.Secret, file bool, err error) {
	list, err := readVariables(text)
	if err != nil {
		return value, false, err
	}
	for _, v := range list {
		if v.Key == authConfig {
			value, file = job.NewSecret(v.Value), v.File
		}
	}
	return value, file, nil
}

// Service is one of `services:` of a job.
type Service struct {
	image.ServiceWish
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

// decodeList reads a list of at most that many entries.
func decodeList(text json.RawMessage, most int) (list []json.RawMessage, err error) {
	if err := decode(text, &list); err != nil {
		return nil, err
	}
	if len(list) > most {
		return nil, fmt.Errorf("the list has more than %d entries", most)
	}
	return list, nil
}

func readServices(text json.RawMessage) (all []Service, err error) {
	list, err := decodeList(text, maxServices)
	if err != nil {
		return nil, err
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
	if s.Wish, err = readImage(text); err != nil {
		return s, err
	}
	var own []variable
	if err = object(text, fields{{"alias", &s.Alias}, {"command", &s.Command}, {"variables", &own}}); err != nil {
		return Service{}, err
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
	list, err := readVariables(text)
	if err != nil {
		return nil, err
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
