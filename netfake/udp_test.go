package netfake

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"syscall"
	"testing"
	"time"
)

// What finds the receive buffer full is dropped, counted and explained; once something
// is read, there is room again.
func TestUDPBufferOverflow(t *testing.T) { RunConfig(t, Config{Instant: true}, testUDPBufferOverflow) }

func testUDPBufferOverflow(t *testing.T, w *World) {
	server, client := twoHosts(w)
	in := openUDP(t, server, 53)
	c := dialUDPFrom(t, client, 1000, in)
	const size = 1024
	const fits = 92 // what Linux 6.18 keeps
	for range fits + 5 {
		c.Write(make([]byte, size))
	}
	if in.Dropped() != 5 {
		t.Errorf("%d datagrams dropped, want 5", in.Dropped())
	}
	if d := w.Drops(); len(d) != 5 || d[0].Hop.By != Component(server) || d[0].Hop.Rule != "the receive buffer of udp/53 is full" {
		t.Errorf("drops: %v", d)
	}
	b := make([]byte, size)
	in.Read(b)
	c.Write(b)
	for i := range fits {
		in.SetReadDeadline(time.Now().Add(time.Second))
		if _, err := in.Read(b); err != nil {
			t.Fatalf("datagram %d: %v", i, err)
		}
	}
	if in.Dropped() != 5 {
		t.Errorf("%d datagrams dropped after there was room", in.Dropped())
	}
}

// How many datagrams a receive buffer holds, in numbers of Linux 6.18's loopback.
func TestUDPBufferSizes(t *testing.T) { RunConfig(t, Config{Instant: true}, testUDPBufferSizes) }

func testUDPBufferSizes(t *testing.T, w *World) {
	server, client := twoHosts(w)
	for i, row := range []struct{ buffer, size, fits int }{
		{-1, 0, 256},
		{-1, 197, 256},
		{-1, 198, 166},
		{-1, 645, 166},
		{-1, 646, 92},
		{-1, 1472, 92},
		{0, 100, 2}, // the least that SO_RCVBUF takes
		{5000, 100, 12},
		{20000, 100, 48},
		{100000, 100, 240},
		{1 << 20, 100, 512}, // net.core.rmem_max
	} {
		in := openUDP(t, server, uint16(1000+i))
		if row.buffer >= 0 {
			in.SetReadBuffer(row.buffer)
		}
		c := dialUDPFrom(t, client, uint16(1000+i), in)
		for range row.fits + 10 {
			c.Write(make([]byte, row.size))
		}
		if in.Dropped() != 10 {
			t.Errorf("%d bytes each, SetReadBuffer(%d): %d of %d dropped, want 10", row.size, row.buffer, in.Dropped(), row.fits+10)
		}
	}
}

// A datagram that is longer than the reader's buffer is cut.
func TestUDPReads(t *testing.T) { Run(t, testUDPReads) }

func testUDPReads(t *testing.T, w *World) {
	server, client := twoHosts(w)
	in := openUDP(t, server, 53)
	c := dialUDPFrom(t, client, 1000, in)
	c.Write([]byte("a long one"))
	c.Write(nil)
	b := make([]byte, 6)
	if n, from, err := in.ReadFrom(b); err != nil || string(b[:n]) != "a long" || from.String() != "198.51.100.20:1000" {
		t.Errorf("got %q from %v, %v", b[:n], from, err)
	}
	if n, _, err := in.ReadFrom(b); n != 0 || err != nil {
		t.Errorf("an empty datagram: %d bytes, %v", n, err)
	}
	in.SetReadDeadline(time.Now().Add(time.Minute))
	began := w.Now()
	_, _, err := in.ReadFrom(b)
	want(t, "a read", err, os.ErrDeadlineExceeded)
	if took := w.Now() - began; took != time.Minute {
		t.Errorf("the deadline passed after %v", took)
	}
	in.SetReadDeadline(time.Time{})
	time.AfterFunc(time.Second, func() { in.Close() })
	_, _, err = in.ReadFrom(b)
	want(t, "a read when the socket closes", err, net.ErrClosed)
	want(t, "closing again", in.Close(), net.ErrClosed)
	_, err = in.WriteTo(b, c.LocalAddr())
	want(t, "a write to a closed socket", err, net.ErrClosed)
}

// A connected socket hears its peer alone, and an unconnected one does not Write.
func TestUDPConnected(t *testing.T) { Run(t, testUDPConnected) }

func testUDPConnected(t *testing.T, w *World) {
	server, client := twoHosts(w)
	in, stranger := openUDP(t, server, 53), openUDP(t, server, 54)
	c := dialUDPFrom(t, client, 1000, in).(*UDPConn)
	stranger.WriteTo([]byte("not for you"), c.LocalAddr())
	in.WriteTo([]byte("for you"), c.LocalAddr())
	b := make([]byte, 100)
	if n, err := c.Read(b); err != nil || string(b[:n]) != "for you" {
		t.Errorf("read %q, %v", b[:n], err)
	}
	_, err := c.WriteTo(b, stranger.LocalAddr())
	want(t, "WriteTo on a connected socket", err, net.ErrWriteToConnected)
	_, err = in.Write(b)
	want(t, "Write on an unconnected socket", err, syscall.EDESTADDRREQ)
	if in.RemoteAddr() != nil || c.RemoteAddr().String() != "203.0.113.10:53" {
		t.Errorf("remote addresses %v and %v", in.RemoteAddr(), c.RemoteAddr())
	}
	_, err = in.WriteTo(b, &net.IPAddr{})
	if err == nil {
		t.Error("WriteTo took an address that is none of UDP")
	}
	_, err = in.WriteToUDPAddrPort(b, netip.MustParseAddrPort("[2001:db8::1]:1"))
	var addr *net.AddrError
	if !errors.As(err, &addr) {
		t.Errorf("an IPv6 destination: %v", err)
	}
}

// A host's sockets reach one another without a network.
func TestLoopback(t *testing.T) { Run(t, testLoopback) }

func testLoopback(t *testing.T, w *World) {
	server, _ := twoHosts(w)
	echoServer(t, server, "127.0.0.1:7")
	began := w.Now()
	c, err := server.Dial("tcp", "localhost:7")
	if err != nil {
		t.Fatal(err)
	}
	c.Write([]byte("x"))
	if _, err := c.Read(make([]byte, 1)); err != nil || w.Now() != began {
		t.Errorf("%v, after %v", err, w.Now()-began)
	}
	_, err = server.Dial("tcp", "203.0.113.10:7")
	want(t, "the port at another address of the host", err, syscall.ECONNREFUSED)
}
