package netfake

import (
	"time"

	"github.com/netspec-go/netspec/internal/sched"
)

// rest lets a world in a bubble stand still while nothing happens in it but questions
// whose answers change nothing: the keep-alives of idle connections, and probes of closed
// windows. They go on for ever, and virtual time would pass with them for ever where all
// of a test's goroutines wait for one another: a deadlock would be a hang.
//
// So when for an hour, and longer than the longest series of keep-alives that could end a
// connection, there was no call of an application and no other event, the world arms no
// timer for them. Then they have shown that they are answered, and every middlebox on the
// way has heard them: the longest timeout in the house with which something dies of
// silence is that of an unanswered window probe, 16 times 120 s; a NAT gateway's is
// 350 s, TIME-WAIT 60 s. What is left to chance is a link that loses so many probes that
// the connection dies days later: who waits for nothing but that is told of a deadlock.
// Other events that wait, deadlines and timers of rooms, are still met.
//
// Whoever next enters the world has it catch up first: each event runs at its own time, in
// the order in which it would have run, so that nothing tells that the world has rested:
// no counter, no capture, no clock. A bubble's time passes only at events, so that this is
// all that the world does late.
type rest struct {
	since time.Duration // when the last event was that is not Idle, or an application's call
	after time.Duration // of that the world rests
	rests bool          // events may be overdue
}

// restAfter is how long at least nothing must happen. It is longer than any protocol
// waits for an answer before it gives up.
const restAfter = time.Hour

// next returns the event for which the timer is to be armed.
func (w *World) next() *sched.Event {
	head := w.queue.Head()
	if head == nil || !head.Idle || w.bubble == "" || w.now-w.rest.since < w.rest.after {
		return head
	}
	w.rest.rests = true
	return w.queue.Busy()
}

// catchUp brings the world to the present. What it has slept through happens first.
func (w *World) catchUp() {
	now := time.Since(w.epoch)
	if w.rest.rests {
		w.rest.rests = false
		for head := w.queue.Head(); head != nil && head.At < now; head = w.queue.Head() {
			w.now = head.At
			w.settle()
		}
	}
	w.now = now
}
