package netfake

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// A test that closes nothing leaks nothing: the bubble would not end while a goroutine
// of its own waits.
func TestEverythingLeftOpen(t *testing.T) {
	Run(t, func(t *testing.T, w *World) {
		server, client := twoHosts(w)
		echoServer(t, server, ":7")
		server.ServeHTTP(":80", http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) { io.Copy(io.Discard, r.Body) }))
		l, err := server.Listen("tcp", ":81")
		if err != nil {
			t.Fatal(err)
		}
		in := openUDP(t, server, 53)
		c, err := client.Dial("tcp", "203.0.113.10:7")
		if err != nil {
			t.Fatal(err)
		}
		w.Record(nil)
		w.Capture(io.Discard, nil)
		w.Internet().Between(Sydney, Melbourne).Partition()
		waits := map[string]func() error{
			"Read":     func() error { _, err := c.Read(make([]byte, 1)); return err },
			"Accept":   func() error { _, err := l.Accept(); return err },
			"ReadFrom": func() error { _, _, err := in.ReadFrom(make([]byte, 1)); return err },
			"Dial":     func() error { _, err := client.Dial("tcp", "203.0.113.99:80"); return err },
			"Ping": func() error {
				ctx, cancel := context.WithTimeout(context.Background(), time.Hour)
				defer cancel()
				_, err := client.Ping(ctx, server.Addr())
				return err
			},
			"Get": func() error { _, err := client.HTTPClient().Get("http://203.0.113.10/"); return err },
		}
		for name, f := range waits {
			go func() {
				if err := f(); !errors.Is(err, net.ErrClosed) {
					t.Errorf("%s at the world's end: %v, want net.ErrClosed", name, err)
				}
			}()
		}
		w.Go(func(ctx context.Context) { <-ctx.Done() })
		synctest.Wait()
	})
}

// A closed world takes no calls, and closing it again does nothing.
func TestClosedWorld(t *testing.T) { Run(t, testClosedWorld) }

func testClosedWorld(t *testing.T, w *World) {
	server, client := twoHosts(w)
	order := ""
	w.OnClose(func() { order += "first" })
	w.OnClose(func() { order += "second " })
	w.Close()
	w.Close()
	if order != "second first" {
		t.Errorf("closers ran in the order %q", order)
	}
	_, err := server.Listen("tcp", ":80")
	want(t, "Listen", err, net.ErrClosed)
	_, err = server.ListenPacket("udp", ":80")
	want(t, "ListenPacket", err, net.ErrClosed)
	_, err = client.Dial("tcp", "203.0.113.10:80")
	want(t, "Dial", err, net.ErrClosed)
	_, err = client.Ping(t.Context(), server.Addr())
	want(t, "Ping", err, net.ErrClosed)
	late := false
	w.OnClose(func() { late = true })
	if !late {
		t.Error("what is registered after the end does not run")
	}
}

// Rooms share what they keep by its type.
func TestShared(t *testing.T) {
	type first struct{ n int }
	type second struct{ n int }
	w, other := New(t, Config{}), New(t, Config{})
	make1 := func() *first { return &first{} }
	Shared(w, make1).n++
	Shared(w, make1).n++
	Shared(w, func() *second { return &second{} }).n++
	if n := Shared(w, make1).n; n != 2 {
		t.Errorf("the world's is %d, want 2", n)
	}
	if n := Shared(other, make1).n; n != 0 {
		t.Errorf("another world's is %d, want 0", n)
	}
}

