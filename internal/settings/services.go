package settings

// ServicesNetwork is the network in which a job's services and its script run.
type ServicesNetwork string

// The networks.
const (
	ServicesOff     ServicesNetwork = "off"     // no services are started
	ServicesPrivate ServicesNetwork = "private" // one of the job's own, without a way out
	ServicesHost    ServicesNetwork = "host"    // that of the host
)

// UnmarshalText implements encoding.TextUnmarshaler.
func (n *ServicesNetwork) UnmarshalText(b []byte) error {
	return Pick(n, b, []Spelling[ServicesNetwork]{{"private", ServicesPrivate}, {"host", ServicesHost}, {"off", ServicesOff}})
}
