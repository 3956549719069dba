package netfake

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/net/nettest"

	lo "github.com/netspec-go/netspec/internal/loopback"

	"github.com/netspec-go/netspec/internal/faketb"
)

// run runs a real program and returns what it prints.
func run(t *testing.T, name string, args ...string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Skipf("%s is not on the PATH: the bridge is not tried with it here", name)
	}
	out, err := exec.CommandContext(t.Context(), path, args...).Output()
	if err != nil {
		t.Fatalf("%s %v: %v\n%s", name, args, err, out)
	}
	return string(out)
}

// curl fetches a page of a name in the world, and comes from the host that lets it in.
func TestInletCurl(t *testing.T) {
	w := New(t, Config{Instant: true})
	server, client := twoHosts(w)
	names := w.Internet().Host("names", "192.0.2.53")
	serveZone(t, names, zone{"www.shop.example": {"203.0.113.10"}})
	client.SetResolvers(names.Addr())
	server.ServeHTTP(":80", http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		from := netip.MustParseAddrPort(r.RemoteAddr)
		fmt.Fprintf(rw, "hello %v, this is %s", from.Addr(), r.Host)
	}))
	rec := w.Record(func(f Flow) bool { return f.Proto == TCP })
	at := client.Inlet("tcp", "www.shop.example:80")
	got := run(t, "curl", "--silent", "--max-time", "20", "--noproxy", "*",
		"--connect-to", "www.shop.example:80:"+at.String(), "http://www.shop.example/")
	if got != "hello 198.51.100.20, this is www.shop.example" {
		t.Errorf("curl got %q", got)
	}
	traces := rec.Traces()
	if len(traces) == 0 || !traces[0].Passed(w.Internet()) {
		t.Errorf("the packets did not pass the internet: %v", traces)
	}
}

// dig asks a name server in the world.
func TestInletDig(t *testing.T) {
	w := New(t, Config{Instant: true})
	server, client := twoHosts(w)
	serveZone(t, server, zone{"www.shop.example": {"203.0.113.80"}})
	at := client.Inlet("udp", "203.0.113.10:53")
	got := run(t, "dig", "@"+at.Addr().String(), "-p", fmt.Sprint(at.Port()), "+short", "+tries=1", "+time=20", "www.shop.example")
	if got != "203.0.113.80\n" {
		t.Errorf("dig got %q", got)
	}
}

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

// tellPort answers datagrams with what they say and the port that they came from.
func tellPort(in datagramSocket) {
	b := make([]byte, 1500)
	for {
		n, from, err := in.ReadFromUDPAddrPort(b)
		if err != nil {
			return
		}
		in.WriteToUDPAddrPort(fmt.Appendf(nil, "%s from %d", b[:n], from.Port()), from)
	}
}

// ask sends a datagram and returns the port that it came from.
func ask(t *testing.T, c net.Conn, text string) (port uint16) {
	t.Helper()
	if _, err := c.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 100)
	n, err := c.Read(b)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := fmt.Sscanf(string(b[:n]), text+" from %d", &port); err != nil {
		t.Fatalf("%q was answered with %q", text, b[:n])
	}
	return port
}

// Over UDP each source has a socket of its own on the other side, and its answers.
func TestBridgeUDP(t *testing.T) {
	w := New(t, Config{Instant: true})
	server, client := twoHosts(w)
	kernel, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer kernel.Close()
	go tellPort(kernel)
	server.Lend("udp", ":9001", kernel.LocalAddr().String())
	in := openUDP(t, server, 9000)
	w.Go(func(context.Context) { tellPort(in) })
	at := client.Inlet("udp", "203.0.113.10:9000").String()
	for name, dial := range map[string]func() (net.Conn, error){
		"Inlet": func() (net.Conn, error) { return net.Dial("udp4", at) },
		"Lend":  func() (net.Conn, error) { return client.Dial("udp", "203.0.113.10:9001") },
	} {
		var ports []uint16
		var sources []net.Conn
		for range 3 {
			c, err := dial()
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			sources = append(sources, c)
			ports = append(ports, ask(t, c, "first"))
		}
		if slices.Sort(ports); len(slices.Compact(slices.Clone(ports))) != 3 {
			t.Errorf("%s: three sources come from the ports %d", name, ports)
		}
		for _, c := range sources {
			if port := ask(t, c, "second"); !slices.Contains(ports, port) {
				t.Errorf("%s: a source went on from port %d, it began from one of %d", name, port, ports)
			}
		}
	}
}

// What is too large for the internet is lost, and what comes after it is not.
func TestInletLargeDatagram(t *testing.T) {
	w := New(t, Config{Instant: true})
	server, client := twoHosts(w)
	in := openUDP(t, server, 9000)
	w.Go(func(context.Context) { tellPort(in) })
	c, err := net.Dial("udp4", client.Inlet("udp", "203.0.113.10:9000").String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.Write(make([]byte, InternetMTU-27))
	ask(t, c, "small")
}

// A UDP conversation keeps its socket until neither side said anything for two minutes, to
// the nanosecond; a refused datagram does not end it. The relay does not care which side is
// real, so that here both are in virtual time.
func TestBridgeIdle(t *testing.T) { Run(t, testBridgeIdle) }

func testBridgeIdle(t *testing.T, w *World) {
	server, client := twoHosts(w)
	in := openUDP(t, client, 53)
	b := &bridge{host: client, network: "udp", idle: bridgeIdle, dial: func(ctx context.Context) (net.Conn, error) {
		return client.DialContext(ctx, "udp", "203.0.113.10:9000")
	}}
	w.Go(func(ctx context.Context) { b.relay(ctx, in) })
	sockets := func() (n int) {
		synctest.Wait()
		w.Do(func(time.Duration) { n = len(client.udp) })
		return n
	}
	c := dialUDPFrom(t, client, 1000, in)
	c.Write([]byte("nobody is there"))
	time.Sleep(time.Minute)
	port := w.Drops()[0].Flow.Src.Port()
	service := openUDP(t, server, 9000)
	for range 3 {
		c.Write([]byte("not answered"))
		time.Sleep(bridgeIdle - 1)
		if _, from, err := service.ReadFromUDPAddrPort(nil); from.Port() != port || err != nil {
			t.Errorf("the conversation went on from %v, it began from port %d; %v", from, port, err)
		}
	}
	w.Go(func(context.Context) { tellPort(service) })
	if again := ask(t, c, "answered"); again != port {
		t.Errorf("the conversation went on from port %d, it began from %d", again, port)
	}
	time.Sleep(bridgeIdle - 1)
	if n := sockets(); n != 3 {
		t.Errorf("%d sockets before the time is up, want 3", n)
	}
	time.Sleep(time.Nanosecond)
	if n := sockets(); n != 2 {
		t.Errorf("%d sockets when the time is up, want 2", n)
	}
	if again := ask(t, c, "afterwards"); again == port {
		t.Errorf("a new conversation comes from the old one's port %d", port)
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
