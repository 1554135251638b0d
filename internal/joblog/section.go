package joblog

import (
	"fmt"
	"io"
	"strings"
	"time"

	"jacamar-ci/internal/job"
)

// Section writes lines that GitLab's log view folds away behind a title; name
// is made of letters, digits and "_". Source:
// https://docs.gitlab.com/ci/jobs/job_logs/#custom-collapsible-sections
func (v Writer) Section(name, title string, lines []string) {
	var b strings.Builder
	now := time.Now().Unix()
	fmt.Fprintf(&b, "\x1b[0Ksection_start:%d:%s[collapsed=true]\r\x1b[0K%s\n", now, name, job.Printable(title))
	for _, l := range lines {
		fmt.Fprintf(&b, "%s\n", job.Printable(l))
	}
	fmt.Fprintf(&b, "\x1b[0Ksection_end:%d:%s\r\x1b[0K\n", now, name)
	_, _ = io.WriteString(v.w, b.String())
}
