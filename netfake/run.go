package netfake

import (
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
)

// Run runs f in a world of its own, inside a synctest bubble: time in it is virtual
// and passes at once when everybody waits. The t that f is handed is the bubble's and
// shadows the outer one; as in any bubble its Run and Parallel panic, so that a table's rows
// call Run of this package inside of their subtests. The world is closed when f returns. Time
// stands still from then on: a goroutine of the test's that sleeps has to wait for the end of
// t.Context() as well. A test in which everybody waits for ever, or in which somebody blocks in a way that stops virtual time, fails
// with the goroutines that are stuck and what they wait for.
func Run(t *testing.T, f func(t *testing.T, w *World)) {
	t.Helper()
	RunConfig(t, Config{}, f)
}

// RunConfig is Run with a world of a certain configuration.
func RunConfig(t *testing.T, cfg Config, f func(t *testing.T, w *World)) {
	t.Helper()
	var world atomic.Pointer[World]
	stop := watch(t, &world)
	defer stop()
	defer func() {
		if r := recover(); r != nil {
			explainDeadlock(t, world.Load().inBubble(), r)
		}
	}()
	synctest.Test(t, func(t *testing.T) {
		w := New(t, cfg)
		world.Store(w)
		f(t, w)
	})
}

// inBubble returns the name of the world's bubble, "" if there is no world yet.
func (w *World) inBubble() string {
	if w == nil {
		return ""
	}
	return w.bubble
}

// explainDeadlock fails the test for a bubble that is deadlocked, and passes other
// panics on.
func explainDeadlock(tb TB, bubble string, r any) {
	tb.Helper()
	err, ok := r.(error)
	if !ok || !strings.HasPrefix(err.Error(), "deadlock:") {
		panic(r)
	}
	tb.Fatalf("netfake: %v\n%s%s", err, describe(testsOwn(stuck(allStacks(), bubble, true))), deadlockHint(err))
}

// deadlockHint says what mends a deadlock: in a bubble whose test has returned, time does not
// pass any more, so that who sleeps then sleeps for ever.
func deadlockHint(err error) string {
	if !strings.Contains(err.Error(), "main bubble goroutine has exited") {
		return "nothing is under way that could wake them: no packet, no timer, no deadline"
	}
	return "the test has returned, and with it the world has closed and time stands still: let goroutines end before " +
		"that, such as those that sleep by waiting for t.Context().Done() as well"
}