// Outside a bubble time is real, and a write waits for room.
func TestRealTime(t *testing.T) {
	w := New(t, Config{Instant: true})
	server, client := twoHosts(w)
	echoServer(t, server, ":7")
	server.ServeHTTP(":80", http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) { io.WriteString(rw, "hello") }))
	resp, err := client.HTTPClient().Get("http://203.0.113.10/")
	if err != nil {
		t.Fatal(err)
	}
	if b, err := io.ReadAll(resp.Body); string(b) != "hello" || err != nil {
		t.Errorf("got %q, %v", b, err)
	}
	link := client.Uplink().Link()
	link.SetLatency(time.Millisecond)
	if rtt, err := client.Ping(t.Context(), server.Addr()); rtt < 2*time.Millisecond || err != nil {
		t.Errorf("a ping over a link of 1 ms took %v: %v", rtt, err)
	}
	link.SetLatency(0)
	c, err := client.Dial("tcp", "203.0.113.10:7")
	if err != nil {
		t.Fatal(err)
	}
	const size = 8 * DefaultSendBuffer // the writer has to wait for the reader
	go func() {
		c.Write(make([]byte, size))
		c.(*TCPConn).CloseWrite()
	}()
	if n, err := io.Copy(io.Discard, c); n != size || err != nil {
		t.Errorf("%d bytes came back: %v", n, err)
	}
	if w.cfg.SendBuffer != DefaultSendBuffer {
		t.Errorf("the send buffer is %d", w.cfg.SendBuffer)
	}
}

// In a bubble a write takes everything unless the test bounds it.
func TestSendBuffer(t *testing.T) {
	for _, row := range []struct {
		bound int
		err   error
	}{{0, nil}, {64 << 10, os.ErrDeadlineExceeded}} {
		RunConfig(t, Config{SendBuffer: row.bound}, func(t *testing.T, w *World) {
			server, client := twoHosts(w)
			l, err := server.Listen("tcp", ":80")
			if err != nil {
				t.Fatal(err)
			}
			c, err := client.Dial("tcp", "203.0.113.10:80")
			if err != nil {
				t.Fatal(err)
			}
			l.Accept()
			c.SetWriteDeadline(time.Now().Add(time.Minute))
			n, err := c.Write(make([]byte, 8<<20))
			want(t, "Write", err, row.err)
			if row.err == nil && n != 8<<20 {
				t.Errorf("%d bytes taken", n)
			}
		})
	}
}

// A crashed host's own applications see their sockets closed; it comes back without
// them, and its interfaces work again.
func TestCrashAndRestart(t *testing.T) { Run(t, testCrashAndRestart) }

func testCrashAndRestart(t *testing.T, w *World) {
	server, client := twoHosts(w)
	l, err := server.Listen("tcp", ":80")
	if err != nil {
		t.Fatal(err)
	}
	in := openUDP(t, server, 53)
	c, err := client.Dial("tcp", "203.0.113.10:80")
	if err != nil {
		t.Fatal(err)
	}
	s, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	failed := make(chan error, 1)
	go func() { _, err := s.Read(make([]byte, 1)); failed <- err }()
	synctest.Wait()
	restart := server.Crash()
	want(t, "a read that waited", <-failed, net.ErrClosed)
	_, err = l.Accept()
	want(t, "Accept", err, net.ErrClosed)
	_, _, err = in.ReadFrom(nil)
	want(t, "ReadFrom", err, net.ErrClosed)
	_, err = server.Listen("tcp", ":82")
	want(t, "Listen while it is down", err, net.ErrClosed)
	_, err = server.Dial("tcp", "198.51.100.20:80")
	want(t, "Dial while it is down", err, net.ErrClosed)
	if _, err := client.Ping(t.Context(), server.Addr()); err == nil {
		t.Error("a crashed host answers")
	}
	restart.Undo()
	if _, err := client.Ping(t.Context(), server.Addr()); err != nil {
		t.Errorf("after the restart: %v", err)
	}
	if _, err := server.Listen("tcp", ":80"); err != nil {
		t.Errorf("the port after the restart: %v", err)
	}
	want(t, "closing the old listener", l.Close(), net.ErrClosed)
	if _, err := client.Dial("tcp", "203.0.113.10:80"); err != nil {
		t.Errorf("the new listener: %v", err)
	}
	c.Write([]byte("x"))
	_, err = c.Read(make([]byte, 1))
	want(t, "the old connection", err, syscall.ECONNRESET)
}

