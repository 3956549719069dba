package netfake

import (
	"math"
	"runtime"
	"strings"
)

// abandonIfLeft ends a world for a test that has left its scheduler in the middle of
// something: a Step or a timer's function has panicked, or failed the test with Fatalf, on
// the test's own goroutine, and nobody has unlocked the world. Close would wait for that
// for ever, and nobody would read why.
func (w *World) abandonIfLeft() {
	for range 1000 { // others are inside for a moment only
		if w.mu.TryLock() {
			w.mu.Unlock()
			return
		}
		runtime.Gosched()
	}
	if insideDrain() {
		w.abandon()
	}
}

// insideDrain reports whether the calling goroutine is inside the scheduler. What a panic
// or Fatalf leaves stays on the stack until all that was deferred has run, which a test's
// Cleanups are.
func insideDrain() bool {
	pcs := make([]uintptr, 200)
	frames := runtime.CallersFrames(pcs[:runtime.Callers(1, pcs)])
	for {
		f, more := frames.Next()
		if strings.HasSuffix(f.Function, "netfake.(*World).drain") {
			return true
		}
		if !more {
			return false
		}
	}
}

// abandon leaves the scheduler for a goroutine that is inside and will not come back:
// nothing moves any more, and whoever waits gets net.ErrClosed.
func (w *World) abandon() {
	w.closed, w.ready = true, fifo{}
	for w.queue.Pop(math.MaxInt64) != nil {
	}
	for _, h := range w.hosts {
		h.shutdown()
	}
	w.unlock()
}
