package monitor

import (
	"testing"
	"time"
)

func TestExitDeadline(t *testing.T) {
	const kill = 10 * time.Second
	begun := time.Now()
	type step struct {
		event event
		at    time.Duration
	}
	for name, c := range map[string]struct {
		steps   []step
		stopped bool
		limit   time.Duration // from the beginning; 0 for none
	}{
		"nothing":                         {nil, false, 0},
		"asked":                           {[]step{{stopAsked, 0}}, true, kill},
		"asked twice":                     {[]step{{stopAsked, 0}, {stopAsked, 3 * time.Second}}, true, kill},
		"the runner is gone":              {[]step{{runnerLost, 0}}, true, cancelGrace},
		"asked, then gone":                {[]step{{stopAsked, 0}, {runnerLost, time.Second}}, true, kill},
		"gone, then asked":                {[]step{{runnerLost, 0}, {stopAsked, time.Second}}, true, cancelGrace},
		"a result":                        {[]step{{concluded, time.Second}}, false, time.Second + exitLimit},
		"a result after a request":        {[]step{{stopAsked, 0}, {concluded, time.Second}}, true, time.Second + exitLimit},
		"a result shortly before the end": {[]step{{stopAsked, 0}, {concluded, 9 * time.Second}}, true, kill},
		"a request after a result":        {[]step{{concluded, 0}, {stopAsked, time.Second}}, true, exitLimit},
		"a request after a result, with more time": {[]step{{concluded, 0}, {runnerLost, time.Second}}, true, exitLimit},
	} {
		t.Run(name, func(t *testing.T) {
			exit := exitDeadline{killTimeout: kill}
			for _, s := range c.steps {
				exit = exit.after(s.event, begun.Add(s.at))
			}
			if exit.stopped != c.stopped {
				t.Errorf("stopped is %v", exit.stopped)
			}
			if late := exit.late(); (late == nil) != (c.limit == 0) {
				t.Errorf("late is %v", late)
			}
			if c.limit != 0 && !exit.at.Equal(begun.Add(c.limit)) {
				t.Errorf("the deadline is %v after the beginning, want %v", exit.at.Sub(begun), c.limit)
			}
		})
	}
}

func TestLateComesAtTheDeadline(t *testing.T) {
	c := exitDeadline{killTimeout: 10 * time.Millisecond}.after(stopAsked, time.Now())
	select {
	case <-c.late():
	case <-time.After(time.Minute):
		t.Error("it did not come")
	}
}
