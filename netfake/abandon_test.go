package netfake

import (
	"context"
	"net"
	"net/netip"
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
	on   leaver
	says string
}{
	{"a panic", func(*testing.T) { panic("a middlebox's own") }, tests, "panic: a middlebox's own"},
	{"a panic far away", func(*testing.T) { panic("a middlebox's own") }, worlds, "panic: a middlebox's own"},
	{"a panic that is recovered from", func(*testing.T) { panic("a middlebox's own") }, handlers, "netfake: the world ends at 11.138ms: a Step"},
	{"Fatal", func(t *testing.T) { t.Fatal("a middlebox fails") }, tests, ": a middlebox fails\n"},
	{"Fatal far away", func(t *testing.T) { t.Fatal("a middlebox fails") }, worlds, ": a middlebox fails\n"},
	{"Fatal of a handler", func(t *testing.T) { t.Fatal("a middlebox fails") }, handlers, ": a middlebox fails\n"},
	{"a panic of a ping that is recovered from", func(*testing.T) { panic("a middlebox's own") }, pings, "netfake: the world ends at 11.138ms: a Step"},
	{"a panic of a dial that is recovered from", func(*testing.T) { panic("a middlebox's own") }, dials, "netfake: the world ends at 11.138ms: a Step"},
	{"a panic of a Close that is recovered from", func(*testing.T) { panic("a middlebox's own") }, closes, "netfake: the world ends at 11.138ms: a Step"},
	{"Fatal of a ping", func(t *testing.T) { t.Fatal("a middlebox fails") }, pings, ": a middlebox fails\n"},
	{"Fatal of a dial", func(t *testing.T) { t.Fatal("a middlebox fails") }, dials, ": a middlebox fails\n"},
	{"nothing", func(*testing.T) {}, tests, "PASS\n"},
	{"nothing far away", func(*testing.T) {}, worlds, "PASS\n"},
	{"nothing of a handler", func(*testing.T) {}, handlers, "PASS\n"},
	{"nothing of a ping", func(*testing.T) {}, pings, "PASS\n"},
	{"nothing of a Close", func(*testing.T) {}, closes, "PASS\n"},
	{"nothing of a dial", func(*testing.T) {}, dials, "PASS\n"},
}

// leaver is which goroutine leaves the scheduler.
type leaver int

const (
	tests    leaver = iota
	worlds          // its own, at the server
	handlers        // one whose panics are recovered from
	pings           // the same, while it waits for the reply to a ping
	dials           // the same, while it waits for a connection
	closes          // the same, while it waits for the other end of one
)

// do takes the packet along at which the scheduler is left.
func (l leaver) do(client *Host, conn net.Conn) {
	switch l {
	case pings:
		client.Ping(context.Background(), netip.MustParseAddr("203.0.113.10"))
	case dials:
		client.Dial("tcp", "203.0.113.10:7")
	case closes:
		conn.(*TCPConn).SetLinger(1)
		conn.Close()
	default:
		conn.Write([]byte("word"))
	}
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
			if row.on == worlds {
				link = server.Uplink().Link()
			}
			link.Insert(&box{"box", func(p *Packet) Next {
				row.step(t)
				return p.Onward()
			}})
			if row.on >= handlers {
				done := make(chan struct{})
				go func() {
					defer close(done)
					defer func() { recover() }()
					row.on.do(client, waits)
				}()
				<-done
			} else {
				row.on.do(client, waits)
			}
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
			if text := string(out); (err == nil) != strings.HasPrefix(row.name, "nothing") || !strings.Contains(text, row.says) || strings.Contains(text, "timed out") {
				t.Errorf("%v; it should say %q:\n%s", err, row.says, text)
			}
		})
	}
}
