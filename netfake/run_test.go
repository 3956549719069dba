package netfake

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/netspec-go/netspec/internal/faketb"
)

// A deadlock's panic fails the test with who is stuck; another panic goes on.
func TestExplainDeadlock(t *testing.T) {
	text := fatal(t, func(tb TB) {
		explainDeadlock(tb, "1", errors.New("deadlock: all goroutines in bubble are blocked"))
	})
	if !strings.HasPrefix(text, "netfake: deadlock: all goroutines in bubble are blocked\n") {
		t.Errorf("a deadlock: %q", text)
	}
	if !strings.HasSuffix(text, "\nnothing is under way that could wake them: no packet, no timer, no deadline") {
		t.Errorf("a deadlock without what mends it: %q", text)
	}
	text = fatal(t, func(tb TB) {
		explainDeadlock(tb, "1", errors.New("deadlock: main bubble goroutine has exited but blocked goroutines remain"))
	})
	if !strings.Contains(text, "t.Context().Done()") {
		t.Errorf("a test that has left a goroutine behind: %q", text)
	}
	for _, r := range []any{errors.New("index out of range"), "deadlock: in a string", 7} {
		var other any
		text := fatal(t, func(tb TB) {
			defer func() { other = recover() }()
			explainDeadlock(tb, "1", r)
		})
		if text != "" || other != r {
			t.Errorf("panic(%v): failed with %q, went on as %v", r, text, other)
		}
	}
}

// A replay line names the test, however deep, and the seed.
func TestReplay(t *testing.T) {
	w := New(t, Config{Seed: 42})
	const line = "seed 42; replay: NETSPEC_SEED=42 go test -run '^TestReplay$' -cpu=1 ./netfake"
	if got := w.Replay(); got != line {
		t.Errorf("got %q", got)
	}
	t.Run("deep down", func(t *testing.T) {
		got := New(t, Config{Seed: 42}).Replay()
		if !strings.Contains(got, "'^TestReplay$/^deep_down$'") {
			t.Errorf("got %q", got)
		}
	})
}

// A test that fails logs the world: sockets, drops, the seed. One that passes does not.
func TestFailureReport(t *testing.T) {
	for _, fails := range []bool{true, false} {
		tb := faketb.New(t)
		w := New(tb, Config{Seed: 42, Instant: true})
		server, client := twoHosts(w)
		server.Listen("tcp", ":80")
		client.Dial("tcp", "203.0.113.10:81")
		if fails {
			tb.Errorf("something is wrong")
		}
		tb.Clean()
		says := func(s string) bool {
			return slices.ContainsFunc(tb.Logs(), func(line string) bool { return strings.Contains(line, s) })
		}
		for _, s := range []string{"NETSPEC_SEED=42", "nobody listens on tcp/81"} {
			if says(s) != fails {
				t.Errorf("failed %v: the log says %q %v\n%v", fails, s, says(s), tb.Logs())
			}
		}
	}
}
