package workspace

import (
	"bytes"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"jacamar-ci/internal/ipc"
	"jacamar-ci/internal/job"
	"jacamar-ci/internal/proctree"
	"jacamar-ci/test/harness/testutil"
)

func sample(id job.ID) reservation {
	owner, _ := proctree.Find(os.Getpid())
	return newReservation(ipc.Job{ID: id, Runner: "t0ken", Timeout: 3600, Owner: owner}, currentHost(), time.Now())
}

func TestReservationExpired(t *testing.T) {
	now, here := time.Now(), currentHost()
	gone := dead(t)
	otherBoot := gone
	otherBoot.Boot = "00000000-0000-0000-0000-000000000000"
	nameless := here
	nameless.Machine = ""
	for name, tt := range map[string]struct {
		change func(*reservation)
		here   hostID
		want   bool
	}{
		"owner lives":                     {func(*reservation) {}, here, false},
		"owner is dead":                   {func(c *reservation) { c.Owner = gone }, here, true},
		"time is over":                    {func(c *reservation) { c.Until = now.Add(-time.Second) }, here, true},
		"time is over on another host":    {func(c *reservation) { c.Host.Host, c.Until = "other", now.Add(-time.Second) }, here, true},
		"dead, on another host":           {func(c *reservation) { c.Owner, c.Host.Host = gone, "other" }, here, false},
		"dead, on a machine of that name": {func(c *reservation) { c.Owner, c.Host.Machine = gone, "0123" }, here, false},
		"dead, in another container":      {func(c *reservation) { c.Owner, c.Host.PIDNamespace = gone, "pid:[1]" }, here, false},
		"dead, before the machine booted": {func(c *reservation) { c.Owner = otherBoot }, here, true},
		"booted, maybe another machine":   {func(c *reservation) { c.Owner, c.Host = otherBoot, nameless }, nameless, false},
		"dead, on a nameless machine":     {func(c *reservation) { c.Owner, c.Host = gone, nameless }, nameless, true},
		"no owner":                        {func(c *reservation) { c.Owner = proctree.Process{} }, here, false},
		"pid used again":                  {func(c *reservation) { c.Owner.Start-- }, here, true},
	} {
		if tt.here.Machine == "" && name != "booted, maybe another machine" && name != "dead, on a nameless machine" {
			t.Log("this machine has no machine-id")
			continue
		}
		c := sample(1)
		tt.change(&c)
		if got := c.expired(newOwners(tt.here), now); got != tt.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestReservationOutlivesTheTimeout(t *testing.T) {
	now := time.Now()
	c := newReservation(ipc.Job{ID: 1, Timeout: 600}, hostID{}, now)
	if c.expired(newOwners(hostID{}), now.Add(600*time.Second+reservationSlack-2*time.Second)) || !c.expired(newOwners(hostID{}), now.Add(600*time.Second+reservationSlack+time.Second)) {
		t.Errorf("the reservation lasts until %v", c.Until)
	}
}

func TestRecords(t *testing.T) {
	longest := sample(1<<63 - 1)
	longest.Runner, longest.Host.Host = strings.Repeat("r", 32), strings.Repeat("h", 64)
	longest.Owner.Start = 1<<64 - 1
	for _, c := range []reservation{{}, sample(7), longest} {
		record, err := c.encode()
		if err != nil || len(record) != reservationSize {
			t.Fatalf("%d bytes, %v", len(record), err)
		}
		got, used := decodeReservation(record)
		if diff := cmp.Diff(c, got); diff != "" || !used {
			t.Errorf("used %v: %s", used, diff)
		}
	}
	if _, used := decodeReservation(make([]byte, reservationSize)); used {
		t.Error("a slot that was never used counts as used")
	}
	longest.Runner = strings.Repeat("r", reservationSize)
	if _, err := longest.encode(); err == nil {
		t.Error("a record that does not fit is written")
	}
}

// TestCorruptRecords: a corrupt record means a free slot.
func TestCorruptRecords(t *testing.T) {
	whole, err := sample(7).encode()
	testutil.Must(t, err)
	text := bytes.TrimRight(whole, "\x00")
	for cut := 1; cut < len(text); cut++ {
		torn := append(append([]byte{}, text[:cut]...), make([]byte, reservationSize-cut)...)
		if c, used := decodeReservation(torn); !used || !c.free() {
			t.Fatalf("cut at %d: %+v", cut, c)
		}
	}
	for _, broken := range []string{"x", "[]", `"a"`, "\xff", strings.Repeat("{", reservationSize), `{"job":"1"}`, `{"job":1.5}`} {
		if c, used := decodeReservation([]byte(broken)); !used || !c.free() {
			t.Errorf("%q: %+v", broken, c)
		}
	}
}

func TestChooseSlot(t *testing.T) {
	mine := ipc.Job{ID: 7, Runner: "t0ken"}
	live, over, free, own := sample(1), sample(2), reservation{}, sample(7)
	otherRunner := sample(7)
	otherRunner.Runner = "another"
	for name, tt := range map[string]struct {
		claims []reservation
		want   int
	}{
		"first of all":            {nil, 0},
		"behind live ones":        {[]reservation{live, live}, 2},
		"lowest free":             {[]reservation{live, free, free}, 1},
		"lowest over":             {[]reservation{live, over, free}, 1},
		"free before over":        {[]reservation{free, over}, 0},
		"its own":                 {[]reservation{live, own}, 1},
		"its own, behind a free":  {[]reservation{free, over, own}, 2},
		"same id, other instance": {[]reservation{otherRunner}, 1},
	} {
		got, err := chooseSlot(tt.claims, mine, func(_ int, c reservation) bool { return c.free() || c.Job == 2 })
		if got != tt.want || err != nil {
			t.Errorf("%s: %d, %v", name, got, err)
		}
	}
	full := make([]reservation, maxSlots)
	for i := range full {
		full[i] = live
	}
	if _, err := chooseSlot(full, mine, func(int, reservation) bool { return false }); err == nil || !strings.Contains(err.Error(), "among 1000") {
		t.Errorf("got %v", err)
	}
}

func FuzzRecord(f *testing.F) {
	record, err := sample(7).encode()
	testutil.Must(f, err)
	f.Add(record)
	f.Add([]byte(`{"job":1}`))
	f.Fuzz(func(t *testing.T, record []byte) {
		c, used := decodeReservation(record)
		if !c.free() && !used {
			t.Errorf("%+v of a slot that was never used", c)
		}
		_ = c.expired(newOwners(currentHost()), time.Now())
	})
}
