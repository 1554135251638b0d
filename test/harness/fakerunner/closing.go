package fakerunner

import "regexp"

// closing is the section that jacamar adds to the output of a script.
var closing = regexp.MustCompile("(?s)\x1b\\[0Ksection_start:[0-9]+:jacamar_end\\[collapsed=true\\]\r.*section_end:[0-9]+:jacamar_end\r\x1b\\[0K\n")

// ScriptOutput is the call's standard output without the section in which jacamar reports
// the end of the script.
func (c Call) ScriptOutput() string { return string(closing.ReplaceAll(c.Stdout, nil)) }
