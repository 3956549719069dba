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
		w.timer = time.AfterFunc(delay, w.tick)
		return
	}
	w.timer.Reset(delay)
}

func (w *World) tick() {
	deepen(int(w.seed))
	w.mu.Lock()
	w.catchUp()
	w.armed = 0
	w.unlock()
}

// deepen has the stack of a new goroutine, and the timer's is a new one each time, grow to
// what a packet's way needs at once, while there is little on it that must be moved: that
// is a third of what a tick with one packet costs. What it computes is of no use.
//
//go:noinline
func deepen(i int) byte {
	var room [4 << 10]byte
	room[i&(len(room)-1)] = 1
	return room[i/2&(len(room)-1)]
}
