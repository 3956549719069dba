package netfake

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/netspec-go/netspec/internal/faketb"
)

// What a node gets wrong fails the test and loses the packet; neither the test's goroutine
// nor the world ends by it, and the next packet goes its way.
func TestNodesThatMisuse(t *testing.T) {
	for _, row := range []struct {
		name string
		step func(p *Packet) Next
		says string // "" for what is right
	}{
		{"over no link", func(p *Packet) Next { return p.Over(nil, p.node) }, "netfake: box sends the packet FLOW over no link"},
		{"along no way", func(p *Packet) Next { return p.Along(nil, p.node) }, "netfake: box sends the packet FLOW over no link"},
		{"over a link to nobody", func(p *Packet) Next { return p.Over(&Link{}, nil) }, "netfake: box sends the packet FLOW to no node"},
		{"itself as the answer", func(p *Packet) Next { return p.Answer(p, Hop{Place: "box"}) }, "netfake: box answers the packet FLOW with itself"},
		{"a negative push", func(p *Packet) Next { p.Push(-1); return p.Drop(Hop{}) }, "netfake: Push of -1 bytes, of the packet FLOW, which has 29"},
		{"a negative pull", func(p *Packet) Next { p.Pull(-1); return p.Drop(Hop{}) }, "netfake: Pull of -1 bytes, of the packet FLOW, which has 29"},
		{"a pull of too much", func(p *Packet) Next { p.Pull(30); return p.Drop(Hop{}) }, "netfake: Pull of 30 bytes, of the packet FLOW, which has 29"},
		{"a pull of all", func(p *Packet) Next { p.Pull(p.Len()); return p.Drop(Hop{}) }, ""},
		{"sending nothing", func(p *Packet) Next { p.World().Send(nil, p.node); return p.Drop(Hop{}) }, "netfake: Send of no packet"},
		{"sending to nobody", func(p *Packet) Next { p.World().Send(p.clone(), nil); return p.Drop(Hop{}) }, "netfake: Send of the packet FLOW to no node"},
		{"an ICMP error that is none", func(p *Packet) Next {
			return p.Answer(p.ICMPError(ICMPError{Kind: ParameterProblem + 1}, netip.MustParseAddr("192.0.2.1")), Hop{})
		}, "netfake: there is no ICMPKind 10 to say of the packet FLOW"},
		{"no answer", func(p *Packet) Next { return p.Answer(nil, Hop{}) }, ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			Run(t, func(t *testing.T, _ *World) {
				tb := faketb.New(t)
				w := New(tb, Config{})
				server, client := twoHosts(w)
				in := openUDP(t, server, 9)
				c := dialUDPFrom(t, client, 1000, in)
				remove := client.Uplink().Link().Insert(&box{"box", row.step})
				c.Write([]byte("x"))
				client.Probe(server.UDP(9))
				w.Sleep(time.Second)
				remove()
				c.Write([]byte("y"))
				if got, err := read(in); string(got) != "y" {
					t.Errorf("then came %q, %v", got, err)
				}
				want := strings.ReplaceAll(row.says, "FLOW", "198.51.100.20:1000 → 203.0.113.10:9 udp")
				failures := tb.Failures()
				if want == "" && len(failures) > 0 || want != "" && (len(failures) != 2 || failures[0] != want) {
					t.Errorf("it failed with %q, want %q, live and of a probe", failures, want)
				}
				tb.Clean()
			})
		})
	}
}

// A nil context panics where net's own functions do, before anything is locked.
func TestNilContextPanics(t *testing.T) { Run(t, testNilContextPanics) }

func testNilContextPanics(t *testing.T, w *World) {
	_, client := twoHosts(w)
	var nobody context.Context
	for name, f := range map[string]func(){
		"DialContext":  func() { client.DialContext(nobody, "tcp", "203.0.113.10:7") },
		"DialTCP":      func() { client.DialTCP(nobody, "203.0.113.10:7") },
		"with a limit": func() { (&Dialer{Host: client, Timeout: 1}).DialContext(nobody, "udp", "203.0.113.10:7") },
		"LookupHost":   func() { client.LookupHost(nobody, "example.com") },
		"LookupNetIP":  func() { client.LookupNetIP(nobody, "ip", "example.com") },
		"LookupTXT":    func() { client.LookupTXT(nobody, "example.com") },
		"LookupCNAME":  func() { client.LookupCNAME(nobody, "example.com") },
		"LookupAddr":   func() { client.LookupAddr(nobody, "203.0.113.10") },
		"LookupSRV":    func() { client.LookupSRV(nobody, "sip", "tcp", "example.com") },
	} {
		func() {
			defer func() {
				if r := recover(); fmt.Sprint(r) != "nil context" {
					t.Errorf("%s: %v", name, r)
				}
			}()
			f()
		}()
	}
	if addrs, err := client.LookupHost(nobody, "203.0.113.10"); err != nil || len(addrs) != 1 { // as net's
		t.Errorf("of an address: %v, %v", addrs, err)
	}
	if _, err := client.Ping(t.Context(), netip.MustParseAddr("203.0.113.10")); err != nil {
		t.Errorf("the world goes on: %v", err)
	}
}

// What nothing can be compared with is no component that a fault is found by.
func TestFaultOfWhatCannotBeCompared(t *testing.T) {
	for _, row := range []struct {
		on   Component
		says string
	}{
		{parts{"a"}, "netfake: broken: the fault of a netfake.parts would not be found again, as it cannot be compared: take a pointer"},
		{&parts{"a"}, ""},
		{nil, ""},
	} {
		text := faketb.Fatal(t, func(tb *faketb.TB) {
			w := New(tb, Config{})
			nothing := func(*Fault, time.Duration) {}
			f := w.NewFault(row.on, "broken", nothing, nothing)
			w.RepairAt(row.on)
			if left := len(w.Faults()); row.on != nil && left != 0 {
				t.Errorf("%v is not repaired", f)
			}
		})
		if text != row.says {
			t.Errorf("%T: %q, want %q", row.on, text, row.says)
		}
	}
}

// parts is a component of which two cannot be compared.
type parts []string

func (p parts) String() string { return "parts" }

// The zero Reach is no answer to anything.
func TestZeroReach(t *testing.T) {
	r := &Reach{}
	if s := r.String(); s != "nothing was probed\n" || r.Blocker() != nil {
		t.Errorf("%q, blocked by %v", s, r.Blocker())
	}
}
