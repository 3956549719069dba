package talk

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"pgregory.net/rapid"
)

// pipes is a listener whose connections are pipes.
type pipes chan net.Conn

func (p pipes) Accept() (net.Conn, error) {
	c, ok := <-p
	if !ok {
		return nil, net.ErrClosed
	}
	return c, nil
}
func (p pipes) Close() error   { close(p); return nil }
func (p pipes) Addr() net.Addr { return nil }

func (p pipes) dial(_ context.Context, _, address string) (net.Conn, error) {
	if address == "nobody" {
		return nil, errors.New("nobody")
	}
	a, b := net.Pipe()
	p <- b
	return &counted{Conn: a}, nil
}

// counted counts what is read.
type counted struct {
	net.Conn
	read int
}

func (c *counted) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.read += n
	return n, err
}

// Who is called answers a tenth of what he hears, on the connection on which it was said,
// until it is closed.
func TestTalk(t *testing.T) { synctest.Test(t, testTalk) }

func testTalk(t *testing.T) {
	l := make(pipes)
	go Answer(l)
	x := Talk{Sides: []Side{{Dial: l.dial, To: "somebody"}, {Dial: l.dial, To: "nobody"}}}
	x.Write(0, 100) // to nobody yet
	x.Hangup()
	for side, want := range []int{1, 1, 2} { // the second side finds nobody
		x.Call(side)
		if got := x.Connections(); got != want {
			t.Errorf("%d connections after call %d, want %d", got, side, want)
		}
	}
	first, second := x.conns[0].(*counted), x.conns[1].(*counted)
	x.Write(1, 200)
	x.Write(2, 1000)
	synctest.Wait()
	if first.read != 100 || second.read != 20 {
		t.Errorf("%d and %d bytes were answered, want 100 and 20", first.read, second.read)
	}
	x.Hangup()
	x.Hangup()
	l.Close()
	if x.Connections() != 0 {
		t.Errorf("%d connections are left", x.Connections())
	}
}

// A change is made, taken back, and made again; another one meanwhile does not matter.
func TestToggle(t *testing.T) {
	var x Talk
	var did strings.Builder
	toggle := func(what string) {
		x.Toggle(what, func() { did.WriteString("+" + what) }, func() { did.WriteString("-" + what) })
	}
	for _, what := range []string{"a", "b", "a", "a", "b"} {
		toggle(what)
	}
	if did.String() != "+a+b-a+a-b" {
		t.Errorf("did %s", &did)
	}
}

// Every life is lived twice, through the same acts, at first with memory.
func TestInvisible(t *testing.T) {
	var before []Act
	Invisible(t, Kinds{N: 3, Quiet: []int{1}}, func(t *rapid.T, acts []Act, recorded bool) string {
		if recorded != (before != nil) || recorded && !slices.Equal(acts, before) {
			t.Errorf("recorded %v: %v after %v", recorded, acts, before)
		}
		for _, a := range acts {
			if a.Kind < 0 || a.Kind > 2 {
				t.Errorf("an act of kind %d of 3", a.Kind)
			}
		}
		if before = acts; recorded {
			before = nil
		}
		return fmt.Sprint(acts)
	})
	for _, row := range [][3]string{{"same", "same", ""}, {"", "", ""}, {"more", "less", "with memory\nmore\nwithout\nless"}} {
		if got := difference(row[0], row[1]); got != row[2] {
			t.Errorf("%q and %q differ: %q, want %q", row[0], row[1], got, row[2])
		}
	}
}

// ended is a connection with ends.
type ended struct {
	net.Conn
	local, remote net.Addr
}

func (c ended) LocalAddr() net.Addr  { return c.local }
func (c ended) RemoteAddr() net.Addr { return c.remote }

// The ends are those of the connection that is asked for, if it is one that has any.
func TestEnds(t *testing.T) {
	var x Talk
	if near, far, ok := x.Ends(0); ok {
		t.Errorf("of no connection: %v, %v", near, far)
	}
	at := func(s string) net.Addr { return net.TCPAddrFromAddrPort(netip.MustParseAddrPort(s)) }
	a, _ := net.Pipe()
	x.conns = []net.Conn{ended{a, at("10.0.0.1:1"), at("10.0.0.2:2")}, ended{a, at("10.0.0.3:3"), at("10.0.0.4:4")}, a}
	for which, want := range []string{"10.0.0.1:1 10.0.0.2:2 true", "10.0.0.3:3 10.0.0.4:4 true", "invalid AddrPort invalid AddrPort false"} {
		near, far, ok := x.Ends(which)
		if got := fmt.Sprint(near, far, ok); got != want {
			t.Errorf("of connection %d: %s, want %s", which, got, want)
		}
	}
}

// mailbox is a socket to which datagrams have come, and that notes what is sent from it.
type mailbox struct {
	net.PacketConn
	came []string
	sent []string
}

func (m *mailbox) ReadFrom(b []byte) (int, net.Addr, error) {
	if len(m.came) == 0 {
		return 0, nil, net.ErrClosed
	}
	n := copy(b, m.came[0])
	m.came = m.came[1:]
	return n, &net.UDPAddr{Port: n}, nil
}

func (m *mailbox) WriteTo(b []byte, to net.Addr) (int, error) {
	m.sent = append(m.sent, fmt.Sprint(len(b), " to ", to))
	return len(b), nil
}

// Every datagram goes back to who sent it; a side sends them as long as it is told to.
func TestDatagrams(t *testing.T) {
	m := &mailbox{came: []string{"a", "bcd"}}
	Echo(m)
	if want := []string{"1 to :1", "3 to :3"}; !slices.Equal(m.sent, want) {
		t.Errorf("echoed %q, want %q", m.sent, want)
	}
	m.sent = nil
	x := Talk{Sides: []Side{{}, {UDP: m, UDPTo: &net.UDPAddr{Port: 53}}}}
	x.Datagram(1, 200)
	x.Datagram(3, 7)
	if want := []string{"200 to :53", "7 to :53"}; !slices.Equal(m.sent, want) {
		t.Errorf("sent %q, want %q", m.sent, want)
	}
}
