// Package faketb is for tests of what fails a test: a test that outlives its failures
// and keeps what they say.
package faketb

import (
	"fmt"
	"runtime"
	"slices"
	"sync"
	"testing"
)

// TB stands in for a test that is expected to fail. Failures and logs stay with it and
// do not touch the test that it was made of; Fatalf ends its goroutine as a test's does,
// so that what may call it runs in Try. It is safe for concurrent use.
type TB struct {
	*testing.T

	mu       sync.Mutex
	failures []string
	logs     []string
	cleanups []func()
}

// New returns a test that has not failed yet. What it has to clean up is cleaned up
// with t, unless Clean comes first.
func New(t *testing.T) *TB {
	tb := &TB{T: t}
	t.Cleanup(tb.Clean)
	return tb
}

// Fatal runs f with a test of its own, cleans up, and returns what that failed with; ""
// if it did not.
func Fatal(t *testing.T, f func(tb *TB)) string {
	t.Helper()
	tb := New(t)
	defer tb.Clean()
	return tb.Try(func() { f(tb) })
}

// Try runs f until it returns or fails the test for good, and returns what the last
// failure in it said; "" if there was none.
func (tb *TB) Try(f func()) string {
	before := len(tb.Failures())
	done := make(chan struct{})
	go func() {
		defer close(done)
		f()
	}()
	<-done
	if all := tb.Failures(); len(all) > before {
		return all[len(all)-1]
	}
	return ""
}

// Failures returns what the test has failed with, in order.
func (tb *TB) Failures() []string {
	tb.mu.Lock()
	defer tb.mu.Unlock()
	return slices.Clone(tb.failures)
}

// Logs returns what the test has logged, in order.
func (tb *TB) Logs() []string {
	tb.mu.Lock()
	defer tb.mu.Unlock()
	return slices.Clone(tb.logs)
}

// Clean runs what Cleanup has registered, the last first, each once.
func (tb *TB) Clean() {
	for {
		tb.mu.Lock()
		n := len(tb.cleanups)
		if n == 0 {
			tb.mu.Unlock()
			return
		}
		f := tb.cleanups[n-1]
		tb.cleanups = tb.cleanups[:n-1]
		tb.mu.Unlock()
		f()
	}
}

// Failed reports whether the test has failed.
func (tb *TB) Failed() bool { return len(tb.Failures()) > 0 }

// Errorf fails the test.
func (tb *TB) Errorf(format string, args ...any) { tb.note(&tb.failures, format, args) }

// Fatalf fails the test and ends the goroutine.
func (tb *TB) Fatalf(format string, args ...any) {
	tb.note(&tb.failures, format, args)
	runtime.Goexit()
}

// Logf notes a line.
func (tb *TB) Logf(format string, args ...any) { tb.note(&tb.logs, format, args) }

// Cleanup registers f for Clean.
func (tb *TB) Cleanup(f func()) {
	tb.mu.Lock()
	defer tb.mu.Unlock()
	tb.cleanups = append(tb.cleanups, f)
}

func (tb *TB) note(where *[]string, format string, args []any) {
	tb.mu.Lock()
	defer tb.mu.Unlock()
	*where = append(*where, fmt.Sprintf(format, args...))
}