// What a test's author gets wrong fails the test, with a text that says what.
func TestBuilderErrors(t *testing.T) {
	for _, row := range []struct {
		name, says string
		f          func(w *World)
	}{
		{"two hosts of one name", "a host web already", func(w *World) {
			w.Internet().Host("web", "203.0.113.1")
			w.Internet().Host("web", "203.0.113.2")
		}},
		{"two hosts at one address", "announces 203.0.113.1", func(w *World) {
			w.Internet().Host("a", "203.0.113.1")
			w.Internet().Host("b", "203.0.113.1")
		}},
		{"no address", "host a has no address", func(w *World) { w.Internet().Host("a") }},
		{"a malformed address", `"203.0.113" is no IP address`, func(w *World) { w.Internet().Host("a", "203.0.113") }},
		{"an IPv4 address in IPv6's clothes", "an IPv4 one as such", func(w *World) { w.Internet().Host("a", "::ffff:203.0.113.1") }},
		{"an address with a zone", "without a zone", func(w *World) { w.Internet().Host("a", "2001:db8::1%eth0") }},
		{"a link-local address", "not a public address", func(w *World) { w.Internet().Host("a", "fe80::1") }},
		{"a unique local address", "not a public address", func(w *World) { w.Internet().Host("a", "fd00::1") }},
		{"a second address that another host has", "announces 2001:db8::1", func(w *World) {
			w.Internet().Host("a", "2001:db8::1")
			w.Internet().Host("b", "203.0.113.2", "2001:db8::1")
		}},
		{"an interface without an address", "cannot have the address", func(w *World) {
			w.NewHost("a", Place{}).AddNIC(netip.Addr{}, 1500, nil)
		}},
		{"IPv6 over a link that is too narrow", "an MTU of 1280", func(w *World) {
			w.NewHost("a", Place{}).AddNIC(netip.MustParseAddr("2001:db8::1"), 1279, nil)
		}},
		{"IPv4 over a link that is too narrow", "an MTU of 68", func(w *World) {
			w.NewHost("a", Place{}).AddNIC(netip.MustParseAddr("10.0.0.1"), 67, nil)
		}},
		{"an interface that leads nowhere", "the interface 10.0.0.1 leads to no node", func(w *World) {
			w.NewHost("a", Place{}).AddNIC(netip.MustParseAddr("10.0.0.1"), 68, nil)
		}},
		{"no authority", "TrustCA of no certificate", func(w *World) { w.TrustCA(nil) }},
		{"nothing to do", "Do of no function", func(w *World) { w.Do(nil) }},
		{"nothing to run", "Go of no function", func(w *World) { w.Go(nil) }},
		{"nothing at the end", "OnClose of no function", func(w *World) { w.OnClose(nil) }},
		{"nothing to show", "ShowAs of no function", func(w *World) { w.ShowAs(nil) }},
		{"a timer for nothing", "timer tea has no function", func(w *World) { w.NewTimer("tea", nil) }},
		{"a fault without an end", "a fault needs a beginning and an end", func(w *World) {
			w.NewFault(nil, "drought", func(*Fault, time.Duration) {}, nil)
		}},
		{"an uplink of nobody", "Attach of no node, gate", func(w *World) { w.Internet().Attach("gate", Place{}, nil) }},
		{"a resolver without an address", "host a: a resolver cannot have the address invalid IP", func(w *World) {
			w.NewHost("a", Place{}).SetResolvers(netip.MustParseAddr("192.0.2.53"), netip.Addr{})
		}},
		{"a resolver in a zone", "host a: a resolver cannot have the address fe80::1%eth0", func(w *World) {
			w.NewHost("a", Place{}).SetResolvers(netip.MustParseAddr("fe80::1%eth0"))
		}},
		{"a set with nobody", "host 1 of a set is nil", func(w *World) {
			w.Between(nil, Hosts{w.NewHost("a", Place{}), nil})
		}},
		{"a set with a nil host", "host 0 of a set is nil", func(w *World) { w.Toward(Hosts{(*Host)(nil)}, nil) }},
		{"a set with a stranger", "host b of a set is another world's", func(w *World) {
			w.Partition(Hosts{New(w.tb, Config{}).NewHost("b", Place{})}, nil)
		}},
		{"two links of one name", "there is a link wire already", func(w *World) {
			w.NewLink("wire", 0)
			w.NewLink("wire", 0)
		}},
		{"a link of a name that the world itself has given", "there is a link a last mile already", func(w *World) {
			w.Internet().Host("a", "203.0.113.1")
			w.NewLink("a last mile", 0)
		}},
		{"something shared that nobody makes", "Shared of int without a function that makes it", func(w *World) { Shared[int](w, nil) }},
		{"a private address", "not a public address", func(w *World) { w.Internet().Host("a", "10.0.0.1") }},
		{"a shared address", "not a public address", func(w *World) { w.Internet().Host("a", "100.64.0.1") }},
		{"a port that is taken", "address already in use", func(w *World) {
			h := w.Internet().Host("a", "203.0.113.1")
			h.ServeHTTP(":80", nil)
			h.ServeHTTP(":80", nil)
		}},
	} {
		if text := fatal(t, func(tb TB) { row.f(New(tb, Config{})) }); !strings.Contains(text, row.says) || !strings.HasPrefix(text, "netfake: ") {
			t.Errorf("%s: got %q, want it to say %q", row.name, text, row.says)
		}
	}
	if text := fatal(t, func(tb TB) { New(tb, Config{}).Internet().Host("a", "203.0.113.1", "2001:db8::1", "2001:db8::2") }); text != "" {
		t.Errorf("a good host: %s", text)
	}
}

