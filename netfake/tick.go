package netfake

import "time"

// arm sets the one timer to the next event. A timer that goes off too early because
// its event was cancelled does no harm.
func (w *World) arm() {
	head := w.next()
	if head == nil || w.closed || (w.armed != 0 && w.armed <= head.At) {
		return
	}
	w.armed = head.At
	delay := max(head.At-w.now, 0)
	if w.timer == nil {
		w.timer = time.NewTimer(delay)
		w.running.Go(w.keepTime)
		return
	}
	w.timer.Reset(delay)
}

// keepTime runs what is due whenever the timer goes off, until the world is closed. It is
// the world's one goroutine: one for each time the timer goes off would cost as much as
// what a packet does then, most of all for the stack that has to grow anew.
func (w *World) keepTime() {
	for closed := false; !closed; {
		<-w.timer.C
		w.mu.Lock()
		w.catchUp()
		w.armed = 0
		closed = w.closed
		w.unlock()
	}
}
