// Package gridengine runs a real Grid Engine of Debian's packages for tests. Its
// daemons listen on every address and refuse host names of the loopback network,
// so they live in a network, host-name and mount namespace, together with
// everything that speaks to them: the test process starts itself again inside.
package gridengine
