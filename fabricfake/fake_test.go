package fabricfake_test

import (
	"context"
	"fmt"
	"runtime"
	"testing"

	"github.com/netspec-go/netspec/netfake"
)

// fakeTB stands in for a test that is expected to fail: it keeps what Fatalf says and
// ends the goroutine, as a test does.
type fakeTB struct {
	*testing.T
	failure  string
	cleanups []func()
}

func (f *fakeTB) Fatalf(format string, args ...any) {
	f.failure = fmt.Sprintf(format, args...)
	runtime.Goexit()
}

func (f *fakeTB) Cleanup(c func())         { f.cleanups = append(f.cleanups, c) }
func (f *fakeTB) Context() context.Context { return context.Background() }
func (f *fakeTB) Failed() bool             { return f.failure != "" }

func (f *fakeTB) clean() {
	for i := len(f.cleanups) - 1; i >= 0; i-- {
		f.cleanups[i]()
	}
}

// fatal runs f in a world of its own and returns what its test failed with, "" if it
// did not.
func fatal(t *testing.T, f func(w *netfake.World)) string {
	t.Helper()
	tb := &fakeTB{T: t}
	done := make(chan struct{})
	go func() {
		defer close(done)
		f(netfake.New(tb, netfake.Config{Instant: true}))
	}()
	<-done
	tb.clean()
	return tb.failure
}
