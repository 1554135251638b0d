package docs

// Fixes collects what the programs print as a thing to do: the fixes of `jacamar-admin
// check`, and the second lines of errors in a job's log (JobLog).
func Fixes(top string) ([]Message, error) {
	return collect(top, []source{
		{".WithHint", 0, true, "", ""},
		{"warn", 0, false, "internal/auth/admin/check", ""},
		{"fail", 0, false, "internal/auth/admin/check", ""},
	}, map[string]source{
		"Fault.Fix": {below: "internal/trustedfile"}, "trustedfile.Fault.Fix": {},
	})
}
