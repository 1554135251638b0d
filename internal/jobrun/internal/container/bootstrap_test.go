package container

import "testing"

func TestParseMarks(t *testing.T) {
	for text, want := range map[string]Progress{
		"":             {},
		"x":            {},
		"s":            {},
		"c":            {Inside: true},
		"cx":           {Inside: true},
		"cs":           {Inside: true, Began: true},
		"cse":          {Inside: true, Began: true},
		"cse4":         {Inside: true, Began: true}, // cut off: more digits may follow
		"cse0\n":       {Inside: true, Began: true, Ended: true},
		"cse255\n":     {Inside: true, Began: true, Ended: true, Code: 255},
		"cse137\ntail": {Inside: true, Began: true, Ended: true, Code: 137},
		"cse-1\n":      {Inside: true, Began: true},
		"cse\n":        {Inside: true, Began: true},
	} {
		if got := ParseMarks(text); got != want {
			t.Errorf("%q: %+v, want %+v", text, got, want)
		}
	}
	if got := ParseMarks("cse256\n"); got.Ended {
		t.Errorf("256 is no exit code: %+v", got)
	}
}
