package claims

import "jacamar-ci/internal/job"

// Expected is what the runner was told of the job by GitLab itself
// (JOB_RESPONSE_FILE, outside its variables). The token has to agree.
type Expected struct {
	JobID     job.ID
	ProjectID job.ID
	// PipelineID is 0 where the runner is too old to pass it on (before 19.0).
	PipelineID job.ID
	// UserID is 0 where the runner is too old to pass it on (before 18.5).
	UserID job.ID
	// ScopedUserID is set for a composite identity: a service account that acts
	// for a person. 0 otherwise.
	ScopedUserID job.ID
}
