package process

// Stop requests the end of a job.
type Stop struct {
	// Terminate is closed when the job must end in good order.
	Terminate <-chan struct{}
	// Abort is closed, always with or after Terminate, when it must end at once.
	Abort <-chan struct{}
}

// Terminating reports whether the job must end.
func (s Stop) Terminating() bool { return closed(s.Terminate) }

// Aborting reports whether the job must end at once.
func (s Stop) Aborting() bool { return closed(s.Abort) }

func closed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}
