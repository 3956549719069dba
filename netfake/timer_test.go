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

// meter is a stage that counts what passes in windows of a minute.
type meter struct {
	timer   *Timer
	packets int
	windows []int
}

func newMeter(w *World) *meter {
	m := &meter{}
	m.timer = w.NewTimer("meter", func(time.Duration) { m.windows, m.packets = append(m.windows, m.packets), 0 })
	return m
}

func (m *meter) String() string { return "meter" }

func (m *meter) Step(p *Packet) Next {
	if m.packets++; !m.timer.Pending() {
		m.timer.Set(p.At() + time.Minute)
	}
	return p.Onward()
}

// A room that counts the keep-alives of idle connections does not keep the world from
// resting, and misses none.
func TestTimerOfKeepAlives(t *testing.T) {
	Run(t, func(t *testing.T, w *World) {
		server, _, c, _ := dialPair(t, w, Dialer{})
		m := newMeter(w)
		server.Uplink().Link().Insert(m)
		time.Sleep(24 * time.Hour)
		if !w.resting() {
			t.Error("the world did not rest")
		}
		w.Events() // it catches up
		if n := len(m.windows); n < 24*60*4/5 {
			t.Errorf("%d windows of a minute in a day", n)
		}
		for i, n := range m.windows[1:] {
			if n != m.windows[1] {
				t.Fatalf("window %d has %d packets, the second %d", i+1, n, m.windows[1])
			}
		}
		c.Close()
	})
}
