// Package customexec is the contract between GitLab Runner's custom executor and
// its driver: the environment that a driver is called with, the job response,
// the answer of the config stage and the file for the script's exit code.
// Source: https://docs.gitlab.com/runner/executors/custom/
//
// Foreign bytes become typed values here. Of all that the runner hands over,
// only two things come from GitLab itself: the fields of the job response
// outside its list of variables, and a token with a valid signature. Whatever
// carries the CUSTOM_ENV_ prefix can be set by the job's author.
package customexec
