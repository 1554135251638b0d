package container

import (
	"strings"
	"testing"

	"jacamar-ci/internal/image"
)

func described(texts ...string) Reply {
	var b strings.Builder
	for i, text := range texts {
		b.WriteString(Separator + squashfsParts[i] + "\n" + text + "\n")
	}
	return Reply{Stdout: b.String()}
}

func TestParseSquashfs(t *testing.T) {
	sum := strings.Repeat("a", 64)
	d, err := ParseSquashfs(described(`{"config":{"User":"app"}}`, sum+"\n", "root:x:0:0::/:\n", "root:x:0:\n"))
	if err != nil || d.Config.User != "app" || d.Digest != "sha256:"+sum || !strings.HasPrefix(d.Passwd, "root:x:0:0") || !strings.HasPrefix(d.Group, "root:x:0:") {
		t.Errorf("%+v, %v", d, err)
	}
	if d, err := ParseSquashfs(described("", "", "", "")); err != nil || d.Digest != "" {
		t.Errorf("an image of other origin: %+v, %v", d, err)
	}
	for _, r := range []Reply{{}, described("{}", sum), described("{", sum, "", ""), described("{}", "no digest", "", "")} {
		if d, err := ParseSquashfs(r); err == nil {
			t.Errorf("%q: %+v", r.Stdout, d)
		}
	}
}

func FuzzParseSquashfs(f *testing.F) {
	f.Add(described("{}", strings.Repeat("a", 64), "", "").Stdout)
	f.Fuzz(func(t *testing.T, text string) {
		if d, err := ParseSquashfs(Reply{Stdout: text}); err == nil && d.Digest != "" && !image.IsDigest(d.Digest) {
			t.Errorf("%+v", d)
		}
	})
}
