package netfake

import (
	"net"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/netspec-go/netspec/internal/wire"
)

// swallow is a middlebox that takes the first segments with exactly these flags.
type swallow struct {
	flags uint8
	left  int
}

func (s *swallow) String() string { return "swallow" }

func (s *swallow) Step(p *Packet) Next {
	if p.Flow.Proto != TCP || p.TCPFlags() != s.flags || s.left == 0 {
		return p.Onward()
	}
	s.left--
	return p.Drop(Hop{Place: "swallow", By: s, Rule: "one of these"})
}

// halfOpen has b listen and a dial it, while a segment of the handshake gets lost, and
// returns b's listener and what the dial will give.
func halfOpen(t *testing.T, p *duo, lost uint8) (*Listener, <-chan dialled) {
	t.Helper()
	l, err := p.b.listen("tcp", ":80")
	if err != nil {
		t.Fatal(err)
	}
	p.a.Uplink().Link().Insert(&swallow{lost, 1})
	got := make(chan dialled, 1)
	go func() {
		c, err := p.a.Dial("tcp", "203.0.113.2:80")
		got <- dialled{c, err, p.w.Now()}
	}()
	p.at(10)
	if l.waiting != 1 || len(l.ready) != 0 {
		t.Fatalf("%d are half open, %d are ready", l.waiting, len(l.ready))
	}
	return l, got
}

// dialled is what a dial gave, and when.
type dialled struct {
	conn net.Conn
	err  error
	at   time.Duration
}

// A listener that closes forgets who is half open without a word, as Linux does: nothing is
// sent to it any more, least of all a SYN-ACK, and what it sends itself is answered with RST.
func TestListenerForgetsHalfOpen(t *testing.T) { Run(t, testListenerForgetsHalfOpen) }

func testListenerForgetsHalfOpen(t *testing.T, w *World) {
	p := newDuo(t, w)
	l, dial := halfOpen(t, p, wire.ACK)
	l.Close()
	if l.waiting != 0 || len(p.b.conns) != 0 {
		t.Errorf("%d are still half open, of %d connections", l.waiting, len(p.b.conns))
	}
	c := (<-dial).conn
	c.SetReadDeadline(time.Now().Add(14 * time.Second)) // its keep-alive would ask after 15
	_, err := c.Read(make([]byte, 1))
	want(t, "long after the listener has closed", err, os.ErrDeadlineExceeded)
	c.SetReadDeadline(time.Time{})
	c.Write([]byte("x"))
	_, err = c.Read(make([]byte, 1))
	want(t, "once something was sent", err, syscall.ECONNRESET)
}

// One whose SYN-ACK was lost, and that sends its SYN again after a second, finds nobody.
func TestListenerForgetsSYN(t *testing.T) { Run(t, testListenerForgetsSYN) }

func testListenerForgetsSYN(t *testing.T, w *World) {
	l, dial := halfOpen(t, newDuo(t, w), wire.SYN|wire.ACK)
	l.Close()
	d := <-dial
	want(t, "the SYN comes again", d.err, syscall.ECONNREFUSED)
	if d.at != time.Second+4*time.Millisecond {
		t.Errorf("refused at %v", d.at)
	}
}

// Another listener at the same port begins anew with it.
func TestListenerAfterHalfOpen(t *testing.T) { Run(t, testListenerAfterHalfOpen) }

func testListenerAfterHalfOpen(t *testing.T, w *World) {
	p := newDuo(t, w)
	l, dial := halfOpen(t, p, wire.SYN|wire.ACK)
	l.Close()
	next, err := p.b.Listen("tcp", ":80")
	if err != nil {
		t.Fatal(err)
	}
	d := <-dial
	if d.err != nil || d.at != time.Second+4*time.Millisecond {
		t.Fatalf("dialled at %v: %v", d.at, d.err)
	}
	c, err := next.Accept()
	if err != nil || c.RemoteAddr().String() != d.conn.LocalAddr().String() {
		t.Errorf("accepted %v, %v", c, err)
	}
}
