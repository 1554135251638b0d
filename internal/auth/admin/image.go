package admin

import (
	"errors"
	"fmt"
	"strings"

	"jacamar-ci/internal/auth"
	"jacamar-ci/internal/auth/internal/policy"
	"jacamar-ci/internal/config"
	"jacamar-ci/internal/customexec"
	"jacamar-ci/internal/driver"
	"jacamar-ci/internal/job"
)

// explainImage is the decision about the image that the options name, or else the response
// of the job.
func explainImage(i auth.Installation, o ExplainOptions, account job.Username) (policy.Step, error) {
	step := policy.Step{Rule: auth.RuleImage, Outcome: policy.Skipped, Reason: "general.run_mechanism is not set: jobs run on the host"}
	if i.Config().General.RunMechanism == "" {
		return step, nil
	}
	named := customexec.Image{Name: o.Image}
	if o.Image == "" && o.Response != "" {
		var err error
		if named, err = i.NamedImage(); err != nil {
			return step, err
		}
	}
	choice, err := i.ChooseImage(named, o.Modules, account)
	var refused *driver.ImageError
	switch {
	case errors.As(err, &refused):
		step.Outcome, step.Reason = policy.Deny, fmt.Sprintf("%v (%s)", refused, refused.Rule)
		return step, nil
	case err != nil:
		return step, err
	}
	step.Outcome, step.Reason = policy.OK, described(choice)
	return step, nil
}

// described is the reason of an image that is allowed.
func described(c driver.ImageChoice) string {
	rule := c.Rule
	if rule == "" {
		rule = "no rule is for the job"
	}
	switch {
	case c.Request == nil:
		return "no image is named: the job runs on the host; " + rule
	case !c.Request.Path.IsZero():
		return c.Request.Name() + " by container.local_images" + modulesText(c.Modules)
	}
	policies := make([]string, len(c.Policies))
	for n, p := range c.Policies {
		policies[n] = string(p)
	}
	return fmt.Sprintf("%s (pull policy %s); %s", c.Request.Name(), strings.Join(policies, ", "), rule) + modulesText(c.Modules)
}

// modulesText lists the modules of a job's containers.
func modulesText(modules []config.Module) string {
	if len(modules) == 0 {
		return ""
	}
	names := make([]string, len(modules))
	for n, m := range modules {
		names[n] = string(m.Name)
	}
	return "; modules " + strings.Join(names, ", ")
}
