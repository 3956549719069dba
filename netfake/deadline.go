package netfake

import (
	"sync"
	"time"

	"github.com/netspec-go/netspec/internal/sched"
)

// deadline is a socket's read or write deadline.
type deadline struct {
	world  *World
	cond   *sync.Cond
	event  sched.Event
	passed bool
}

func (d *deadline) init(w *World, key uint64, cond *sync.Cond) {
	d.world, d.cond = w, cond
	d.event = sched.Event{Class: sched.Deadline, Key: key, Task: d}
}

// Fire makes those who wait see that their time is up.
func (d *deadline) Fire(time.Duration) {
	d.passed = true
	d.world.wake(d.cond)
}

// over reports whether the deadline has passed. One that is nil never does.
func (d *deadline) over() bool { return d != nil && d.passed }

func (d *deadline) stop() {
	if d != nil {
		d.world.queue.Remove(&d.event)
	}
}

// set moves the deadline to t; the zero time is none.
func (d *deadline) set(t time.Time) {
	d.stop()
	d.passed = false
	if t.IsZero() {
		return
	}
	at := t.Sub(d.world.epoch)
	if at <= d.world.now {
		d.Fire(at)
		return
	}
	d.event.At = at
	d.world.queue.Push(&d.event)
}
