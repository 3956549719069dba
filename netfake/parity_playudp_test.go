package netfake

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"testing"
)

func TestParityPlaysUDP(t *testing.T) { checkPlays(t, slices.Concat(udpVerbs, deadlines), openUDPPlay) }

// openUDPPlay opens a socket of each host, and two of the client's that are connected to them.
func openUDPPlay(t *troupe) {
	u, v := t.sockets()
	t.cast = []*actor{
		{name: "u", at: "u", udp: u}, {name: "v", at: "v", udp: v},
		{name: "c", at: "c", peer: "v", udp: t.connected(v.LocalAddr())},
		{name: "d", at: "d", peer: "u", udp: t.connected(u.LocalAddr())},
	}
	for _, x := range t.cast {
		t.call(x.udp.LocalAddr(), x.at)
	}
}

// connected reports whether x is connected.
func (x *actor) connected() bool { return x.udp.RemoteAddr() != nil }

// sends are the ways to send a datagram to somebody, and of a connected socket to its peer.
var sends = []struct {
	name string
	do   func(x *actor, b []byte, to *net.UDPAddr) (int, error)
}{
	{"Write", func(x *actor, b []byte, _ *net.UDPAddr) (int, error) { return x.udp.Write(b) }},
	{"WriteTo", func(x *actor, b []byte, to *net.UDPAddr) (int, error) { return x.udp.WriteTo(b, to) }},
	{"WriteToUDP", func(x *actor, b []byte, to *net.UDPAddr) (int, error) { return x.udp.WriteToUDP(b, to) }},
	{"WriteToUDPAddrPort", func(x *actor, b []byte, to *net.UDPAddr) (int, error) {
		return x.udp.WriteToUDPAddrPort(b, to.AddrPort())
	}},
	{"WriteMsgUDP", func(x *actor, b []byte, to *net.UDPAddr) (int, error) {
		if x.connected() {
			to = nil
		}
		n, _, err := x.udp.WriteMsgUDP(b, nil, to)
		return n, err
	}},
	{"WriteMsgUDPAddrPort", func(x *actor, b []byte, to *net.UDPAddr) (int, error) {
		at := to.AddrPort()
		if x.connected() {
			at = netip.AddrPort{}
		}
		n, _, err := x.udp.WriteMsgUDPAddrPort(b, nil, at)
		return n, err
	}},
}

// receives are the ways to read a datagram.
var receives = []struct {
	name string
	do   func(x *actor, n int) []any
}{
	{"Read", func(x *actor, size int) []any {
		b := make([]byte, size)
		n, err := x.udp.Read(b)
		return []any{n, shown(b[:n]), err}
	}},
	{"ReadFrom", func(x *actor, size int) []any {
		b := make([]byte, size)
		n, from, err := x.udp.ReadFrom(b)
		return []any{n, shown(b[:n]), from, err}
	}},
	{"ReadFromUDP", func(x *actor, size int) []any {
		b := make([]byte, size)
		n, from, err := x.udp.ReadFromUDP(b)
		return []any{n, shown(b[:n]), from, err}
	}},
	{"ReadFromUDPAddrPort", func(x *actor, size int) []any {
		b := make([]byte, size)
		n, from, err := x.udp.ReadFromUDPAddrPort(b)
		return []any{n, shown(b[:n]), from, err}
	}},
	{"ReadMsgUDP", func(x *actor, size int) []any {
		b := make([]byte, size)
		n, oobn, flags, from, err := x.udp.ReadMsgUDP(b, nil)
		n = max(n, 0) // net's is -1 beside some errors
		return []any{n, shown(b[:n]), oobn, flags, from, err}
	}},
	{"ReadMsgUDPAddrPort", func(x *actor, size int) []any {
		b := make([]byte, size)
		n, oobn, flags, from, err := x.udp.ReadMsgUDPAddrPort(b, make([]byte, 8))
		n = max(n, 0) // net's is -1 beside some errors
		return []any{n, shown(b[:n]), oobn, flags, from, err}
	}},
}

// sendBy makes a deed of a way to send. Whom to is drawn with the size.
func sendBy(way int) func(t *troupe, who, n int) {
	return by(func(t *troupe, x *actor, n int) {
		to, size := t.cast[n%len(t.cast)], sizes[(n+t.words)%len(sizes)]
		if !t.takes(x, to) {
			t.lost++
		}
		if t.lost > icmpBurst {
			return
		}
		wrote, err := sends[way].do(x, t.text(size), to.udp.LocalAddr().(*net.UDPAddr))
		t.says(x, sends[way].name+" to "+to.name, size, wrote, err)
	})
}

// takes reports whether a datagram of x finds somebody. A connected socket writes to its
// peer, whomever else it is asked to.
func (t *troupe) takes(x, to *actor) bool {
	for _, other := range t.cast {
		if x.peer == other.name {
			to = other
		}
	}
	return !t.look(to.udp).ended && (to.peer == "" || to.peer == x.name)
}

// receiveBy makes a deed of a way to receive.
func receiveBy(way int) func(t *troupe, who, n int) {
	return by(func(t *troupe, x *actor, n int) {
		t.now(x, fmt.Sprint(receives[way].name, " ", sizes[n]), func() []any { return receives[way].do(x, sizes[n]) })
	})
}

// reopen opens a socket that has closed at its address again.
func reopen(t *troupe, x *actor, _ int) {
	if !t.look(x.udp).ended || t.portsAreShared() {
		return
	}
	local, peer := x.udp.LocalAddr().String(), x.udp.RemoteAddr()
	var c any
	var err error
	if peer == nil {
		c, err = t.packets("udp", local)
	} else {
		c, err = t.dial(context.Background(), "udp", local, peer.String())
	}
	t.says(x, "opens again", err)
	if err == nil {
		x.udp, x.late = c.(udpConn), false
	}
}

var udpVerbs = []verb{
	{"Write", 8, sendBy(0)},
	{"WriteTo", 4, sendBy(1)},
	{"WriteToUDP", 1, sendBy(2)},
	{"WriteToUDPAddrPort", 1, sendBy(3)},
	{"WriteMsgUDP", 2, sendBy(4)},
	{"WriteMsgUDPAddrPort", 1, sendBy(5)},
	{"Read", 3, receiveBy(0)},
	{"ReadFrom", 2, receiveBy(1)},
	{"ReadFromUDP", 1, receiveBy(2)},
	{"ReadFromUDPAddrPort", 1, receiveBy(3)},
	{"ReadMsgUDP", 1, receiveBy(4)},
	{"ReadMsgUDPAddrPort", 1, receiveBy(5)},
	{"Read of nothing", 1, by(func(t *troupe, x *actor, n int) {
		if x.waits == nil {
			t.says(x, "Read of nothing", receives[0].do(x, 0)...)
		}
	})},
	{"a read that waits", 4, by(func(t *troupe, x *actor, n int) {
		way := n % len(receives)
		if way == 0 && sizes[n] == 0 {
			return // it does not
		}
		t.later(x, func() []any { return receives[way].do(x, sizes[n]) })
	})},
	{"Close", 2, by(func(t *troupe, x *actor, n int) { t.says(x, "Close", x.udp.Close()) })},
	{"open again", 2, by(reopen)},
	{"addresses", 1, by(func(t *troupe, x *actor, n int) { t.says(x, "addresses", x.udp.LocalAddr(), x.udp.RemoteAddr()) })},
}
