package tail

import "time"

// Pace is how long to wait between two looks: short while there is news, then
// twice as long each time up to a limit.
type Pace struct {
	Min, Max time.Duration
	now      time.Duration
}

// Next returns the wait after a look that brought news or did not.
func (p *Pace) Next(news bool) time.Duration {
	if news || p.now == 0 {
		p.now = p.Min
	} else {
		p.now = min(2*p.now, p.Max)
	}
	return p.now
}
