package driver

import (
	"jacamar-ci/internal/config"
	"jacamar-ci/internal/failure"
	"jacamar-ci/internal/image"
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
