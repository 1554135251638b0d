package proctree

import (
	"os/exec"
	"testing"
	"time"
)

// TestUsageOfChildren: the processor time of a child and of its own children counts,
// and the memory of the largest one.
func TestUsageOfChildren(t *testing.T) {
	before, err := UsageOfChildren()
	if err != nil {
		t.Fatal(err)
	}
	burn := `bash -c 'x=$(head -c 50000000 /dev/zero | tr "\0" x); for ((i = 0; i < 200000; i++)); do :; done'; true`
	if err := exec.Command("bash", "-c", burn).Run(); err != nil {
		t.Fatal(err)
	}
	after, err := UsageOfChildren()
	if err != nil || after.CPU < before.CPU+100*time.Millisecond || after.Peak < 50_000_000 {
		t.Errorf("%+v, then %+v, %v", before, after, err)
	}
}
