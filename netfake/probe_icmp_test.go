package netfake

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"syscall"
	"testing"
	"time"
)

// What somebody on the way says by an ICMP error, a probe tells as the caller is told of it:
// a dial, a datagram of a connected socket and a ping, in both families. It goes on behind, to
// find what else would block.
func TestProbeTellsICMPErrors(t *testing.T) {
	for _, kind := range []ICMPKind{NetUnreachable, HostUnreachable, ProtocolUnreachable, PortUnreachable, AdminProhibited} {
		for _, hosts := range []func(w *World) (server, client *Host){twoHosts, onlyIPv6} {
			for _, proto := range []Protocol{TCP, UDP, ICMP} {
				Run(t, func(t *testing.T, w *World) {
					server, client := hosts(w)
					server.Uplink().Link().Refuse(kind)
					to := server.TCP(7)
					to.Proto = proto
					r := client.Probe(to)
					told := toldOf(t, client, to)
					if !errors.Is(told, r.Err) || (r.Err == nil) != (told == nil) || (r.Err == nil) != (r.Outcome == Silence) {
						t.Errorf("%v of %v: probed %v, %v; the caller is told %v", kind, to, r.Outcome, r.Err, told)
					}
					if want := fmt.Sprintf("refused: answered with %v", kind); r.Blocker() == nil || r.Blocker().Rule != want {
						t.Errorf("%v of %v: blocked by %+v", kind, to, r.Blocker())
					}
					if proto == TCP && len(r.Forward.Blockers()) != 2 { // nobody listens, besides
						t.Errorf("%v of %v: %v", kind, to, r.Forward)
					}
				})
			}
		}
	}
}

// toldOf returns what a caller is told, nil if of nothing.
func toldOf(t *testing.T, client *Host, to Endpoint) error {
	if to.Proto == ICMP {
		_, err := client.Ping(t.Context(), to.Addr.Addr())
		return err
	}
	c, err := client.Dial(to.Proto.String(), to.Addr.String())
	if err != nil {
		return err
	}
	c.Write([]byte("x"))
	c.SetReadDeadline(time.Now().Add(time.Second))
	if _, err = c.Read(make([]byte, 1)); errors.Is(err, os.ErrDeadlineExceeded) {
		return nil
	}
	return err
}

// An error is told if the packet comes to who says it and the error comes back; and only of
// the way there.
func TestProbeTellsWhatArrives(t *testing.T) {
	for _, row := range []struct {
		name string
		do   func(server, client *Link)
		want Outcome
		err  error
	}{
		{"nothing in between", func(s, c *Link) { s.Refuse(HostUnreachable) }, Unreachable, syscall.EHOSTUNREACH},
		{"two that refuse: the first", func(s, c *Link) { s.Refuse(HostUnreachable); c.Refuse(NetUnreachable) }, Unreachable, syscall.ENETUNREACH},
		{"a silent cut before it", func(s, c *Link) { s.Refuse(HostUnreachable); c.Partition() }, Silence, nil},
		{"a silent cut behind it", func(s, c *Link) { s.Refuse(HostUnreachable); s.Partition() }, Unreachable, syscall.EHOSTUNREACH},
		{"ICMP is filtered on its way back", func(s, c *Link) { s.Refuse(HostUnreachable); c.DropICMP() }, Silence, nil},
		{"the way back is cut", func(s, c *Link) { s.Refuse(HostUnreachable); c.Back().Partition() }, Silence, nil},
		{"no longer", func(s, c *Link) { s.Refuse(HostUnreachable).Undo() }, Answered, nil},
	} {
		Run(t, func(t *testing.T, w *World) {
			server, client := twoHosts(w)
			echoServer(t, server, ":7")
			row.do(server.Uplink().Link(), client.Uplink().Link())
			r := client.Probe(server.TCP(7))
			if r.Outcome != row.want || !errors.Is(r.Err, row.err) {
				t.Errorf("%s: %v, %v\n%v\nback %v", row.name, r.Outcome, r.Err, r, r.Return)
			}
			d := client.Dialer()
			d.Timeout = time.Second
			_, err := d.Dial("tcp", "203.0.113.10:7")
			if (err == nil) != (row.want == Answered) || row.err != nil && !errors.Is(err, row.err) {
				t.Errorf("%s: a dial: %v", row.name, err)
			}
		})
	}
}

// A node of one's own that answers by itself is believed like one that Rejects: whether it
// stands on a link and uses Answer, or sends what it has made, an ICMP error or a RST.
func TestProbeTellsWhatNodesSend(t *testing.T) {
	refuser := netip.MustParseAddr("192.0.2.1")
	unreachable := func(p *Packet) *Packet { return p.ICMPError(ICMPError{Kind: AdminProhibited}, refuser) }
	answer := func(p *Packet, q *Packet, h Hop) Next { return p.Answer(q, h) }
	send := func(p *Packet, q *Packet, h Hop) Next {
		p.World().Send(q, p.passage.back())
		return p.Drop(h)
	}
	for _, row := range []struct {
		name string
		make func(p *Packet) *Packet
		send func(p, q *Packet, h Hop) Next
		want Outcome
		err  error
	}{
		{"answers with an ICMP error", unreachable, answer, Unreachable, syscall.EHOSTUNREACH},
		{"sends an ICMP error", unreachable, send, Unreachable, syscall.EHOSTUNREACH},
		{"answers with a RST", (*Packet).Reset, answer, Refused, syscall.ECONNREFUSED},
		{"sends a RST", (*Packet).Reset, send, Refused, syscall.ECONNREFUSED},
		{"makes an error and keeps it", unreachable, func(p, _ *Packet, h Hop) Next { return p.Drop(h) }, Silence, os.ErrDeadlineExceeded},
		{"says nothing", func(*Packet) *Packet { return nil }, answer, Silence, os.ErrDeadlineExceeded},
		{"has blocked it before", func(p *Packet) *Packet {
			p.Blocked(Hop{Place: "filter", Rule: "no"})
			return nil
		}, answer, Silence, os.ErrDeadlineExceeded},
	} {
		t.Run(row.name, func(t *testing.T) {
			Run(t, func(t *testing.T, w *World) {
				server, client := twoHosts(w)
				echoServer(t, server, ":7")
				b := &box{name: "box"}
				b.step = towards(server, func(p *Packet) Next {
					return row.send(p, row.make(p), Hop{Place: "box", By: b, Rule: "not here"})
				})
				server.Uplink().Link().Insert(b)
				r := client.Probe(server.TCP(7))
				if r.Outcome != row.want || row.want != Silence && !errors.Is(r.Err, row.err) || (r.Return == nil) != (row.want == Silence) {
					t.Errorf("a probe: %v, %v\n%v", r.Outcome, r.Err, r)
				}
				if r.Return != nil && r.Return.From != "box" {
					t.Errorf("the answer comes from %q", r.Return.From)
				}
				d := Dialer{Host: client, Timeout: time.Minute}
				_, err := d.Dial("tcp", "203.0.113.10:7")
				if row.want != Silence {
					want(t, "a dial", err, row.err)
				} else if e, ok := err.(net.Error); !ok || !e.Timeout() {
					t.Errorf("a dial: %v", err)
				}
			})
		})
	}
}
