package netfake

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/netspec-go/netspec/internal/faketb"
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
	{"a panic of a probe that is recovered from", func(*testing.T) { panic("a middlebox's own") }, probes, "netfake: the world ends at 11.138ms: a Step"},
	{"Fatal of a probe", func(t *testing.T) { t.Fatal("a middlebox fails") }, probes, "netfake: the world ends at 11.138ms: a Step"},
	{"Fatal of a ping", func(t *testing.T) { t.Fatal("a middlebox fails") }, pings, ": a middlebox fails\n"},
	{"Fatal of a dial", func(t *testing.T) { t.Fatal("a middlebox fails") }, dials, ": a middlebox fails\n"},
	{"nothing", func(*testing.T) {}, tests, "PASS\n"},
	{"nothing far away", func(*testing.T) {}, worlds, "PASS\n"},
	{"nothing of a handler", func(*testing.T) {}, handlers, "PASS\n"},
	{"nothing of a ping", func(*testing.T) {}, pings, "PASS\n"},
	{"nothing of a probe", func(*testing.T) {}, probes, "PASS\n"},
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
	probes          // the same, while it asks the network
)

// do takes the packet along at which the scheduler is left.
func (l leaver) do(client *Host, conn net.Conn) {
	switch l {
	case pings:
		client.Ping(context.Background(), netip.MustParseAddr("203.0.113.10"))
	case probes:
		client.Probe(endpoint(TCP, "203.0.113.10:7"))
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

// A Step or an Undo that leaves a probe ends the world, with all undone that the probe had
// changed: nobody goes on with half of it.
func TestLeavingAProbe(t *testing.T) {
	for _, row := range []struct {
		name        string
		step, undo  func(tb TB)
		ends, taken bool
	}{
		{"a panic", func(TB) { panic("boo") }, func(TB) {}, true, true},
		{"Fatal", func(tb TB) { tb.Fatalf("boo") }, func(TB) {}, true, true},
		{"a panic of an Undo", func(TB) {}, func(TB) { panic("boo") }, true, false},
		{"Fatal of an Undo", func(TB) {}, func(tb TB) { tb.Fatalf("boo") }, true, false},
		{"nothing", func(TB) {}, func(TB) {}, false, true},
	} {
		t.Run(row.name, func(t *testing.T) {
			Run(t, func(t *testing.T, _ *World) {
				tb := faketb.New(t)
				w := New(tb, Config{})
				server, client := twoHosts(w)
				echoServer(t, server, ":7")
				seen := 0
				client.Uplink().Link().Insert(&box{"box", func(p *Packet) Next {
					seen++
					p.Undo(func() { row.undo(tb); seen-- })
					if p.Probing() && seen > 1 {
						row.step(tb)
					}
					return p.Onward()
				}})
				before := tb.Failures()
				tb.Try(func() {
					defer func() { recover() }()
					client.Probe(server.TCP(7))
				})
				if ends := strings.Contains(fmt.Sprint(tb.Failures()[len(before):]), "netfake: the world ends at 0s: "); ends != row.ends {
					t.Errorf("the world ends: %v; %q", ends, tb.Failures())
				}
				if taken := seen == 0; taken != row.taken {
					t.Errorf("seen %d", seen)
				}
				if _, err := client.Dial("tcp", "203.0.113.10:7"); errors.Is(err, net.ErrClosed) != row.ends {
					t.Errorf("a dial afterwards: %v", err)
				}
			})
		})
	}
}

// A test that has failed says so and ends in order, however a Step takes the questions that
// its report asks.
func TestLeavingTheReport(t *testing.T) {
	Run(t, func(t *testing.T, _ *World) {
		tb := faketb.New(t)
		w := New(tb, Config{})
		_, client := twoHosts(w)
		client.Uplink().Link().Insert(&box{"box", func(p *Packet) Next {
			if p.Probing() {
				tb.Fatalf("boo")
			}
			return p.Drop(Hop{Place: "box"})
		}})
		go client.Dial("tcp", "203.0.113.10:7")
		w.Sleep(time.Second)
		tb.Try(func() { w.Report() })
		if failures := tb.Failures(); len(failures) != 2 || !strings.HasPrefix(failures[1], "netfake: the world ends at 1s") {
			t.Errorf("it failed with %q", failures)
		}
		tb.Clean()
		if logs := fmt.Sprint(tb.Logs()); !strings.Contains(logs, "203.0.113.10:7 tcp: box") {
			t.Errorf("the report: %s", logs)
		}
	})
}
