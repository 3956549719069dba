package netfake

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"testing"
	"time"

	"golang.org/x/net/nettest"

	lo "github.com/netspec-go/netspec/internal/loopback"
)

// instantHosts is two hosts in a world in real time.
func instantHosts(t *testing.T) lo.Network {
	w := New(t, Config{Instant: true})
	server, client := twoHosts(w)
	return lo.Network{
		Listen: func() (net.Listener, error) { return server.Listen("tcp", "203.0.113.10:0") },
		Dial:   func(addr string) (net.Conn, error) { return client.Dial("tcp", addr) },
	}
}

// Both ends of a connection.
func pair(t *testing.T, n lo.Network) (client, server tcpConn) {
	t.Helper()
	l, err := n.Listen()
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c, err := n.Dial(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	s, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close(); s.Close() })
	return c.(tcpConn), s.(tcpConn)
}

// tcpConn is what *net.TCPConn and *TCPConn have in common.
type tcpConn interface {
	net.Conn
	CloseWrite() error
	CloseRead() error
	SetLinger(sec int) error
	SetNoDelay(noDelay bool) error
	SetKeepAliveConfig(net.KeepAliveConfig) error
}

// settle gives the kernel's loopback the time that a RST needs: it is in order behind
// a byte on a connection of its own.
func settle(t *testing.T, n lo.Network) {
	c, s := pair(t, n)
	c.Write([]byte("x"))
	s.Read(make([]byte, 1))
}

// Every row runs over the kernel's loopback and over two hosts, and must see the same.
func TestParity(t *testing.T) {
	for _, network := range []struct {
		name string
		open func(t *testing.T) lo.Network
	}{
		{"kernel", func(*testing.T) lo.Network { return lo.Kernel() }},
		{"netfake", instantHosts},
	} {
		for _, row := range parity {
			t.Run(network.name+"/"+row.name, func(t *testing.T) { row.f(t, network.open(t)) })
		}
	}
}

