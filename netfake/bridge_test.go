package netfake

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/net/nettest"

	lo "github.com/netspec-go/netspec/internal/loopback"

	"github.com/netspec-go/netspec/internal/faketb"
)

// bridges are the two ways across, as a network on which a test listens and dials.
var bridges = []struct {
	name string
	open func(t testing.TB, w *World) lo.Network
}{
	{"Inlet", func(_ testing.TB, w *World) lo.Network {
		server, client := twoHosts(w)
		return lo.Network{
			Listen: func() (net.Listener, error) { return server.Listen("tcp", "203.0.113.10:0") },
			Dial:   func(addr string) (net.Conn, error) { return net.Dial("tcp4", client.Inlet("tcp", addr).String()) },
		}
	}},
	{"Lend", func(t testing.TB, w *World) lo.Network {
		server, client := twoHosts(w)
		port := 5432
		return lo.Network{
			Listen: func() (net.Listener, error) { return net.Listen("tcp4", "127.0.0.1:0") },
			Dial: func(addr string) (net.Conn, error) {
				port++
				server.Lend("tcp", fmt.Sprint(":", port), addr)
				return client.Dial("tcp", fmt.Sprint("203.0.113.10:", port))
			},
		}
	}},
}

// pair returns both ends of a connection over a bridge.
func pair(t *testing.T, n lo.Network) (client, server bridged) {
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
	return c.(bridged), s.(bridged)
}

// bridged is what *net.TCPConn and *TCPConn have in common.
type bridged interface {
	net.Conn
	CloseWrite() error
	SetLinger(sec int) error
}

// crossings are what both ends of a connection over a bridge see.
var crossings = []struct {
	name string
	f    func(t *testing.T, n lo.Network)
}{
	{"half-close: the other direction goes on", func(t *testing.T, n lo.Network) {
		c, s := pair(t, n)
		c.Write([]byte("question"))
		want(t, "CloseWrite", c.CloseWrite(), nil)
		b, err := io.ReadAll(s)
		want(t, "the callee reads", err, nil)
		s.Write(append(b, " and answer"...))
		s.Close()
		b, err = io.ReadAll(c)
		want(t, "the caller reads", err, nil)
		if string(b) != "question and answer" {
			t.Errorf("the caller read %q", b)
		}
	}},
	{"half-close: the callee first", func(t *testing.T, n lo.Network) {
		c, s := pair(t, n)
		s.Write([]byte("greeting"))
		want(t, "CloseWrite", s.CloseWrite(), nil)
		b, err := io.ReadAll(c)
		want(t, "the caller reads", err, nil)
		c.Write(append(b, " and reply"...))
		c.Close()
		b, err = io.ReadAll(s)
		want(t, "the callee reads", err, nil)
		if string(b) != "greeting and reply" {
			t.Errorf("the callee read %q", b)
		}
	}},
	{"the callee resets", func(t *testing.T, n lo.Network) {
		c, s := pair(t, n)
		s.SetLinger(0)
		s.Close()
		_, err := c.Read(make([]byte, 1))
		want(t, "the caller reads", err, syscall.ECONNRESET)
	}},
	{"the caller resets", func(t *testing.T, n lo.Network) {
		c, s := pair(t, n)
		c.SetLinger(0)
		c.Close()
		_, err := s.Read(make([]byte, 1))
		want(t, "the callee reads", err, syscall.ECONNRESET)
	}},
	{"the callee hangs up on one who goes on writing", func(t *testing.T, n lo.Network) {
		c, s := pair(t, n)
		s.Close()
		_, err := c.Read(make([]byte, 1))
		want(t, "the caller reads", err, io.EOF)
		for err = nil; err == nil; {
			_, err = c.Write(make([]byte, 1000))
		}
		if !errors.Is(err, syscall.EPIPE) && !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("the caller writes: %v", err)
		}
	}},
	{"ten transfers of a mebibyte at a time", func(t *testing.T, n lo.Network) {
		var group sync.WaitGroup
		for i := range 10 {
			c, s := pair(t, n)
			group.Go(func() { io.Copy(s, s); s.CloseWrite() })
			sent := make([]byte, 1<<20)
			rand.NewChaCha8([32]byte{byte(i)}).Read(sent)
			group.Go(func() { c.Write(sent); c.CloseWrite() })
			group.Go(func() {
				if got, err := io.ReadAll(c); !bytes.Equal(got, sent) || err != nil {
					t.Errorf("transfer %d: %d bytes came back, %v", i, len(got), err)
				}
			})
		}
		group.Wait()
	}},
}

func TestBridge(t *testing.T) {
	for _, bridge := range bridges {
		for _, row := range crossings {
			t.Run(bridge.name+"/"+row.name, func(t *testing.T) {
				row.f(t, bridge.open(t, New(t, Config{Instant: true})))
			})
		}
	}
}

// golang.org/x/net's own conformance suite of connections, over bridges.
func TestBridgeNettest(t *testing.T) {
	for _, bridge := range bridges {
		t.Run(bridge.name, func(t *testing.T) {
			nettest.TestConn(t, func() (c1, c2 net.Conn, stop func(), err error) {
				tb := faketb.New(t)
				n := bridge.open(t, New(tb, Config{Instant: true}))
				l, err := n.Listen()
				if err != nil {
					return nil, nil, nil, err
				}
				if c1, err = n.Dial(l.Addr().String()); err != nil {
					return nil, nil, nil, err
				}
				c2, err = l.Accept()
				return c1, c2, func() { c1.Close(); c2.Close(); l.Close(); tb.Clean() }, err
			})
		})
	}
}

