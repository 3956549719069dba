package netfake

import (
	"fmt"
	"regexp"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// Run runs f in a world of its own, inside a synctest bubble: time in it is virtual
// and passes at once when everybody waits. The t that f is handed is the bubble's and
// shadows the outer one. The world is closed when f returns. A test in which everybody
// waits for ever, or in which somebody blocks in a way that stops virtual time, fails
// with the goroutines that are stuck and what they wait for.
func Run(t *testing.T, f func(t *testing.T, w *World)) {
	t.Helper()
	RunConfig(t, Config{}, f)
}

// RunConfig is Run with a world of a certain configuration.
func RunConfig(t *testing.T, cfg Config, f func(t *testing.T, w *World)) {
	t.Helper()
	var bubble atomic.Value
	stop := watch(t, &bubble)
	defer stop()
	defer func() {
		if r := recover(); r != nil {
			name, _ := bubble.Load().(string)
			explainDeadlock(t, name, r)
		}
	}()
	synctest.Test(t, func(t *testing.T) {
		w := New(t, cfg)
		bubble.Store(w.bubble)
		f(t, w)
	})
}

// explainDeadlock fails the test for a bubble that is deadlocked, and passes other
// panics on.
func explainDeadlock(tb TB, bubble string, r any) {
	tb.Helper()
	err, ok := r.(error)
	if !ok || !strings.HasPrefix(err.Error(), "deadlock:") {
		panic(r)
	}
	tb.Fatalf("netfake: %v\n%s", err, describe(stuck(allStacks(), bubble, true)))
}

// stallAfter is how long, in real time, a bubble may stand still in a way that stops
// virtual time before the watchdog says so.
const stallAfter = 30 * time.Second

// watch starts a watchdog outside the bubble, in real time: a test that hangs because
// a goroutine of its bubble blocks on a mutex, a system call or something else that
// does not let virtual time pass is told which.
func watch(t *testing.T, bubble *atomic.Value) (stop func()) {
	done := make(chan struct{})
	go func() {
		timer := time.NewTimer(stallAfter)
		defer timer.Stop()
		before := ""
		for {
			select {
			case <-done:
				return
			case <-timer.C:
			}
			name, _ := bubble.Load().(string)
			now := describe(stuck(allStacks(), name, false))
			if now != "" && now == before {
				fmt.Printf("netfake: %s: virtual time stands still because of\n%s", t.Name(), now)
			}
			before = now
			timer.Reset(stallAfter)
		}
	}()
	return func() { close(done) }
}

func allStacks() string {
	for size := 1 << 16; ; size *= 4 {
		buf := make([]byte, size)
		if n := runtime.Stack(buf, true); n < size || size > 1<<26 {
			return string(buf[:n])
		}
	}
}

// goroutine is one of a bubble, as its stack trace begins: "goroutine 7 [chan receive
// (durable), synctest bubble 1]:".
type goroutine struct {
	id, wait string
	frames   []string // "function (file:line)", innermost first, without the runtime's own
}

var goroutineHead = regexp.MustCompile(`(?m)^goroutine (\d+) .*?\[([^\]]*), synctest bubble (\d+)\]:$`)

// stuck returns the goroutines of a bubble that wait: those that wait durably, which in
// a deadlock is all of them, or those whose waiting keeps virtual time from passing.
func stuck(stacks, bubble string, durably bool) []goroutine {
	var all []goroutine
	for _, block := range strings.Split(stacks, "\n\n") {
		lines := strings.Split(strings.TrimSpace(block), "\n")
		m := goroutineHead.FindStringSubmatch(lines[0])
		if m == nil || m[3] != bubble || strings.HasPrefix(m[2], "running") {
			continue
		}
		durable := strings.Contains(m[2], "(durable)")
		if durable == durably && !strings.Contains(m[2], "synctest.Run") {
			if g := (goroutine{m[1], m[2], userFrames(lines[1:])}); len(g.frames) > 0 {
				all = append(all, g)
			}
		}
	}
	return all
}

// userFrames keeps a stack's functions with their places, without the runtime's and
// this package's plumbing.
func userFrames(lines []string) []string {
	var frames []string
	for i := 0; i+1 < len(lines); i += 2 {
		name, _, _ := strings.Cut(lines[i], "(0x")
		name = strings.TrimSuffix(strings.TrimPrefix(name, "created by "), "(...)")
		place, _, _ := strings.Cut(strings.TrimSpace(lines[i+1]), " +0x")
		if strings.HasPrefix(name, "internal/") || strings.HasPrefix(name, "sync.") ||
			strings.HasPrefix(name, "runtime.") || strings.HasPrefix(name, "testing") {
			continue
		}
		frames = append(frames, fmt.Sprintf("%s (%s)", name, place))
	}
	return frames
}

func describe(all []goroutine) string {
	var b strings.Builder
	for _, g := range all {
		fmt.Fprintf(&b, "goroutine %s waits: %s\n", g.id, g.wait)
		for _, f := range g.frames[:min(len(g.frames), 8)] {
			fmt.Fprintf(&b, "    %s\n", f)
		}
	}
	return b.String()
}
