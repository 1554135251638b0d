package process

import (
	"os"

	"jacamar-ci/internal/pump"
)

// Pump moves what a job writes into this process's own output. The job never holds
// that itself: a daemon left behind could keep the stage open without end.
type Pump = pump.Pump

// NewPump gives the end for the job to write to; what comes through it is moved to
// out.
func NewPump(out *os.File) (*Pump, *os.File, error) {
	p, end, err := pump.New(out, pump.Size)
	if err == nil {
		p.Start()
	}
	return p, end, err
}
