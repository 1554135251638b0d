package logview

import (
	"strings"
	"testing"
)

func TestHTML(t *testing.T) {
	for name, tc := range map[string]struct{ log, want string }{
		"plain":               {"a <b>_x_\n\nc\n", `<div class="line">a &lt;b&gt;&#95;x&#95;</div>|<div class="line"></div>|<div class="line">c</div>`},
		"colours":             {"\x1b[0;33mWARNING: x\x1b[0m y\n", `<div class="line"><span class="yellow">WARNING: x</span> y</div>`},
		"bold":                {"\x1b[31;1mERROR\x1b[0;m\n", `<div class="line"><span class="red bold">ERROR</span></div>`},
		"a colour over lines": {"\x1b[36ma\nb\x1b[0m\n", `<div class="line"><span class="cyan">a</span></div>|<div class="line"><span class="cyan">b</span></div>`},
		"a section": {
			"\x1b[0Ksection_start:1:n[collapsed=true]\r\x1b[0K\x1b[0;36mtitle\x1b[0m\nin\n\x1b[0Ksection_end:1:n\r\x1b[0K\nafter\n",
			`<details><summary><span class="cyan">title</span></summary>|<div class="line">in</div>|</details>|<div class="line">after</div>`,
		},
		"a section behind text":       {"x\x1b[0Ksection_start:1:n\r\x1b[0Kt\nsection_end:1:n\r\x1b[0Kend\n", `<div class="line">x</div>|<details open><summary>t</summary>|</details>|<div class="line">end</div>`},
		"a section that does not end": {"section_start:1:n\r\x1b[0Kt\nin\n", `<details open><summary>t</summary>|<div class="line">in</div>|</details>`},
		"an end without a beginning":  {"section_end:1:n\r\x1b[0K\n", ``},
	} {
		got := strings.TrimSuffix(strings.TrimPrefix(HTML(tc.log), "<div class=\"joblog\">\n"), "</div>\n")
		if got = strings.ReplaceAll(strings.TrimSuffix(got, "\n"), "\n", "|"); got != tc.want {
			t.Errorf("%s:\ngot  %s\nwant %s", name, got, tc.want)
		}
	}
}

func TestWithRunnerColors(t *testing.T) {
	got := WithRunnerColors("$ true\nJob succeeded\nx\nERROR: Job failed")
	want := "\x1b[32;1m$ true\x1b[0;m\n\x1b[32;1mJob succeeded\x1b[0;m\nx\n\x1b[31;1mERROR: Job failed\x1b[0;m"
	if got != want {
		t.Errorf("%q", got)
	}
}
