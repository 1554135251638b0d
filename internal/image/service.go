package image

import (
	"fmt"
	"slices"
	"strings"

	"jacamar-ci/internal/job"
)

// Service is one entry of `services:` of a job.
type Service struct {
	Request
	// Aliases are the host names by which the script finds the service: those that
	// GitLab's docker executor makes from the name of the image, then the job's own.
	Aliases []string `json:"aliases"`
	// Command replaces that of the image; nil keeps it.
	Command []string `json:"command,omitempty"`
}

// ServiceWish is a Service as the job's author wrote it.
type ServiceWish struct {
	Wish
	// Alias are names separated by blanks or commas.
	Alias   string
	Command []string // nil: the image's own
}

// Bounds of a service.
const (
	maxAliases = 16
	maxAlias   = 253 // bytes: RFC 1123, 2.1
)

// Parse checks the service. The error is for the job's author.
func (w ServiceWish) Parse() (s Service, err error) {
	if s.Request, err = w.Wish.Parse(); err != nil {
		return Service{}, err
	}
	if !s.Path.IsZero() {
		return Service{}, fmt.Errorf("%q is a path, and services have images of a registry", job.Clip(w.Name))
	}
	if err := checkWords(w.Command); err != nil {
		return Service{}, fmt.Errorf("the command of the image %s %w", s.Reference, err)
	}
	own := strings.FieldsFunc(w.Alias, func(r rune) bool { return r == ' ' || r == ',' || r == '\t' || r == '\n' })
	if len(own) > maxAliases {
		return Service{}, fmt.Errorf("it has more than %d aliases", maxAliases)
	}
	for _, alias := range own {
		if !isAlias(alias) {
			return Service{}, fmt.Errorf("alias: %q is not the name of a host: letters, digits, ., - and _", job.Clip(alias))
		}
	}
	for _, alias := range append(namesOf(w.Name), own...) {
		if isAlias(alias) && !slices.Contains(s.Aliases, alias) {
			s.Aliases = append(s.Aliases, alias)
		}
	}
	s.Command = w.Command
	return s, nil
}

// namesOf returns the aliases that GitLab Runner's docker executor makes from the name as
// it is written, without tag, digest and port (helpers/services.go, SplitNameAndVersion):
// registry/org/name is registry__org__name and registry-org-name.
func namesOf(name string) []string {
	name, _, _ = strings.Cut(strings.TrimPrefix(name, "docker://"), "@")
	name, _ = cutTag(name)
	if registry, path, found := strings.Cut(name, "/"); found {
		host, _, _ := strings.Cut(registry, ":")
		name = host + "/" + path
	}
	first, second := strings.ReplaceAll(name, "/", "__"), strings.ReplaceAll(name, "/", "-")
	if first == second {
		return []string{first}
	}
	return []string{first, second}
}

// isAlias accepts what hosts(5) accepts, and the underscores of GitLab's own aliases.
func isAlias(s string) bool { return isWord(s, maxAlias) }

// Label names the service in messages: by the last of its aliases, which is the job's own
// where it has one, or by its image where it has none.
func (s Service) Label() string {
	if n := len(s.Aliases); n > 0 {
		return s.Aliases[n-1]
	}
	return s.Reference.String()
}

// ServiceCommand returns the argv of a service in an image with the configuration. As with
// docker-run(1), an entrypoint of the job's own excludes the command of the image.
func (c Config) ServiceCommand(s Service) []string {
	command := s.Command
	if command == nil && len(s.Entrypoint) == 0 {
		command = c.Cmd
	}
	return c.Command(s.Entrypoint, command...)
}

// FreeAliases are the aliases of each service without those that an earlier one has, as
// GitLab's docker executor has them. Each of those is in a line for a warning.
func FreeAliases(services []Service) (free [][]string, taken []string) {
	owners := map[string]string{}
	for _, s := range services {
		var aliases []string
		for _, alias := range s.Aliases {
			if first, found := owners[alias]; found {
				taken = append(taken, fmt.Sprintf("the alias %s of the service %s is ignored: the service %s has it", alias, s.Reference, first))
				continue
			}
			owners[alias] = s.Reference.String()
			aliases = append(aliases, alias)
		}
		free = append(free, aliases)
	}
	return free, taken
}
