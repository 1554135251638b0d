package check

import (
	"context"
	"errors"

	"github.com/hashicorp/go-multierror"

	"jacamar-ci/internal/job"
	"jacamar-ci/internal/trustedfile"
)

// untrusted are the reasons not to believe a file, as failures.
func (s Site) untrusted(p job.AbsPath) []Line { return failures(s.Trust.Check(p)) }

func failures(faults []trustedfile.Fault) []Line {
	var lines []Line
	for _, f := range faults {
		lines = append(lines, fail(f.Fix, "%s %s", f.Path, f.Problem))
	}
	return lines
}

func configuration(_ context.Context, s Site) []Line {
	lines := s.untrusted(s.File)
	var fault *trustedfile.Fault
	var several *multierror.Error
	switch {
	case s.Err == nil, errors.As(s.Err, &fault):
	case errors.As(s.Err, &several):
		for _, err := range several.Errors {
			lines = append(lines, fail("correct it in "+s.File.String(), "%v", err))
		}
	default:
		lines = append(lines, fail("correct it in "+s.File.String(), "%v", s.Err))
	}
	if s.Config != nil {
		for _, w := range s.Config.Warnings {
			lines = append(lines, warn("change it in "+s.File.String(), "%v", w))
		}
	}
	return or(lines, "%s can be trusted and has no fault", s.File)
}

func caFile(_ context.Context, s Site) []Line {
	p := s.Config.General.TLSCAFile
	if p.IsZero() {
		return nil
	}
	return or(s.untrusted(p), "%s can be trusted", p)
}
