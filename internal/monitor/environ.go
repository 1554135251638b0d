package monitor

// Environ is the whole environment that jacamar starts with; jacamar makes that of the
// job. Go's runtime prepares for each processor of a node: with 256 of them that takes
// longer than all else that jacamar does. With one there are also fewer threads, and
// fewer switches between them. Of a fatal error the runtime prints one line instead of
// stacks: the user reads it.
func Environ() []string { return []string{"PATH=/usr/bin:/bin", "GOMAXPROCS=1", "GOTRACEBACK=none"} }
