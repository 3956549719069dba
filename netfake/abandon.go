package netfake

import "math"

// settle is drain for who enters or leaves the scheduler. Where somebody's Step or timer
// leaves it in the middle of something, with a panic or because it has failed the test with
// Fatal, nobody else would unlock the world, and whoever uses it next would wait for ever.
func (w *World) settle() {
	w.settling = true
	defer w.left()
	w.drain()
	w.settling = false
}

// left ends and unlocks a world that was left in the middle of something.
func (w *World) left() {
	if w.settling {
		w.leftHeld()
		w.unlock()
	}
}

// settleHeld is settle for who stays in the scheduler, and unlocks the world however he
// leaves it.
func (w *World) settleHeld() {
	w.settling = true
	defer w.leftHeld()
	w.drain()
	w.settling = false
}

// held runs f, which calls what others have written, as settleHeld runs what is due.
func (w *World) held(f func()) {
	w.settling = true
	defer w.leftHeld()
	f()
	w.settling = false
}

func (w *World) leftHeld() {
	if w.settling {
		w.settling = false
		w.abandon()
	}
}

// abandon ends the world for a goroutine that leaves the scheduler and does not come back:
// nothing moves any more, and whoever waits gets net.ErrClosed. It says so, since whoever
// runs goroutines, as net/http does, may recover from a panic.
func (w *World) abandon() {
	w.tb.Errorf("netfake: the world ends at %v: a Step or a timer's function has panicked or ended its goroutine", w.now)
	w.closed, w.ready = true, fifo{}
	for w.queue.Pop(math.MaxInt64) != nil {
	}
	for _, h := range w.hosts {
		h.shutdown()
	}
}
