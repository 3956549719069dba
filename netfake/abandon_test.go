package netfake

import (
	"context"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// leavings are ways to leave the scheduler that nobody comes back from, which a child
// process takes in earnest, and what it says of them.
var leavings = []struct {
	name string
	step func(t *testing.T)
	far  bool // at the server, on the world's own goroutine, and not on the test's
	says string
}{
	{"a panic", func(*testing.T) { panic("a middlebox's own") }, false, "panic: a middlebox's own"},
	{"a panic far away", func(*testing.T) { panic("a middlebox's own") }, true, "panic: a middlebox's own"},
	{"Fatal", func(t *testing.T) { t.Fatal("a middlebox fails") }, false, ": a middlebox fails\n"},
	{"Fatal far away", func(t *testing.T) { t.Fatal("a middlebox fails") }, true, ": a middlebox fails\n"},
	{"nothing", func(*testing.T) {}, false, "PASS\n"},
}

// TestLeave leaves the scheduler as TestLeavingTheScheduler asks it to, in the middle of
// a conversation, while others wait.
func TestLeave(t *testing.T) {
	for _, row := range leavings {
		if row.name != os.Getenv("NETFAKE_LEAVE") {
			continue
		}
		Run(t, func(t *testing.T, w *World) {
			server, client := twoHosts(w)
			echoServer(t, server, ":7")
			waits, err := client.Dial("tcp", "203.0.113.10:7")
			if err != nil {
				t.Fatal(err)
			}
			w.Go(func(context.Context) { waits.Read(make([]byte, 1)) })
			link := client.Uplink().Link()
			if row.far {
				link = server.Uplink().Link()
			}
			link.Insert(&box{"box", func(p *Packet) Next {
				row.step(t)
				return p.Onward()
			}})
			waits.Write([]byte("word"))
			client.Ping(t.Context(), server.Addr())
		})
	}
}

// A test whose own node panics or fails the test ends at once, and says why.
func TestLeavingTheScheduler(t *testing.T) {
	for _, row := range leavings {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
			defer cancel()
			cmd := exec.CommandContext(ctx, os.Args[0], "-test.run=^TestLeave$", "-test.timeout=30s")
			cmd.Env = append(os.Environ(), "NETFAKE_LEAVE="+row.name)
			out, err := cmd.CombinedOutput()
			if text := string(out); (err == nil) != (row.name == "nothing") || !strings.Contains(text, row.says) || strings.Contains(text, "timed out") {
				t.Errorf("%v; it should say %q:\n%s", err, row.says, text)
			}
		})
	}
}
