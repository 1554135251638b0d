package driver

import (
	"slices"
	"strings"

	"jacamar-ci/internal/config"
	"jacamar-ci/internal/failure"
	"jacamar-ci/internal/image"
	"jacamar-ci/internal/job"
	"jacamar-ci/internal/settings"
)

// ImageChoice is the decision about the image of a job.
type ImageChoice struct {
	// Rule names the [[container.rule]] that is for the job, "" where none is.
	Rule string
	// Request is the image, nil for a job that runs on the host.
	Request *image.Request
	// Policies are the pull policies to try, in order.
	Policies []image.PullPolicy
	// Modules are added to the containers of the job's scripts.
	Modules []config.Module
}

// ImageError is a job whose image the site does not allow, or that has none where the site
// requires one. It wraps a failure of the job.
type ImageError struct {
	// Rule is what decided.
	Rule string
	err  *failure.Error
}

// Error implements error.
func (e *ImageError) Error() string { return e.err.Error() }

// Unwrap returns the failure.
func (e *ImageError) Unwrap() error { return e.err }

// ChooseImage decides about the image and the modules that a job names, or about a job that
// names none. The error is an *ImageError where the site does not allow it.
func (s *Session) ChooseImage(named image.Wish, modules string, matches Matches) (c ImageChoice, err error) {
	rule, name, err := s.containerRule(matches)
	if err != nil {
		return c, err
	}
	c.Rule = name
	if c.Request, err = s.chooseImage(named, s.imageRule(rule, name)); err != nil || c.Request == nil {
		return c, err
	}
	if c.Policies, err = s.pullPolicies(c.Request.PullPolicy); err == nil {
		c.Modules, err = chooseModules(s.Site.Container.Modules, rule.Modules, modules)
	}
	return c, err
}

// chooseImage returns the job's image, or else the site's; nil for none.
func (s *Session) chooseImage(named image.Wish, rule image.Rule) (*image.Request, error) {
	if named.Name == "" {
		return s.defaultImage(rule)
	}
	r, err := named.Parse()
	if err != nil {
		return nil, &ImageError{"image_name", failure.Buildf("cannot use the job's image: %w", err).WithHint("correct image: in .gitlab-ci.yml")}
	}
	if local := s.Site.Container.LocalImages; !r.Path.IsZero() {
		if !image.PermitsPath(local, r.Path) {
			return nil, &ImageError{"local_images", failure.Buildf("the image %s is not allowed: it is a path on this resource", r.Path).
				WithHint("%s", allowedPaths(local))}
		}
		return &r, nil
	}
	if !rule.Permits(r.Reference) {
		return nil, &ImageError{rule.Name, failure.Buildf("the image %s is not allowed for this job", r.Reference).
			WithHint("allowed on this resource: %s", rule.Allowed())}
	}
	return &r, nil
}

// allowedPaths is the advice about paths as images.
func allowedPaths(allowed []image.Paths) string {
	if len(allowed) == 0 {
		return "name an image in a registry: this resource allows no paths (administrators: container.local_images)"
	}
	return "allowed on this resource: " + job.Listed(allowed)
}

func (s *Session) defaultImage(rule image.Rule) (*image.Request, error) {
	if d := s.Site.General.Engine().DefaultImage; !d.IsZero() {
		return &image.Request{Reference: d}, nil
	}
	if rule.Required {
		return nil, &ImageError{"image_required", failure.Buildf("the job names no image, and this resource runs jobs in containers only").
			WithHint("write image: NAME in .gitlab-ci.yml")}
	}
	return nil, nil
}

// containerRule returns the first rule that is for the job with its name, which is "" where
// none is.
func (s *Session) containerRule(matches Matches) (rule config.ContainerRule, name string, err error) {
	for i, rule := range s.Site.Container.Rules {
		ok, err := matches(rule.Matcher)
		if err != nil || ok {
			return rule, ruleName("container", i, rule.Matcher), err
		}
	}
	return config.ContainerRule{}, "", nil
}

// imageRule is what a rule allows.
func (s *Session) imageRule(rule config.ContainerRule, name string) image.Rule {
	return image.Rule{Name: name, Images: rule.Images, Services: rule.Services, Required: rule.Required || s.Site.Container.ImageRequired}
}

// pullPolicies are those to try for the job's image.
func (s *Session) pullPolicies(ofJob []image.PullPolicy) ([]image.PullPolicy, error) {
	c := s.Site.Container
	ofSite := c.PullPolicy
	if ofSite == nil {
		ofSite = []image.PullPolicy{image.IfNotPresent}
	}
	if one := s.Site.General.Engine().ImagePullPolicy; one != "" {
		ofSite = []image.PullPolicy{one}
	}
	policies, err := image.EffectivePolicies(ofJob, ofSite, c.AllowedPullPolicies)
	if err != nil {
		return nil, &ImageError{"allowed_pull_policies", failure.Buildf("cannot use the job's image: %w", err).
			WithHint("correct or remove pull_policy in .gitlab-ci.yml")}
	}
	return policies, nil
}

// modulesVariable names modules that a job has in addition to those of its rule.
const modulesVariable = "JACAMAR_CI_CONTAINER_MODULES"

// chooseModules returns the modules of a rule and then those that the job names, separated
// by blanks or commas: each once, and only those that the site offers.
func chooseModules(offered []config.Module, ofRule []settings.ModuleName, wanted string) (chosen []config.Module, err error) {
	names := slices.Clone(ofRule)
	for _, name := range strings.FieldsFunc(wanted, func(r rune) bool { return strings.ContainsRune(" ,\t\n", r) }) {
		if !slices.ContainsFunc(offered, func(m config.Module) bool { return string(m.Name) == name }) {
			return nil, unknownModule(offered, name)
		}
		names = append(names, settings.ModuleName(name))
	}
	var seen []settings.ModuleName
	for _, name := range names {
		i := slices.IndexFunc(offered, func(m config.Module) bool { return m.Name == name })
		if i >= 0 && !slices.Contains(seen, name) {
			seen, chosen = append(seen, name), append(chosen, offered[i])
		}
	}
	return chosen, nil
}

func unknownModule(offered []config.Module, name string) error {
	err := failure.Buildf("the job names the container module %q in %s, and this resource has no such module", job.Clip(name), modulesVariable)
	if len(offered) == 0 {
		return &ImageError{"container.module", err.WithHint("remove %s: this resource has no modules", modulesVariable)}
	}
	var names []string
	for _, m := range offered {
		names = append(names, string(m.Name))
	}
	return &ImageError{"container.module", err.WithHint("modules of this resource: %s", strings.Join(names, ", "))}
}
