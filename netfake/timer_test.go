package netfake

import (
	"slices"
	"testing"
	"time"
)

// Timers go off at their time to the nanosecond, those of one instant in an order that
// does not depend on who was set first, and not at all once they are stopped.
func TestTimer(t *testing.T) {
	order := func(names ...string) (went []string) {
		Run(t, func(t *testing.T, w *World) {
			var timers []*Timer
			for _, name := range names {
				timers = append(timers, w.NewTimer(name, func(now time.Duration) {
					if now != time.Minute {
						t.Errorf("%s goes off at %v", name, now)
					}
					went = append(went, name)
				}))
			}
			stopped := w.NewTimer("stopped", func(time.Duration) { t.Error("a stopped timer goes off") })
			w.Do(func(time.Duration) {
				for _, timer := range timers {
					timer.Set(time.Hour)
					timer.Set(time.Minute)
				}
				stopped.Set(time.Minute)
				if !stopped.Pending() {
					t.Error("a timer that is set is not pending")
				}
				stopped.Stop()
			})
			w.Sleep(2 * time.Minute)
			if timers[0].Pending() {
				t.Error("a timer that went off is pending")
			}
		})
		return went
	}
	forth, back := order("a", "b", "c"), order("c", "b", "a")
	if len(forth) != 3 || !slices.Equal(forth, back) {
		t.Errorf("set forwards %v, backwards %v", forth, back)
	}
}

// A timer may set itself again.
func TestTimerRepeats(t *testing.T) {
	Run(t, func(t *testing.T, w *World) {
		ticks := 0
		var tick *Timer
		tick = w.NewTimer("tick", func(now time.Duration) {
			ticks++
			tick.Set(now + time.Second)
		})
		w.Do(func(now time.Duration) { tick.Set(now + time.Second) })
		w.Sleep(10 * time.Second)
		w.Do(func(time.Duration) { tick.Stop() })
		w.Sleep(10 * time.Second)
		if ticks != 10 {
			t.Errorf("%d ticks in 10 s", ticks)
		}
	})
}
