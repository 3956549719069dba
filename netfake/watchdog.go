package netfake

import (
	"fmt"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// stallAfter is how often, in real time, the watchdog looks at a bubble. One that it
// finds twice in the same place stands still.
var stallAfter = 10 * time.Second

// watch starts a watchdog outside the bubble, in real time: a test that hangs because
// a goroutine of its bubble blocks on a mutex, a system call or something else that
// does not let virtual time pass is told which, and what to do about it.
func watch(t *testing.T, world *atomic.Pointer[World]) (stop func()) {
	done := make(chan struct{})
	go func() {
		timer := time.NewTicker(stallAfter)
		defer timer.Stop()
		before, progress := "", ""
		for {
			select {
			case <-done:
				return
			case <-timer.C:
			}
			w := world.Load()
			if w == nil {
				continue
			}
			now, at := stall(allStacks(), w.bubble), w.progress()
			if now != "" && now == before && at == progress {
				fmt.Fprintf(os.Stdout, "netfake: %s: virtual time stands still:\n%s", t.Name(), now)
				return
			}
			before, progress = now, at
		}
	}()
	return func() { close(done) }
}

// progress tells how far the world has come, for a look from outside that must not wait
// for its lock: somebody who stands still may have it.
func (w *World) progress() string {
	for range 100 {
		if w.mu.TryLock() {
			defer w.mu.Unlock()
			return fmt.Sprint(w.now, w.events)
		}
		time.Sleep(time.Millisecond)
	}
	return "locked"
}

// stall says who keeps the virtual time of a bubble, what each waits for and what mends
// it, "" if nobody does. The stacks follow.
func stall(stacks, bubble string) string {
	holders := stuck(stacks, bubble, false)
	if len(holders) == 0 {
		return busy(stacks, bubble)
	}
	all := goroutines(stacks, bubble)
	var b strings.Builder
	for i := range holders {
		g := &holders[i]
		g.wait = g.reason()
		w := waits(g.wait)
		caller, called := g.blame()
		fmt.Fprintf(&b, "goroutine %s waits for %s: %s%s\n", g.id, w.what, caller.short(), calling(called))
		if w.lock {
			b.WriteString(suspect(g, all))
		}
		fmt.Fprintf(&b, "    hint: %s\n", w.hint)
	}
	return b.String() + describe(holders)
}

// busy is stall for a bubble in which somebody computes without end.
func busy(stacks, bubble string) string {
	var b strings.Builder
	for _, g := range goroutines(stacks, bubble) {
		if g.running() {
			fmt.Fprintf(&b, "goroutine %s computes: %s\n", g.id, g.frames[len(g.frames)-1].short())
			b.WriteString("    hint: time passes only while everybody waits: a loop that polls must sleep\n")
		}
	}
	return b.String()
}

func calling(called *frame) string {
	if called == nil {
		return ""
	}
	return " called " + called.name()
}

// suspect names who probably holds the lock that g waits for. The runtime does not tell,
// so it is one that is inside a method of the same type, or else in the same function, and does
// not wait for a lock itself.
func suspect(g *goroutine, all []goroutine) string {
	locker, _ := g.blame()
	for _, other := range all {
		if other.id == g.id || waits(other.reason()).lock {
			continue
		}
		for _, f := range other.frames {
			if f.receiver() != locker.receiver() {
				continue
			}
			caller, called := other.blame()
			return fmt.Sprintf("    goroutine %s probably holds it and waits (%s): %s%s\n", other.id, other.reason(), caller.short(), calling(called))
		}
	}
	return ""
}

// wait explains why a goroutine waits in a way that virtual time does not see.
type wait struct {
	what string
	hint string
	lock bool
}

// waits explains a wait by the word that the runtime has for it: waitReasonStrings of
// its runtime2.go.
func waits(reason string) wait {
	switch word, _, _ := strings.Cut(reason, " ("); {
	case strings.HasPrefix(word, "sync.Mutex"), word == "semacquire":
		return wait{"a sync.Mutex", lockHint, true}
	case strings.HasPrefix(word, "sync.RWMutex"):
		return wait{"a sync.RWMutex", lockHint, true}
	case word == "IO wait":
		return wait{"the real network or a real file",
			"dial and listen through a Host; real programs belong in a world in real time (see Inlet and Lend)", false}
	case word == "syscall":
		return wait{"a system call", "a test in virtual time must not wait for the machine: do it before netfake.Run, or in real time", false}
	case strings.Contains(reason, "(durable)"):
		return wait{"somebody in the bubble", "", false}
	case word == "chan receive", word == "chan send", word == "select":
		return wait{"a channel that was made outside of the bubble (" + word + ")", "make the channel inside of netfake.Run: " + outside, false}
	case word == "sync.WaitGroup.Wait":
		return wait{"a sync.WaitGroup that is not the bubble's", "make it inside of netfake.Run, and not as a variable of a package: " + outside, false}
	}
	return wait{"something that is not the bubble's (" + reason + ")", outside, false}
}

const (
	lockHint = "nobody may wait for the network or for time while holding a mutex: unlock before the call, or let a channel of capacity 1 be the lock"
	outside  = "virtual time passes only while everybody waits for what was made inside"
)
