package netfake

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"testing"
)

// fakeTB stands in for a test that is expected to fail: it keeps what Fatalf says and
// ends the goroutine, as a test does.
type fakeTB struct {
	*testing.T
	failure  string
	cleanups []func()
	logs     []string
}

func (f *fakeTB) Fatalf(format string, args ...any) {
	f.failure = fmt.Sprintf(format, args...)
	runtime.Goexit()
}

func (f *fakeTB) Errorf(format string, args ...any) { f.failure = fmt.Sprintf(format, args...) }
func (f *fakeTB) Logf(format string, args ...any) {
	f.logs = append(f.logs, fmt.Sprintf(format, args...))
}
func (f *fakeTB) Cleanup(c func())         { f.cleanups = append(f.cleanups, c) }
func (f *fakeTB) Context() context.Context { return context.Background() }
func (f *fakeTB) Failed() bool             { return f.failure != "" }

func (f *fakeTB) clean() {
	for i := len(f.cleanups) - 1; i >= 0; i-- {
		f.cleanups[i]()
	}
}

// fatal runs f with a test of its own and returns what that failed with, "" if it did
// not.
func fatal(t *testing.T, f func(tb TB)) string {
	t.Helper()
	tb := &fakeTB{T: t}
	done := make(chan struct{})
	go func() {
		defer close(done)
		f(tb)
	}()
	<-done
	tb.clean()
	return tb.failure
}

// want compares an error.
func want(t *testing.T, what string, got, want error) {
	t.Helper()
	if (want == nil) != (got == nil) || !errors.Is(got, want) {
		t.Errorf("%s: got %v, want %v", what, got, want)
	}
}
