package monitor

// Environ is the whole environment that jacamar starts with; jacamar makes that of the
// job. A node may have hundreds of processors, for each of which Go's runtime would
// prepare: with 256 of them that takes longer than all else that jacamar does. Of a
// fatal error the runtime prints one line instead of stacks: the user reads it.
func Environ() []string { return []string{"PATH=/usr/bin:/bin", "GOMAXPROCS=2", "GOTRACEBACK=none"} }
