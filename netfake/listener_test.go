package netfake

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// The backlog is 4096 (net.core.somaxconn), and as in Linux the queue holds one connection
// more. The next SYN is dropped, and its retry a second later finds the place that Accept has made.
func TestBacklog(t *testing.T) { RunConfig(t, Config{Instant: true}, testBacklog) }

func testBacklog(t *testing.T, w *World) {
	server, client := twoHosts(w)
	l, err := server.Listen("tcp", ":80")
	if err != nil {
		t.Fatal(err)
	}
	for range backlog + 1 {
		if _, err := client.Dial("tcp", "203.0.113.10:80"); err != nil {
			t.Fatal(err)
		}
	}
	if w.Now() != 0 {
		t.Errorf("%d connections took %v", backlog+1, w.Now())
	}
	time.AfterFunc(500*time.Millisecond, func() { l.Accept() })
	if _, err := client.Dial("tcp", "203.0.113.10:80"); err != nil || w.Now() != time.Second {
		t.Errorf("the connection beyond the backlog: %v, after %v", err, w.Now())
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if _, err := client.DialContext(ctx, "tcp", "203.0.113.10:80"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("with the backlog full: %v", err)
	}
}

// A connection whose handshake ends when the queue is full is ready for its client, and not
// for Accept: the SYN-ACK comes again until there is room. What the client says meanwhile
// is not heard.
func TestBacklogFillsUp(t *testing.T) { Run(t, testBacklogFillsUp) }

func testBacklogFillsUp(t *testing.T, w *World) {
	server, client := twoHosts(w)
	l, err := server.listen("tcp", ":80")
	if err != nil {
		t.Fatal(err)
	}
	l.backlog = 2
	var group sync.WaitGroup
	var conns [4]net.Conn
	for i := range conns {
		if i < 2 {
			conns[i], err = client.Dial("tcp", "203.0.113.10:80")
			continue
		}
		group.Go(func() { conns[i], _ = client.Dial("tcp", "203.0.113.10:80") })
	}
	group.Wait() // both have sent their SYNs at one instant
	began := w.Now() - oneWay
	for i, c := range conns {
		if c == nil {
			t.Fatalf("connection %d was refused: %v", i, err)
		}
		c.Write([]byte("x"))
	}
	w.Sleep(2 * time.Second)
	if len(l.ready) != 3 || l.waiting != 1 {
		t.Errorf("%d are ready, %d wait", len(l.ready), l.waiting)
	}
	for range conns {
		if _, err := l.Accept(); err != nil {
			t.Fatal(err)
		}
	}
	// Since the SYN-ACK went, 1 and 2 seconds, there and back.
	if at := began + 3*time.Second + 2*oneWay; w.Now() != at {
		t.Errorf("the last was accepted at %v, want %v", w.Now(), at)
	}
}

// Nobody accepts: after 63 s (net.ipv4.tcp_synack_retries) the server has forgotten the
// connection, and the client hears of it when it next sends.
func TestBacklogStaysFull(t *testing.T) { Run(t, testBacklogStaysFull) }

func testBacklogStaysFull(t *testing.T, w *World) {
	server, client := twoHosts(w)
	l, err := server.listen("tcp", ":80")
	if err != nil {
		t.Fatal(err)
	}
	l.backlog = 2
	for range 2 {
		client.Dial("tcp", "203.0.113.10:80")
	}
	var group sync.WaitGroup
	var died atomic.Int32
	for range 2 {
		group.Go(func() {
			c, err := client.Dial("tcp", "203.0.113.10:80")
			if err != nil {
				t.Error(err)
				return
			}
			time.Sleep(65 * time.Second)
			c.Write([]byte("x"))
			c.SetReadDeadline(time.Now().Add(time.Second))
			if _, err := c.Read(make([]byte, 1)); errors.Is(err, syscall.ECONNRESET) {
				died.Add(1)
			}
		})
	}
	group.Wait()
	if died.Load() != 1 || len(l.ready) != 3 || l.waiting != 0 {
		t.Errorf("%d were reset, %d are ready, %d wait", died.Load(), len(l.ready), l.waiting)
	}
}

func TestListenErrors(t *testing.T) {
	for _, row := range []struct {
		name    string
		network string
		taken   string // listened at before
		address string
		err     error
	}{
		{"a port that is taken", "tcp", ":80", ":80", syscall.EADDRINUSE},
		{"a wildcard over an address", "tcp", "203.0.113.10:80", ":80", syscall.EADDRINUSE},
		{"an address under a wildcard", "tcp", ":80", "203.0.113.10:80", syscall.EADDRINUSE},
		{"another port", "tcp", ":80", ":81", nil},
		{"another address of the host", "tcp", "203.0.113.10:80", "127.0.0.1:80", nil},
		{"somebody else's address", "tcp", ":80", "198.51.100.20:81", syscall.EADDRNOTAVAIL},
		{"a port that is taken", "udp", ":53", ":53", syscall.EADDRINUSE},
		{"a wildcard over an address", "udp", "203.0.113.10:53", ":53", syscall.EADDRINUSE},
		{"an address under a wildcard", "udp", ":53", "203.0.113.10:53", syscall.EADDRINUSE},
		{"another address of the host", "udp", "203.0.113.10:53", "127.0.0.1:53", nil},
		{"somebody else's address", "udp", ":53", "198.51.100.20:54", syscall.EADDRNOTAVAIL},
	} {
		t.Run(row.network+" "+row.name, func(t *testing.T) {
			Run(t, func(t *testing.T, w *World) {
				server, _ := twoHosts(w)
				open := func(address string) error {
					if row.network == "udp" {
						_, err := server.ListenPacket("udp", address)
						return err
					}
					_, err := server.Listen("tcp", address)
					return err
				}
				if err := open(row.taken); err != nil {
					t.Fatal(err)
				}
				err := open(row.address)
				want(t, row.address, err, row.err)
				var op *net.OpError
				if err != nil && (!errors.As(err, &op) || op.Op != "listen" || op.Net != row.network) {
					t.Errorf("%#v is no *net.OpError of a listen", err)
				}
			})
		})
	}
}

// Addresses that are none are refused without a panic.
func TestBadAddresses(t *testing.T) { Run(t, testBadAddresses) }

func testBadAddresses(t *testing.T, w *World) {
	h, _ := twoHosts(w)
	for _, address := range []string{"80", ":x", ":70000", ":-1", "[::1]:80", "[fe80::1%eth0]:80", "name:80", "1.2.3:80"} {
		if _, err := h.Listen("tcp", address); err == nil {
			t.Errorf("Listen took %q", address)
		}
		if _, err := h.ListenPacket("udp", address); err == nil {
			t.Errorf("ListenPacket took %q", address)
		}
	}
	for _, network := range []string{"", "tcp6", "unix", "ip"} {
		if _, err := h.Listen(network, ":80"); err == nil {
			t.Errorf("Listen took the network %q", network)
		}
		if _, err := h.ListenPacket(network, ":80"); err == nil {
			t.Errorf("ListenPacket took the network %q", network)
		}
		if _, err := h.Dial(network, "203.0.113.10:80"); err == nil {
			t.Errorf("Dial took the network %q", network)
		}
	}
	if _, err := h.Listen("tcp", ":80"); err != nil {
		t.Errorf("a good address: %v", err)
	}
}

// Port 0 is a free port of the ephemeral range, a new one each time.
func TestPortZero(t *testing.T) { Run(t, testPortZero) }

func testPortZero(t *testing.T, w *World) {
	server, _ := twoHosts(w)
	seen := map[uint16]bool{}
	for range 100 {
		l, err := server.Listen("tcp", ":0")
		if err != nil {
			t.Fatal(err)
		}
		port := netip.MustParseAddrPort(l.Addr().String()).Port()
		if port < firstEphemeral || port > lastEphemeral || seen[port] {
			t.Errorf("port %d", port)
		}
		seen[port] = true
	}
}

// A host has 28232 ephemeral ports towards one peer.
func TestEphemeralPorts(t *testing.T) {
	Run(t, func(t *testing.T, w *World) {
		_, client := twoHosts(w)
		seen := map[uint16]bool{}
		peer := netip.MustParseAddrPort("203.0.113.10:7")
		w.Do(func(time.Duration) {
			for range 28232 {
				seen[client.freePort(TCP, client.Addr(), peer)] = true
			}
		})
		if len(seen) != 28232 || !seen[32768] || !seen[60999] {
			t.Errorf("%d ports, 32768 %v, 60999 %v", len(seen), seen[32768], seen[60999])
		}
	})
}

func TestEphemeralPortsRefused(t *testing.T) {
	for _, r := range [][2]uint16{{0, 10}, {10, 9}} {
		got := fatal(t, func(tb TB) { New(tb, Config{}).NewHost("h", Place{}).SetEphemeralPorts(r[0], r[1]) })
		if want := fmt.Sprintf("netfake: host h: ephemeral ports from %d to %d", r[0], r[1]); got != want {
			t.Errorf("%v: %q", r, got)
		}
	}
}

// When a host's ephemeral ports towards one peer are taken, the next connection fails with
// EADDRNOTAVAIL; towards another peer there are as many again.
func TestEphemeralPortsRunOut(t *testing.T) {
	RunConfig(t, Config{Instant: true}, testEphemeralPortsRunOut)
}

func testEphemeralPortsRunOut(t *testing.T, w *World) {
	server, client := twoHosts(w)
	echoServer(t, server, ":7")
	echoServer(t, server, ":8")
	var last net.Conn
	client.SetEphemeralPorts(40000, 40099)
	for i := range 100 {
		c, err := client.Dial("tcp", "203.0.113.10:7")
		if err != nil {
			t.Fatalf("connection %d: %v", i, err)
		}
		last = c
	}
	_, err := client.Dial("tcp", "203.0.113.10:7")
	want(t, "a connection more", err, syscall.EADDRNOTAVAIL)
	_, err = client.Dial("tcp", "203.0.113.10:8")
	want(t, "a connection to another port", err, nil)
	last.(*TCPConn).SetLinger(0)
	last.Close()
	_, err = client.Dial("tcp", "203.0.113.10:7")
	want(t, "after one was closed", err, nil)
}

// What Linux says when the ephemeral ports have run out depends on who asks for one: a bind,
// or a connect that has not been bound.
func TestEphemeralPortsRunOutFor(t *testing.T) {
	RunConfig(t, Config{Instant: true}, testEphemeralPortsRunOutFor)
}

func testEphemeralPortsRunOutFor(t *testing.T, w *World) {
	server, client := twoHosts(w)
	echoServer(t, server, ":7")
	bound := Dialer{Host: client, LocalAddr: netip.AddrPortFrom(client.Addr(), 0)}
	client.SetEphemeralPorts(40000, 40001)
	for _, row := range []struct {
		what string
		open func() (io.Closer, error)
		call string
		err  syscall.Errno
	}{
		{"Listen", func() (io.Closer, error) { return client.Listen("tcp", ":0") }, "bind", syscall.EADDRINUSE},
		{"ListenPacket", func() (io.Closer, error) { return client.ListenPacket("udp", ":0") }, "bind", syscall.EADDRINUSE},
		{"a dial", func() (io.Closer, error) { return client.Dial("tcp", "203.0.113.10:7") }, "connect", syscall.EADDRNOTAVAIL},
		{"a dial from an address", func() (io.Closer, error) { return bound.Dial("tcp", "203.0.113.10:7") }, "bind", syscall.EADDRINUSE},
		{"a dial of UDP", func() (io.Closer, error) { return client.Dial("udp", "203.0.113.10:7") }, "connect", syscall.EAGAIN},
		{"a dial of UDP from an address", func() (io.Closer, error) { return bound.Dial("udp", "203.0.113.10:7") }, "bind", syscall.EADDRINUSE},
	} {
		var open []io.Closer
		for range 2 {
			c, err := row.open()
			if err != nil {
				t.Fatalf("%s: %v", row.what, err)
			}
			open = append(open, c)
		}
		_, err := row.open()
		var call *os.SyscallError
		if !errors.Is(err, row.err) || !errors.As(err, &call) || call.Syscall != row.call {
			t.Errorf("%s: %v, want %s: %v", row.what, err, row.call, row.err)
		}
		for _, c := range open {
			if c, ok := c.(*TCPConn); ok {
				c.SetLinger(0)
			}
			c.Close()
		}
	}
	// A port that the host dials from is no free one to listen on.
	for n := range 3 {
		l, err := client.Listen("tcp", ":0")
		if taken := n == 2; errors.Is(err, syscall.EADDRINUSE) != taken {
			t.Errorf("Listen beside %d connections: %v", n, err)
		}
		if err == nil {
			l.Close()
		}
		if n < 2 {
			if _, err := client.Dial("tcp", "203.0.113.10:7"); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// Accept's deadline is exact, and a closed listener wakes whoever waits.
func TestAcceptWaits(t *testing.T) { Run(t, testAcceptWaits) }

func testAcceptWaits(t *testing.T, w *World) {
	server, client := twoHosts(w)
	l, err := server.Listen("tcp", ":80")
	if err != nil {
		t.Fatal(err)
	}
	l.(*Listener).SetDeadline(time.Now().Add(7 * time.Second))
	_, err = l.Accept()
	want(t, "Accept", err, os.ErrDeadlineExceeded)
	if w.Now() != 7*time.Second {
		t.Errorf("the deadline passed at %v", w.Now())
	}
	l.(*Listener).SetDeadline(time.Time{})
	go client.Dial("tcp", "203.0.113.10:80")
	_, err = l.Accept()
	want(t, "Accept once somebody calls", err, nil)
	go func() {
		time.Sleep(time.Second)
		l.Close()
	}()
	_, err = l.Accept()
	want(t, "Accept when the listener closes", err, net.ErrClosed)
}
