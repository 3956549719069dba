package netfake

import (
	"errors"
	"io"
	"net"
	"syscall"
	"testing"
	"time"
)

func TestClosedConnectionIsInert(t *testing.T) { Run(t, testClosedConnectionIsInert) }

// Whoever still holds a connection that is closed and over cannot touch the one that has
// come after it, whose memory may be that of the first.
func testClosedConnectionIsInert(t *testing.T, w *World) {
	server, client := twoHosts(w)
	echoServer(t, server, ":7")
	dial := func() *TCPConn {
		c, err := client.Dial("tcp", "203.0.113.10:7")
		if err != nil {
			t.Fatal(err)
		}
		return c.(*TCPConn)
	}
	old := dial()
	old.SetLinger(0)
	old.Close()
	w.Sleep(time.Second)
	if old.machine != &w.done {
		t.Error("a connection that is over and closed has kept its machine")
	}
	c := dial()
	b := make([]byte, 9)
	for what, err := range map[string]error{
		"Read":         second(old.Read(b)),
		"Write":        second(old.Write(b)),
		"Close":        old.Close(),
		"CloseRead":    old.CloseRead(),
		"CloseWrite":   old.CloseWrite(),
		"SetLinger":    old.SetLinger(0),
		"SetNoDelay":   old.SetNoDelay(false),
		"SetKeepAlive": old.SetKeepAlive(false),
		"SetDeadline":  old.SetDeadline(time.Now()),
	} {
		if !errors.Is(err, net.ErrClosed) {
			t.Errorf("%s of a closed connection: %v, want %v", what, err, net.ErrClosed)
		}
	}
	if old.LocalAddr().String() == c.LocalAddr().String() {
		t.Errorf("both connections are at %v", c.LocalAddr())
	}
	if _, err := c.Write([]byte("hello")); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(c, b[:5]); err != nil || string(b[:5]) != "hello" {
		t.Errorf("read %q, %v", b[:5], err)
	}
}

func second(_ int, err error) error { return err }

func TestLastWordsOfAConnection(t *testing.T) { Run(t, testLastWordsOfAConnection) }

// The reset of a connection that is over before the packet has left goes its way, through
// a link that asks connections to control congestion.
func testLastWordsOfAConnection(t *testing.T, w *World) {
	server, client := twoHosts(w)
	l, err := server.Listen("tcp", ":7")
	if err != nil {
		t.Fatal(err)
	}
	c, err := client.Dial("tcp", "203.0.113.10:7")
	if err != nil {
		t.Fatal(err)
	}
	s, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	client.Uplink().Link().SetBandwidth(Bandwidth{Bits: 1e6})
	c.(*TCPConn).SetLinger(0)
	c.Close()
	if _, err := s.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("the other end read %v, want %v", err, syscall.ECONNRESET)
	}
}
