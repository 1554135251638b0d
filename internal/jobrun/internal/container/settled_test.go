package container

import (
	"strings"
	"testing"
)

// TestParseSettled: a text that is not complete starts no container.
func TestParseSettled(t *testing.T) {
	const whole = `{"engine":"podman","image":"busybox","place":{"form":"","path":"/i"},"shell":"sh"}`
	for name, tt := range map[string]struct{ text, want string }{
		"whole":         {whole, ""},
		"no engine":     {strings.Replace(whole, "podman", "", 1), "not complete"},
		"no path":       {strings.Replace(whole, `,"path":"/i"`, "", 1), "not complete"},
		"no shell":      {strings.Replace(whole, `"sh"`, `""`, 1), "not complete"},
		"nothing":       {"{}", "not complete"},
		"cut":           {whole[:len(whole)-1], "unexpected EOF"},
		"another field": {strings.Replace(whole, `"image"`, `"images"`, 1), "unknown field"},
	} {
		s, err := ParseSettled([]byte(tt.text))
		if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %+v, %v", name, s, err)
		}
	}
}

func TestVolume(t *testing.T) {
	for bind, want := range map[Bind]string{{Source: "/a", Target: "/b"}: "/a:/b", {Source: "/a", Target: "/b", ReadOnly: true}: "/a:/b:ro"} {
		if got := bind.Volume(); got != want {
			t.Errorf("%+v: %q", bind, got)
		}
	}
}
