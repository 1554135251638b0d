package main

import (
	"encoding/json"
	"os"
	"strings"
	"testing"
)

// TestWrite lists this test's own program, which links only the toolchain; a program
// that is given twice is listed once.
func TestWrite(t *testing.T) {
	own, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	if err := write(&out, "1.2.3", []string{own, own}); err != nil {
		t.Fatal(err)
	}
	var b bom
	if err := json.Unmarshal([]byte(out.String()), &b); err != nil {
		t.Fatal(err)
	}
	if b.Format != "CycloneDX" || b.Metadata.Component.Version != "1.2.3" || len(b.Components) != 1 || !strings.HasPrefix(b.Components[0].PURL, "pkg:golang/std@1.") {
		t.Errorf("%+v", b)
	}
}

func TestWriteRefuses(t *testing.T) {
	for _, file := range []string{"/nonexistent", "main.go"} {
		if err := write(&strings.Builder{}, "1", []string{file}); err == nil {
			t.Errorf("%s was accepted as a program", file)
		}
	}
}
