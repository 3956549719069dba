package netfake

import (
	"io"
	"net"
	"sync"
	"syscall"
	"testing"
)

// turnedAway wants a connection that the other side of a bridge refused. The reset may
// come before Dial returns.
func turnedAway(t *testing.T, what string, c net.Conn, err error) {
	t.Helper()
	if err == nil {
		defer c.Close()
		_, err = c.Read(make([]byte, 1))
	}
	want(t, what, err, syscall.ECONNRESET)
}

// A program that the world refuses is reset; once somebody listens it comes through.
func TestInletRefused(t *testing.T) {
	w := New(t, Config{Instant: true})
	server, client := twoHosts(w)
	at := client.Inlet("tcp", "203.0.113.10:7").String()
	c, err := net.Dial("tcp4", at)
	turnedAway(t, "nobody listens", c, err)
	echoServer(t, server, ":7")
	echoed(t, "somebody listens", func() (net.Conn, error) { return net.Dial("tcp4", at) })
	server.Crash()
	defer client.Crash().Undo()
	c, err = net.Dial("tcp4", at)
	turnedAway(t, "the host that lets it in is down", c, err)
}

// A service need not be there when it is lent, and may go away.
func TestLendRefused(t *testing.T) {
	w := New(t, Config{Instant: true})
	server, client := twoHosts(w)
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	service := l.Addr().String()
	l.Close()
	server.Lend("tcp", ":5432", service)
	dial := func() (net.Conn, error) { return client.Dial("tcp", "203.0.113.10:5432") }
	c, err := dial()
	turnedAway(t, "not there yet", c, err)
	if l, err = net.Listen("tcp4", service); err != nil {
		t.Fatal(err)
	}
	var group sync.WaitGroup
	group.Go(func() {
		c, err := l.Accept()
		if err != nil {
			t.Error(err)
			return
		}
		io.Copy(c, c)
		c.Close()
	})
	echoed(t, "there", dial)
	group.Wait()
	l.Close()
	c, err = dial()
	turnedAway(t, "gone", c, err)
}

// echoed dials and wants back what it says.
func echoed(t *testing.T, what string, dial func() (net.Conn, error)) {
	t.Helper()
	c, err := dial()
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
	defer c.Close()
	c.Write([]byte("hello"))
	b := make([]byte, 5)
	if _, err := io.ReadFull(c, b); err != nil || string(b) != "hello" {
		t.Errorf("%s: got %q, %v", what, b, err)
	}
}
