package netfake

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
)

func TestParityPlaysTCP(t *testing.T) { checkPlays(t, slices.Concat(tcpVerbs, deadlines), openTCPPlay) }

// openTCPPlay listens, and has one connection.
func openTCPPlay(t *troupe) {
	t.relisten("0")
	t.dialIn(t.from("0"))
	t.now(t.door, "Accept", t.accepts)
}

// relisten listens at a port of the server.
func (t *troupe) relisten(port string) {
	l, err := t.listen("tcp", t.at(port))
	if err == nil {
		t.door, t.dialled = &actor{name: "listener", listener: l.(tcpListener)}, nil
		t.call(l.Addr(), "listener")
	}
	t.tell("Listen", err)
}

// dialIn has the client dial from an address, three times at most.
func (t *troupe) dialIn(from string) {
	if t.dials == 3 || t.portsAreShared() && t.look(t.door.listener).ended {
		return
	}
	t.dials++
	name := fmt.Sprintf("c%d", t.dials)
	c, err := t.dial(context.Background(), "tcp", from, t.door.listener.Addr().String())
	t.tell(name+" dials", err)
	if err == nil {
		t.dialled = append(t.dialled, name)
		t.cast = append(t.cast, &actor{name: name, at: name, peer: "listener", tcp: c.(tcpConn)})
	}
}

// dialAgain has the client dial from the port of an earlier connection, of which anything
// may be left: see remains.
func dialAgain(t *troupe, x *actor, _ int) {
	if x.at != "listener" && !t.portsAreShared() {
		t.says(x, "lends its port")
		t.dialIn(x.tcp.LocalAddr().String())
	}
}

// accepts is one Accept.
func (t *troupe) accepts() []any {
	c, err := t.door.listener.Accept()
	return []any{c, err}
}

// enters has whom an Accept gave join the cast: connections are accepted in their order.
func (t *troupe) enters(c net.Conn) {
	peer := t.dialled[0]
	t.dialled = t.dialled[1:]
	x := &actor{name: strings.Replace(peer, "c", "a", 1), at: "listener", peer: peer, tcp: c.(tcpConn)}
	t.cast = append(t.cast, x)
	t.says(x, "enters", c.LocalAddr(), c.RemoteAddr())
}

// hasEnded reports whether reading x to the end does not wait.
func (t *troupe) hasEnded(x *actor) bool {
	return x.waits == nil && (x.late || t.look(x.tcp).ended)
}

// readOf is one Read.
func readOf(x *actor, n int) []any {
	b := make([]byte, n)
	n, err := x.tcp.Read(b)
	return []any{n, shown(b[:n]), err}
}

// simple makes a verb of a method that returns nothing but an error.
func simple(name string, often int, do func(c tcpConn, n int) error) verb {
	return verb{name, often, by(func(t *troupe, x *actor, n int) { t.says(x, name, do(x.tcp, n)) })}
}

var tcpVerbs = []verb{
	{"Write", 12, by(func(t *troupe, x *actor, n int) {
		wrote, err := x.tcp.Write(t.text(sizes[n]))
		t.says(x, "Write", sizes[n], wrote, err)
	})},
	{"Read", 12, by(func(t *troupe, x *actor, n int) {
		if x.waits == nil && sizes[n] == 0 {
			t.says(x, "Read of nothing", readOf(x, 0)...)
			return
		}
		t.now(x, fmt.Sprint("Read ", sizes[n]), func() []any { return readOf(x, sizes[n]) })
	})},
	{"Read that waits", 6, by(func(t *troupe, x *actor, n int) {
		t.later(x, func() []any { return readOf(x, max(1, sizes[n])) })
	})},
	simple("CloseWrite", 4, func(c tcpConn, _ int) error { return c.CloseWrite() }),
	{"CloseRead", 3, by(func(t *troupe, x *actor, n int) {
		err := x.tcp.CloseRead()
		x.deaf = x.deaf || err == nil
		t.says(x, "CloseRead", err)
	})},
	simple("Close", 4, func(c tcpConn, _ int) error { return c.Close() }),
	simple("SetLinger(0)", 2, func(c tcpConn, _ int) error { return c.SetLinger(0) }),
	simple("SetLinger(-1)", 1, func(c tcpConn, _ int) error { return c.SetLinger(-1) }),
	simple("SetLinger(5)", 1, func(c tcpConn, _ int) error { return c.SetLinger(5) }),
	simple("SetNoDelay", 1, func(c tcpConn, _ int) error { return c.SetNoDelay(true) }),
	simple("SetKeepAlive", 1, func(c tcpConn, n int) error { return c.SetKeepAlive(n%2 == 0) }),
	{"addresses", 1, by(func(t *troupe, x *actor, _ int) { t.says(x, "addresses", x.tcp.LocalAddr(), x.tcp.RemoteAddr()) })},

	// Copies. The source must have ended: one that only reads no more still gives what comes,
	// which may be what it is copied to.
	{"ReadFrom", 2, by(func(t *troupe, x *actor, n int) {
		wrote, err := x.tcp.ReadFrom(struct{ io.Reader }{bytes.NewReader(t.text(sizes[n]))})
		t.says(x, "ReadFrom", sizes[n], wrote, err)
	})},
	{"WriteTo", 2, by(func(t *troupe, x *actor, n int) {
		if t.hasEnded(x) || x.deaf && x.waits == nil {
			var b bytes.Buffer
			got, err := x.tcp.WriteTo(struct{ io.Writer }{&b})
			t.says(x, "WriteTo", got, shown(b.Bytes()), err)
		}
	})},
	{"io.Copy", 2, by(func(t *troupe, x *actor, n int) {
		if from := t.cast[n%len(t.cast)]; t.hasEnded(from) {
			got, err := io.Copy(x.tcp, from.tcp)
			t.says(from, "is copied")
			t.says(x, "has copied it", got, err)
		}
	})},
	{"io.CopyN", 1, by(func(t *troupe, x *actor, n int) {
		if from := t.cast[n%len(t.cast)]; t.hasEnded(from) {
			got, err := io.CopyN(x.tcp, from.tcp, int64(sizes[n]))
			t.says(from, "is copied")
			t.says(x, "has copied of it", sizes[n], got, err)
		}
	})},

	{"dial", 3, func(t *troupe, _, _ int) { t.dialIn(t.from("0")) }},
	{"dial again", 4, by(dialAgain)},
	{"Accept", 3, func(t *troupe, _, _ int) { t.now(t.door, "Accept", t.accepts) }},
	{"Accept that waits", 2, func(t *troupe, _, _ int) { t.later(t.door, t.accepts) }},
	{"close the listener", 1, func(t *troupe, _, _ int) { t.says(t.door, "Close", t.door.listener.Close()) }},
	{"listen again", 1, func(t *troupe, _, _ int) {
		if !t.portsAreShared() && t.door.waits == nil {
			t.relisten(portOf(t.door.listener.Addr()))
		}
	}},
	{"the listener's deadline", 2, func(t *troupe, _, n int) { t.setDeadline(t.door, n, t.door.listener.SetDeadline) }},
}
