// Package talk is for tests of what machines remember: sides that talk, over TCP and by
// datagrams, while somebody changes what lies between them, and a property that compares what
// can be seen of such a life with what is seen of it without memory.
package talk

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// Side is how one of the sides reaches others.
type Side struct {
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	To   string // whom it dials

	UDP   net.PacketConn // from which it sends datagrams
	UDPTo net.Addr       // to here
}

// Talk is what the sides say. Call and the other methods take any number for one of them. The
// zero Talk has no connection, and no side.
type Talk struct {
	Sides []Side
	conns []net.Conn
	back  map[string]func()
}

// Answer reads what comes on every connection of a listener and answers a tenth of it, until
// the listener is closed.
func Answer(l net.Listener) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		go func() {
			b := make([]byte, 10_000)
			for n, err := c.Read(b); err == nil; n, err = c.Read(b) {
				c.Write(b[:n/10])
			}
			c.Close()
		}()
	}
}

// Echo sends back each datagram that comes, until the socket is closed.
func Echo(c net.PacketConn) {
	b := make([]byte, 10_000)
	for n, from, err := c.ReadFrom(b); err == nil; n, from, err = c.ReadFrom(b) {
		c.WriteTo(b[:n], from)
	}
}

// Call has a side dial, with a second's patience. What comes back on the connection is read.
func (t *Talk) Call(side int) {
	s := &t.Sides[side%len(t.Sides)]
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	c, err := s.Dial(ctx, "tcp", s.To)
	if err != nil {
		return
	}
	t.conns = append(t.conns, c)
	go io.Copy(io.Discard, c)
}

// Write writes n bytes on one of the connections, if there is one.
func (t *Talk) Write(which, n int) {
	if len(t.conns) > 0 {
		t.conns[which%len(t.conns)].Write(make([]byte, n))
	}
}

// Datagram has a side send one of n bytes.
func (t *Talk) Datagram(side, n int) {
	s := &t.Sides[side%len(t.Sides)]
	s.UDP.WriteTo(make([]byte, n), s.UDPTo)
}

// Ends returns the two ends of one of the connections that were made over TCP, if there is one:
// of who dialled, and the other.
func (t *Talk) Ends(which int) (near, far netip.AddrPort, ok bool) {
	if len(t.conns) == 0 {
		return near, far, false
	}
	c := t.conns[which%len(t.conns)]
	local, _ := c.LocalAddr().(*net.TCPAddr)
	remote, _ := c.RemoteAddr().(*net.TCPAddr)
	if local == nil || remote == nil {
		return near, far, false
	}
	return local.AddrPort(), remote.AddrPort(), true
}

// Connections returns how many connections there are.
func (t *Talk) Connections() int { return len(t.conns) }

// Hangup closes the oldest connection, if there is one.
func (t *Talk) Hangup() {
	if len(t.conns) > 0 {
		t.conns[0].Close()
		t.conns = t.conns[1:]
	}
}

// Toggle makes a change, or takes it back if it has been made.
func (t *Talk) Toggle(what string, change, back func()) {
	if undo := t.back[what]; undo != nil {
		undo()
		delete(t.back, what)
		return
	}
	change()
	if t.back == nil {
		t.back = map[string]func(){}
	}
	t.back[what] = back
}

// Act is something that happens in a life: of one kind, to one of those to whom it can.
type Act struct{ Kind, Which int }

// Kinds is what kinds of acts there are.
type Kinds struct {
	N     int   // from 0 up to here
	Quiet []int // those that change nothing of what machines may remember
}

// Invisible checks that of no sequence of acts more can be seen than without memory. It has
// live live through the acts, once with what machines remember and once recorded, of which
// they remember nothing, and return all that can be seen.
func Invisible(t *testing.T, kinds Kinds, live func(t *rapid.T, acts []Act, recorded bool) string) {
	t.Helper()
	whatever := rapid.Custom(func(t *rapid.T) Act { return Act{even(t, "kind", kinds.N), even(t, "which", 12)} })
	quiet := rapid.Custom(func(t *rapid.T) Act {
		return Act{kinds.Quiet[even(t, "quiet kind", len(kinds.Quiet))], even(t, "which", 12)}
	})
	chapter := rapid.OneOf(rapid.SliceOfN(whatever, 1, 12), rapid.SliceOfN(quiet, 1, 12)) // short lists, of which several make a life
	rapid.Check(t, func(t *rapid.T) {
		acts := slices.Concat(rapid.SliceOfN(chapter, 1, 12).Draw(t, "acts")...)
		rapid.SyncTest(t, func(t *rapid.T) {
			with := live(t, acts, false)
			if d := difference(with, live(t, acts, true)); d != "" {
				t.Fatal(d)
			}
		})
	})
}

// even draws a number below n, one as likely as another: rapid itself prefers small ones, of
// which a life would be full.
func even(t *rapid.T, label string, n int) int {
	k := 0
	for _, bit := range rapid.SliceOfN(rapid.Bool(), 12, 12).Draw(t, label) {
		k *= 2
		if bit {
			k++
		}
	}
	return k % n
}

// difference tells what is seen where two lives differ, "" where they do not.
func difference(with, without string) string {
	if with == without {
		return ""
	}
	return fmt.Sprintf("with memory\n%s\nwithout\n%s", with, without)
}
