package netfake

import (
	"time"

	"github.com/netspec-go/netspec/internal/sched"
)

// Timer runs a function inside the scheduler at a time. It is how a room lets something
// happen later: a window that closes, a change that has travelled. What is due at one
// instant runs after the packets that arrive then, in the order of the timers' keys.
//
// Its methods may be called only inside the scheduler: from a Step, a timer's function,
// or World.Do. A probe sets no timer.
type Timer struct {
	world *World
	event sched.Event
	run   func(now time.Duration)
}

// NewTimer makes a timer that is not set. The name gives it its place among the timers
// of one instant; f runs inside the scheduler, like a Node's Step.
func (w *World) NewTimer(name string, f func(now time.Duration)) *Timer {
	if f == nil {
		w.tb.Helper()
		w.tb.Fatalf("netfake: timer %s has no function", name)
	}
	t := &Timer{world: w, run: f}
	t.event = sched.Event{Class: sched.Expiry, Key: hashString(name), Task: (*timerTask)(t)}
	return t
}

// Set has the timer go off at a time since the world's beginning, and no longer when it
// was to go off before. A time that has passed is now, once the scheduler gets there.
//
// A timer that is set while a keep-alive is handled counts as idle: if nothing else is
// pending, virtual time does not pass for it, so that deadlocks are found.
func (t *Timer) Set(at time.Duration) {
	t.world.queue.Remove(&t.event)
	t.event.At, t.event.Idle = at, t.world.idle
	t.world.queue.Push(&t.event)
}

// Stop keeps the timer from going off. It does nothing to one that is not set.
func (t *Timer) Stop() { t.world.queue.Remove(&t.event) }

// Pending reports whether the timer is set and has not gone off.
func (t *Timer) Pending() bool { return t.event.Queued() }

// timerTask keeps Fire out of Timer's methods.
type timerTask Timer

func (t *timerTask) Fire(now time.Duration) {
	t.world.changes++
	t.run(now)
}