// The seed is the configuration's, else the environment's, else made of the name.
func TestSeed(t *testing.T) {
	w, again := New(t, Config{}), New(t, Config{})
	if w.Seed() == 0 || w.Seed() != again.Seed() {
		t.Errorf("seeds %d and %d for one name", w.Seed(), again.Seed())
	}
	t.Setenv("NETSPEC_SEED", "42")
	if s := New(t, Config{}).Seed(); s != 42 {
		t.Errorf("seed %d, want the environment's", s)
	}
	if s := New(t, Config{Seed: 7}).Seed(); s != 7 {
		t.Errorf("seed %d, want the configuration's", s)
	}
	t.Setenv("NETSPEC_SEED", "x")
	if text := fatal(t, func(tb TB) { New(tb, Config{}) }); !strings.Contains(text, "NETSPEC_SEED=x") {
		t.Errorf("a bad seed: %q", text)
	}
}

// What does not reach an application is among the drops, the oldest first and 64 at
// most.
func TestDrops(t *testing.T) { Run(t, testDrops) }

func testDrops(t *testing.T, w *World) {
	_, client := twoHosts(w)
	u, err := client.ListenPacket("udp", ":0")
	if err != nil {
		t.Fatal(err)
	}
	for port := range uint16(100) {
		u.(*UDPConn).WriteToUDPAddrPort(nil, netip.AddrPortFrom(netip.MustParseAddr("203.0.113.99"), 1000+port))
		time.Sleep(time.Millisecond)
	}
	time.Sleep(time.Second)
	drops := w.Drops()
	if len(drops) != 64 || drops[0].Flow.Dst.Port() != 1036 || drops[63].Flow.Dst.Port() != 1099 {
		t.Fatalf("%d drops: %v", len(drops), drops)
	}
	if s := drops[0].String(); !strings.Contains(s, "nobody announces 203.0.113.99") {
		t.Errorf("a drop says %q", s)
	}
	if len(w.Alarms()) != 0 {
		t.Errorf("alarms: %v", w.Alarms())
	}
}
