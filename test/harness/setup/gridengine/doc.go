// Package gridengine runs a real Grid Engine of Debian's packages for tests. Its
// daemons listen on every address and refuse host names of the loopback network,
// so they run in a network, host-name and mount namespace, together with all their
// clients: the test process starts itself again inside.
package gridengine
