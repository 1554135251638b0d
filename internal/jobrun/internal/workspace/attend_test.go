package workspace

import (
	"errors"
	"testing"

	"golang.org/x/sys/unix"
)

// TestAttendedSlotIsNotTaken: neither the death of a job's runner nor the job's
// own cleanup makes way while a stage goes on.
func TestAttendedSlotIsNotTaken(t *testing.T) {
	for name, end := range map[string]func(testing.TB, Order){
		"its runner is dead": func(testing.TB, Order) {},
		"it was cleaned up":  cleanup,
	} {
		t.Run(name, func(t *testing.T) {
			a := self(t)
			o := order(t, a, 1)
			o.Brief.Job.Owner = dead(t)
			o = configure(t, o)
			presence, err := workspace(t, o).Attend()
			must(t, err)
			again, err := workspace(t, o).Attend() // another stage of the job
			must(t, err, again.Close())
			end(t, o)
			next := configure(t, order(t, a, 2))
			if slot(next) != "001" {
				t.Errorf("the next job has %s", slot(next))
			}
			cleanup(t, next)
			must(t, presence.Close())
			if last := configure(t, order(t, a, 3)); slot(last) != "000" {
				t.Errorf("when the stage is over a job has %s", slot(last))
			}
		})
	}
}

func TestAttendWithoutDirectories(t *testing.T) {
	if _, err := workspace(t, order(t, self(t), 1)).Attend(); !errors.Is(err, unix.ENOENT) {
		t.Errorf("got %v", err)
	}
	o := order(t, self(t), 1)
	o.Brief.Settings.Storage.StaticBuildsDir = true
	presence, err := workspace(t, configure(t, o)).Attend()
	must(t, err, presence.Close())
}
