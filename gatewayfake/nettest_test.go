package gatewayfake_test

import (
	"context"
	"errors"
	"net"
	"os"
	"testing"
	"time"

	"golang.org/x/net/nettest"

	"github.com/netspec-go/netspec/netfake"
)

// brief is a test whose Cleanups are run by hand.
type brief struct {
	*testing.T
	cleanups []func()
}

func (b *brief) Cleanup(f func())         { b.cleanups = append(b.cleanups, f) }
func (b *brief) Context() context.Context { return context.Background() }

func (b *brief) end() {
	for i := len(b.cleanups) - 1; i >= 0; i-- {
		b.cleanups[i]()
	}
}

// golang.org/x/net's own conformance suite of connections, between a private instance and
// the internet, through a NAT gateway and an internet gateway.
func TestNettest(t *testing.T) {
	nettest.TestConn(t, func() (c1, c2 net.Conn, stop func(), err error) {
		tb := &brief{T: t}
		x := build(netfake.New(tb, netfake.Config{Instant: true}))
		l, err := x.site.Listen("tcp", ":7")
		if err != nil {
			return nil, nil, nil, err
		}
		if c1, err = x.app.Dial("tcp", "203.0.113.80:7"); err != nil {
			return nil, nil, nil, err
		}
		c2, err = l.Accept()
		if err == nil && c2.RemoteAddr().(*net.TCPAddr).IP.String() != x.nat.PublicIP().String() {
			t.Errorf("the connection came from %v and not through the gateway", c2.RemoteAddr())
		}
		return c1, c2, tb.end, err
	})
}

// What the suite asks of connections and can be asked of a connected UDP socket, whose
// peer is behind the same gateways: deadlines, their renewal, Close, and that a datagram
// stays one.
func TestPacketsThroughNAT(t *testing.T) { netfake.Run(t, testPacketsThroughNAT) }

func testPacketsThroughNAT(t *testing.T, w *netfake.World) {
	x := build(w)
	site, err := x.site.ListenPacket("udp", ":7")
	if err != nil {
		t.Fatal(err)
	}
	c, err := x.app.Dial("udp", "203.0.113.80:7")
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"one", "", "another"} {
		c.Write([]byte(text))
		b := make([]byte, 100)
		n, from, err := site.ReadFrom(b)
		if err != nil || string(b[:n]) != text || from.(*net.UDPAddr).IP.String() != x.nat.PublicIP().String() {
			t.Errorf("the site read %q from %v: %v", b[:n], from, err)
		}
		site.WriteTo([]byte("re: "+text), from)
		if n, err = c.Read(b); err != nil || string(b[:n]) != "re: "+text {
			t.Errorf("the app read %q: %v", b[:n], err)
		}
	}
	for _, d := range []time.Duration{-time.Hour, time.Minute} {
		began := w.Now()
		c.SetReadDeadline(time.Now().Add(d))
		if _, err := c.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) || w.Now()-began != max(d, 0) {
			t.Errorf("a deadline %v away: %v after %v", d, err, w.Now()-began)
		}
	}
	c.SetReadDeadline(time.Time{})
	time.AfterFunc(time.Second, func() { c.Close() })
	if _, err := c.Read(make([]byte, 1)); !errors.Is(err, net.ErrClosed) {
		t.Errorf("when the socket closes: %v", err)
	}
}