// With the world everything ends: ports are closed, connections are reset, and no
// goroutine stays.
func TestBridgeEnds(t *testing.T) {
	tb := faketb.New(t)
	w := New(tb, Config{Instant: true})
	server, client := twoHosts(w)
	echoServer(t, server, ":7")
	in := openUDP(t, server, 9000)
	w.Go(func(context.Context) { tellPort(in) })
	tcp, udp := client.Inlet("tcp", "203.0.113.10:7").String(), client.Inlet("udp", "203.0.113.10:9000").String()
	silent := client.Inlet("tcp", "203.0.113.99:7").String()
	server.Lend("tcp", ":5432", tcp)
	server.Lend("udp", ":5432", udp)

	c, err := net.Dial("tcp4", tcp)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	waits, err := net.Dial("tcp4", silent)
	if err != nil {
		t.Fatal(err)
	}
	defer waits.Close()
	u, err := net.Dial("udp4", udp)
	if err != nil {
		t.Fatal(err)
	}
	defer u.Close()
	echoed(t, "Lend", func() (net.Conn, error) { return client.Dial("tcp", "203.0.113.10:5432") })
	ask(t, u, "Inlet")
	c.Write([]byte("x"))
	io.ReadFull(c, make([]byte, 1))
	tb.Clean()

	_, err = c.Read(make([]byte, 1))
	want(t, "a connection", err, syscall.ECONNRESET)
	_, err = waits.Read(make([]byte, 1))
	want(t, "a connection that the world had not answered", err, syscall.ECONNRESET)
	_, err = net.Dial("tcp4", tcp)
	want(t, "a connection afterwards", err, syscall.ECONNREFUSED)
	u.Write([]byte("x"))
	_, err = u.Read(make([]byte, 1))
	want(t, "a datagram afterwards", err, syscall.ECONNREFUSED)
	// The last goroutines have said that they are done, and may not have returned yet.
	for began := time.Now(); strings.Contains(allStacks(), "netfake.(*bridge)"); runtime.Gosched() {
		if time.Since(began) > 10*time.Second {
			t.Fatalf("goroutines stay behind:\n%s", allStacks())
		}
	}
}

// What a test's author gets wrong fails the test.
func TestBridgeErrors(t *testing.T) {
	for _, row := range []struct {
		name, says string
		f          func(h *Host)
	}{
		{"another network", `netfake: host web: Inlet: network "unix" is neither tcp nor udp`, func(h *Host) { h.Inlet("unix", "203.0.113.10:80") }},
		{"no port", "netfake: host web: Inlet: address 203.0.113.10: missing port", func(h *Host) { h.Inlet("tcp", "203.0.113.10") }},
		{"a port that is none", "netfake: host web: Inlet: lookup udp/www: unknown port", func(h *Host) { h.Inlet("udp", "203.0.113.10:www") }},
		{"lending over another network", `netfake: host web: Lend: network "" is neither`, func(h *Host) { h.Lend("", ":80", "127.0.0.1:80") }},
		{"a malformed service", "netfake: host web: Lend: address 127.0.0.1: missing port", func(h *Host) { h.Lend("tcp", ":80", "127.0.0.1") }},
		{"a port that is taken", "netfake: host web: Lend: listen tcp :80: bind: address already in use", func(h *Host) {
			h.Lend("tcp", ":80", "127.0.0.1:80")
			h.Lend("tcp", ":80", "127.0.0.1:80")
		}},
		{"a UDP port that is taken", "netfake: host web: Lend: listen udp :80: bind: address already in use", func(h *Host) {
			h.Lend("udp", ":80", "127.0.0.1:80")
			h.Lend("udp", ":80", "127.0.0.1:80")
		}},
		{"nothing wrong", "", func(h *Host) {
			h.Lend("tcp", ":80", "127.0.0.1:80")
			h.Lend("udp", ":80", "127.0.0.1:80")
			h.Inlet("tcp", "www.shop.example:http")
			h.Inlet("udp", "www.shop.example:domain")
		}},
	} {
		text := fatal(t, func(tb TB) { row.f(New(tb, Config{}).Internet().Host("web", "203.0.113.1")) })
		if !strings.HasPrefix(text, row.says) || (row.says == "") != (text == "") {
			t.Errorf("%s: got %q, want %q", row.name, text, row.says)
		}
	}
}

// Real programs have no place in virtual time.
func TestBridgeInBubble(t *testing.T) { Run(t, testBridgeInBubble) }

func testBridgeInBubble(t *testing.T, _ *World) {
	for method, f := range map[string]func(h *Host){
		"Inlet": func(h *Host) { h.Inlet("tcp", "203.0.113.10:80") },
		"Lend":  func(h *Host) { h.Lend("tcp", ":5432", "127.0.0.1:5432") },
	} {
		text := fatal(t, func(tb TB) { f(New(tb, Config{}).Internet().Host("web", "203.0.113.1")) })
		want := "netfake: host web: " + method + " needs a world in real time, made by New outside of a synctest bubble: " +
			"real programs do not live in virtual time"
		if text != want {
			t.Errorf("got %q, want %q", text, want)
		}
	}
}