var parity = []struct {
	name string
	f    func(t *testing.T, n lo.Network)
}{
	{"half-close: the other direction goes on", func(t *testing.T, n lo.Network) {
		c, s := pair(t, n)
		c.Write([]byte("question"))
		want(t, "CloseWrite", c.CloseWrite(), nil)
		b, err := io.ReadAll(s)
		want(t, "the server reads "+string(b), err, nil)
		_, err = c.Write([]byte("x"))
		want(t, "a write after CloseWrite", err, syscall.EPIPE)
		s.Write([]byte("answer"))
		s.Close()
		b, err = io.ReadAll(c)
		want(t, "the client reads "+string(b), err, nil)
		if string(b) != "answer" {
			t.Errorf("the client read %q", b)
		}
	}},
	{"closing with unread data resets", func(t *testing.T, n lo.Network) {
		c, s := pair(t, n)
		c.Write([]byte("unread"))
		readable(t, s)
		s.Close()
		settle(t, n)
		_, err := c.Read(make([]byte, 1))
		want(t, "the first read", err, syscall.ECONNRESET)
		_, err = c.Read(make([]byte, 1))
		want(t, "the second", err, io.EOF)
	}},
	{"a write after the peer has closed and reset", func(t *testing.T, n lo.Network) {
		c, s := pair(t, n)
		s.SetLinger(0)
		s.Close()
		settle(t, n)
		_, err := c.Write([]byte("x"))
		want(t, "the first write", err, syscall.ECONNRESET)
		_, err = c.Write([]byte("x"))
		want(t, "the second", err, syscall.EPIPE)
	}},
	{"a write to one who has closed is taken, the next is not", func(t *testing.T, n lo.Network) {
		c, s := pair(t, n)
		s.Close()
		_, err := c.Read(make([]byte, 1))
		want(t, "a read", err, io.EOF)
		_, err = c.Write([]byte("x"))
		want(t, "the first write", err, nil)
		settle(t, n)
		_, err = c.Write([]byte("x"))
		want(t, "the second", err, syscall.EPIPE)
	}},
	{"closing wakes a read", func(t *testing.T, n lo.Network) {
		c, _ := pair(t, n)
		got := make(chan error)
		go func() {
			_, err := c.Read(make([]byte, 1))
			got <- err
		}()
		c.Close()
		want(t, "the read", <-got, net.ErrClosed)
	}},
	{"closing wakes a write", func(t *testing.T, n lo.Network) {
		c, _ := pair(t, n)
		got := make(chan error)
		go func() {
			for {
				if _, err := c.Write(make([]byte, 1<<20)); err != nil {
					got <- err
					return
				}
			}
		}()
		c.Close()
		want(t, "the write", <-got, net.ErrClosed)
	}},
	{"a closed connection", func(t *testing.T, n lo.Network) {
		c, _ := pair(t, n)
		want(t, "Close", c.Close(), nil)
		want(t, "Close again", c.Close(), net.ErrClosed)
		_, err := c.Read(nil)
		want(t, "Read", err, net.ErrClosed)
		_, err = c.Write(nil)
		want(t, "Write", err, net.ErrClosed)
		want(t, "CloseWrite", c.CloseWrite(), net.ErrClosed)
		want(t, "SetDeadline", c.SetDeadline(time.Now()), net.ErrClosed)
		want(t, "SetLinger", c.SetLinger(0), net.ErrClosed)
		want(t, "SetNoDelay", c.SetNoDelay(true), net.ErrClosed)
	}},
	{"deadlines in the past, before data that is there", func(t *testing.T, n lo.Network) {
		c, s := pair(t, n)
		c.Write([]byte("x"))
		readable(t, s)
		s.SetReadDeadline(time.Unix(1, 0))
		_, err := s.Read(make([]byte, 1))
		want(t, "Read", err, os.ErrDeadlineExceeded)
		s.SetWriteDeadline(time.Unix(1, 0))
		_, err = s.Write([]byte("x"))
		want(t, "Write", err, os.ErrDeadlineExceeded)
		s.SetDeadline(time.Time{})
		_, err = s.Read(make([]byte, 1))
		want(t, "Read without a deadline", err, nil)
	}},
	{"CloseRead ends reading", func(t *testing.T, n lo.Network) {
		c, _ := pair(t, n)
		want(t, "CloseRead", c.CloseRead(), nil)
		_, err := c.Read(make([]byte, 1))
		want(t, "Read", err, io.EOF)
	}},
	{"nobody listens", func(t *testing.T, n lo.Network) {
		l, err := n.Listen()
		if err != nil {
			t.Fatal(err)
		}
		addr := l.Addr().String()
		l.Close()
		_, err = n.Dial(addr)
		want(t, "Dial", err, syscall.ECONNREFUSED)
		var op *net.OpError
		if !errors.As(err, &op) || op.Op != "dial" || op.Addr.String() != addr {
			t.Errorf("%#v is not a dial's error with the address", err)
		}
	}},
	{"a listener that closes: Accept, and who was not accepted", func(t *testing.T, n lo.Network) {
		l, err := n.Listen()
		if err != nil {
			t.Fatal(err)
		}
		c, err := n.Dial(l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		want(t, "Close", l.Close(), nil)
		want(t, "Close again", l.Close(), net.ErrClosed)
		_, err = l.Accept()
		want(t, "Accept", err, net.ErrClosed)
		_, err = c.Read(make([]byte, 1))
		want(t, "the client's read", err, syscall.ECONNRESET)
	}},
	{"Accept's deadline", func(t *testing.T, n lo.Network) {
		l, err := n.Listen()
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		d := l.(interface{ SetDeadline(time.Time) error })
		d.SetDeadline(time.Unix(1, 0))
		_, err = l.Accept()
		want(t, "Accept", err, os.ErrDeadlineExceeded)
		d.SetDeadline(time.Time{})
		c, err := n.Dial(l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		_, err = l.Accept()
		want(t, "Accept without one", err, nil)
	}},
}

// want compares an error.
func want(t *testing.T, what string, got, want error) {
	t.Helper()
	if (want == nil) != (got == nil) || !errors.Is(got, want) {
		t.Errorf("%s: got %v, want %v", what, got, want)
	}
}

// readable waits until a connection has something to read, without reading it.
func readable(t *testing.T, c net.Conn) {
	t.Helper()
	k, ok := c.(*net.TCPConn)
	if !ok {
		return // the packets of an instant world arrive before the write returns
	}
	raw, err := k.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	raw.Read(func(fd uintptr) bool {
		n, _, err := syscall.Recvfrom(int(fd), make([]byte, 1), syscall.MSG_PEEK)
		return n > 0 || err != syscall.EAGAIN
	})
}

// golang.org/x/net's own conformance suite of connections.
func TestNettest(t *testing.T) {
	nettest.TestConn(t, func() (c1, c2 net.Conn, stop func(), err error) {
		tb := &fakeTB{T: t}
		w := New(tb, Config{Instant: true})
		server, client := twoHosts(w)
		l, err := server.Listen("tcp", ":80")
		if err != nil {
			return nil, nil, nil, err
		}
		if c1, err = client.DialContext(context.Background(), "tcp", "203.0.113.10:80"); err != nil {
			return nil, nil, nil, err
		}
		c2, err = l.Accept()
		return c1, c2, tb.clean, err
	})
}
