package netfake

import (
	"errors"
	"io"
	"net/netip"
	"syscall"
	"testing"
	"time"

	"github.com/netspec-go/netspec/internal/tcp"
)

// bothEnds connects two hosts, 2 ms apart, and returns both ends and a func that waits until
// a time after that.
func bothEnds(t *testing.T, w *World) (a, b *TCPConn, at func(time.Duration)) {
	p := newDuo(t, w)
	l, err := p.b.Listen("tcp", ":80")
	if err != nil {
		t.Fatal(err)
	}
	c, err := p.a.Dial("tcp", "203.0.113.2:80")
	if err != nil {
		t.Fatal(err)
	}
	s, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	began := w.Now()
	return c.(*TCPConn), s.(*TCPConn), func(d time.Duration) { w.Sleep(began + d - w.Now()) }
}

// wantState checks the state of a connection, which for one that is forgotten is CLOSED.
func wantState(t *testing.T, why string, c *TCPConn, want tcp.State) {
	t.Helper()
	var got tcp.State
	c.host.world.Do(func(time.Duration) { got = c.machine.State() })
	if got != want {
		t.Errorf("%s: %v, want %v", why, got, want)
	}
}

// Both ends close at one instant: each acknowledges the other's FIN and waits (RFC 9293,
// 3.6, figure 13), to the nanosecond for a minute.
func TestCloseBothAtOnce(t *testing.T) {
	Run(t, func(t *testing.T, w *World) {
		a, b, at := bothEnds(t, w)
		a.Close()
		b.Close()
		for _, c := range []*TCPConn{a, b} {
			wantState(t, "closed", c, tcp.FinWait1)
		}
		at(2 * time.Millisecond)
		for _, c := range []*TCPConn{a, b} {
			wantState(t, "the other's FIN has come", c, tcp.Closing)
		}
		at(4 * time.Millisecond)
		for _, c := range []*TCPConn{a, b} {
			wantState(t, "the FIN was acknowledged", c, tcp.TimeWait)
		}
		at(time.Minute + 4*time.Millisecond - 1)
		wantState(t, "for a minute", a, tcp.TimeWait)
		at(time.Minute + 4*time.Millisecond)
		wantState(t, "and no longer", a, tcp.Closed)
		wantState(t, "at the other end too", b, tcp.Closed)
	})
}

// Whoever has closed waits a minute in FIN-WAIT-2 for a peer that does not
// (net.ipv4.tcp_fin_timeout). What the peer writes then is answered with RST.
func TestCloseOrphan(t *testing.T) {
	Run(t, func(t *testing.T, w *World) {
		a, b, at := bothEnds(t, w)
		a.Close()
		at(4 * time.Millisecond)
		wantState(t, "closed", a, tcp.FinWait2)
		wantState(t, "its peer", b, tcp.CloseWait)
		at(time.Minute + 4*time.Millisecond - 1)
		wantState(t, "for a minute", a, tcp.FinWait2)
		at(time.Minute + 4*time.Millisecond)
		wantState(t, "and no longer", a, tcp.Closed)

		if n, err := b.Read(make([]byte, 1)); n != 0 || err != io.EOF {
			t.Errorf("read: %d, %v", n, err)
		}
		if _, err := b.Write([]byte("x")); err != nil {
			t.Errorf("the first write: %v", err)
		}
		at(time.Minute + 8*time.Millisecond)
		if _, err := b.Write([]byte("x")); !errors.Is(err, syscall.EPIPE) {
			t.Errorf("the second write: %v", err)
		}
	})
}

// Two hosts dial each other from the ports to which the other dials, at one instant: that
// is one connection (RFC 9293, 3.5, figure 7), open after a round trip.
func TestOpenBothAtOnce(t *testing.T) {
	Run(t, func(t *testing.T, w *World) {
		p := newDuo(t, w)
		dial := func(h *Host, from, to string) (*TCPConn, time.Duration) {
			d := Dialer{Host: h, LocalAddr: netip.MustParseAddrPort(from)}
			c, err := d.DialContext(t.Context(), "tcp", to)
			if err != nil {
				t.Error(err)
				return nil, 0
			}
			return c.(*TCPConn), w.Now()
		}
		const a, b = "203.0.113.1:1000", "203.0.113.2:2000"
		other := make(chan *TCPConn, 1)
		go func() {
			c, _ := dial(p.b, b, a)
			other <- c
		}()
		c, took := dial(p.a, a, b)
		s := <-other
		if c == nil || s == nil {
			return
		}
		if took != 4*time.Millisecond {
			t.Errorf("it took %v", took)
		}
		c.Write([]byte("hello"))
		buf := make([]byte, 10)
		if n, err := s.Read(buf); string(buf[:n]) != "hello" || err != nil {
			t.Errorf("%q, %v", buf[:n], err)
		}
	})
}

// Nagle's algorithm keeps a second small write until the first is acknowledged; without it
// both go at once (RFC 9293, 3.7.4).
func TestNagle(t *testing.T) {
	for _, row := range []struct {
		noDelay bool
		want    time.Duration // when the second byte comes
	}{{true, 2 * time.Millisecond}, {false, 6 * time.Millisecond}} {
		Run(t, func(t *testing.T, w *World) {
			a, b, _ := bothEnds(t, w)
			a.SetNoDelay(row.noDelay)
			began := w.Now()
			a.Write([]byte("1"))
			a.Write([]byte("2"))
			if _, err := io.ReadFull(b, make([]byte, 2)); err != nil {
				t.Fatal(err)
			}
			if took := w.Now() - began; took != row.want {
				t.Errorf("SetNoDelay(%v): after %v, want %v", row.noDelay, took, row.want)
			}
		})
	}
}

// A window that the reader has closed opens when it reads, and the writer, which has asked
// meanwhile, goes on: nothing is lost.
func TestClosedWindow(t *testing.T) {
	Run(t, func(t *testing.T, w *World) {
		a, b, at := bothEnds(t, w)
		const size = tcp.DefaultRecvBuffer + 100_000
		a.Write(make([]byte, size))
		at(time.Hour)
		// The window is told in units of 32 bytes, and the first was 65,535.
		var got int
		w.Do(func(time.Duration) { got = b.machine.Buffered() })
		if got != tcp.DefaultRecvBuffer-32 {
			t.Errorf("%d bytes wait to be read", got)
		}
		wantState(t, "an hour later", a, tcp.Established)
		began := w.Now()
		if _, err := io.ReadFull(b, make([]byte, size)); err != nil {
			t.Fatal(err)
		}
		if took := w.Now() - began; took != 4*time.Millisecond {
			t.Errorf("the rest came %v after the first was read", took)
		}
	})
}
