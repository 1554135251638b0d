package idtoken

import (
	"context"
	"time"
)

// Probe is what an administrator wants to know of the key server and of the kept
// keys.
type Probe struct {
	URL string
	// Connected reports whether anything listens there.
	Connected bool
	// Secured reports whether its certificate was verified; false for http.
	Secured bool
	// Skew is how far its clock is before ours, to a second, where it says.
	Skew      time.Duration
	SkewKnown bool
	// Keys is the number of keys that it offers.
	Keys int
	// Err says why its answer is of no use, nil when it is.
	Err error
	// KeptKeys and KeptAge are of the set in the state directory.
	KeptKeys int
	KeptAge  time.Duration
	// Foreign is set where the server offers none of them.
	Foreign bool
	// KeptErr says why there is none to believe, nil when there is.
	KeptErr error
}

// Probe asks the server and looks at the state directory. It changes nothing,
// so that an administrator may call it under another account than the service's.
func (k *Keys) Probe(ctx context.Context, now time.Time) Probe {
	p := Probe{URL: k.server.url.Redacted()}
	start := time.Now()
	a, err := k.server.fetch(ctx)
	p.Connected, p.Secured, p.Err = a.Connected, a.Secured, err
	if !a.Date.IsZero() {
		p.Skew, p.SkewKnown = a.Date.Sub(now.Add(time.Since(start))).Round(time.Second), true
	}
	var offered KeySet
	if err == nil {
		offered, p.Err = ParseKeySet(a.Set)
		p.Keys = offered.Len()
	}
	kept, err := k.store.read()
	p.KeptErr = err
	if err == nil {
		p.KeptKeys, p.KeptAge = kept.set.Len(), now.Sub(kept.fetched)
		p.Foreign = p.Err == nil && !offered.shares(kept.set)
	}
	return p
}

// Kept says why there is no set to believe in the state directory, nil when there
// is. A fault of the directory itself is one of the configuration.
func (k *Keys) Kept() error {
	_, err := k.store.read()
	return err
}
