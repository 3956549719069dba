package netfake

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"time"
)

// dialer is what *net.Dialer and *Dialer have in common.
type dialer interface {
	DialContext(ctx context.Context, network, address string) (net.Conn, error)
}

// errorParts writes every field of a dial's error that a caller may look at. The types of
// net's unexported errors are left out.
func errorParts(err error) string {
	var op *net.OpError
	if !errors.As(err, &op) {
		return fmt.Sprintf("not an OpError: %v", err)
	}
	kind := "another"
	switch op.Err.(type) {
	case *net.AddrError, *net.DNSError, net.UnknownNetworkError:
		kind = strings.ReplaceAll(fmt.Sprintf("%#v", op.Err), "netfake.", "net.")
	}
	return fmt.Sprintf("op %s, net %s, source %v, addr %v, timeout %t, temporary %t, deadline exceeded %t, canceled %t, refused %t\n%v\n%s",
		op.Op, op.Net, op.Source, op.Addr, op.Timeout(), op.Temporary(), errors.Is(err, context.DeadlineExceeded),
		errors.Is(err, context.Canceled), errors.Is(err, syscall.ECONNREFUSED), err, kind)
}

// Every address that cannot be dialled gives the error that net.Dialer gives: the same
// fields, the same text. Port 1 of the machine that runs the tests must be closed.
func TestDialErrorParity(t *testing.T) {
	w := New(t, Config{Instant: true})
	host := w.Internet().Host("client", "198.51.100.1")
	offline := &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
		return nil, errors.New("a name was asked for")
	}}
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	late, cancel := context.WithDeadline(t.Context(), time.Unix(1, 0))
	defer cancel()
	theirs, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer theirs.Close()
	taken := theirs.LocalAddr().String()
	ours, err := host.ListenPacket("udp", taken)
	if err != nil {
		t.Fatal(err)
	}
	defer ours.Close()
	for _, row := range []struct {
		network, address, local string
		ctx                     context.Context
	}{
		// Networks that are none.
		{network: "", address: "127.0.0.1:1"},
		{network: "tcp5", address: "127.0.0.1:1"},
		{network: "TCP", address: "127.0.0.1:1"},
		{network: "tcp4:1", address: "127.0.0.1:1"},
		// Addresses that are none.
		{network: "tcp", address: ""},
		{network: "tcp", address: "127.0.0.1"},
		{network: "tcp", address: "::1:80"},
		{network: "tcp", address: "[::1]"},
		{network: "tcp", address: "[::1]x:80"},
		{network: "tcp", address: "[::1"},
		{network: "tcp", address: "a[b:80"},
		{network: "tcp", address: "a]b:80"},
		// Ports: numbers, names of services, and what is neither.
		{network: "tcp", address: "127.0.0.1:+1"},
		{network: "tcp", address: "127.0.0.1:65536"},
		{network: "tcp", address: "127.0.0.1:-1"},
		{network: "tcp", address: "127.0.0.1:99999999999999999999"},
		{network: "tcp", address: "127.0.0.1:+-1"},
		{network: "tcp", address: "127.0.0.1:1x"},
		{network: "tcp", address: "127.0.0.1:nosuchservice"},
		{network: "tcp", address: "127.0.0.1: 1"},
		// A port is closed.
		{network: "tcp", address: "127.0.0.1:1"},
		{network: "tcp4", address: "127.0.0.1:1"},
		{network: "tcp", address: "[::ffff:127.0.0.1]:1"},
		{network: "tcp", address: "localhost:1"},
		// No host, or the unspecified one, is this host; the error shows what was dialled.
		{network: "tcp", address: ":1"},
		{network: "tcp4", address: ":1"},
		{network: "tcp", address: "0.0.0.0:1"},
		// A literal of the other family.
		{network: "tcp4", address: "[::1]:1"},
		{network: "tcp6", address: "127.0.0.1:1"},
		{network: "udp6", address: "127.0.0.1:1"},
		{network: "tcp4", address: "[2001:db8::1%eth0]:1"},
		// Names that are none are refused without a question.
		{network: "tcp", address: "a..example:1"},
		{network: "tcp", address: "-a.example:1"},
		{network: "tcp", address: "a-.example:1"},
		{network: "tcp", address: "a b.example:1"},
		{network: "tcp", address: "1.2.3:1"},
		{network: "tcp", address: "1.2.3.4.5:1"},
		{network: "tcp", address: "256.0.0.1:1"},
		{network: "tcp", address: "hidden.onion:1"},
		// A local address: of the other family, not the host's, or taken.
		{network: "tcp", address: "127.0.0.1:1", local: "127.0.0.1:0"},
		{network: "tcp", address: "127.0.0.1:1", local: "[::1]:0"},
		{network: "tcp", address: "127.0.0.1:1", local: "192.0.2.1:0"},
		{network: "udp", address: "127.0.0.1:1", local: "192.0.2.1:0"},
		{network: "udp", address: "127.0.0.1:1", local: "[::1]:5"},
		{network: "udp", address: "127.0.0.1:1", local: taken},
		// A context that is over.
		{network: "tcp", address: "127.0.0.1:1", ctx: canceled},
		{network: "tcp", address: "127.0.0.1:1", ctx: late},
		{network: "udp", address: "127.0.0.1:1", ctx: canceled},
		{network: "tcp", address: "", ctx: canceled},
		{network: "tcp", address: "127.0.0.1:1", local: "127.0.0.1:0", ctx: late},
	} {
		t.Run(fmt.Sprintf("%s %s %s", row.network, row.address, row.local), func(t *testing.T) {
			theirs, ours := &net.Dialer{Resolver: offline}, host.Dialer()
			if row.local != "" {
				ours.LocalAddr = netip.MustParseAddrPort(row.local)
				theirs.LocalAddr = net.Addr(net.TCPAddrFromAddrPort(ours.LocalAddr))
				if row.network[:3] == "udp" {
					theirs.LocalAddr = net.UDPAddrFromAddrPort(ours.LocalAddr)
				}
			}
			ctx := t.Context()
			if row.ctx != nil {
				ctx = row.ctx
			}
			var said [2]string
			for i, d := range []dialer{theirs, ours} {
				c, err := d.DialContext(ctx, row.network, row.address)
				if err == nil {
					c.Close()
					t.Fatalf("%T: no error", d)
				}
				said[i] = errorParts(err)
			}
			if said[0] != said[1] {
				t.Errorf("net: %s\n\nours: %s", said[0], said[1])
			}
		})
	}
}

// What can be dialled, however it is written.
func TestDialAddresses(t *testing.T) { Run(t, testDialAddresses) }

func testDialAddresses(t *testing.T, w *World) {
	server, client := twoHosts(w)
	serveZone(t, server, zone{"web.example": {"203.0.113.10"}})
	client.SetResolvers(server.Addr())
	echoServer(t, server, ":443")
	echoServer(t, client, ":443")
	for _, row := range []struct{ network, address, remote string }{
		{"tcp", "203.0.113.10:443", "203.0.113.10:443"},
		{"tcp", "203.0.113.10:https", "203.0.113.10:443"},
		{"tcp4", "203.0.113.10:HTTPS", "203.0.113.10:443"},
		{"tcp", "[::ffff:203.0.113.10]:443", "203.0.113.10:443"},
		{"tcp", "web.example:443", "203.0.113.10:443"},
		{"tcp", "web.example.:443", "203.0.113.10:443"},
		{"udp", "203.0.113.10:domain", "203.0.113.10:53"},
		{"udp4", "web.example:53", "203.0.113.10:53"},
		// The host itself.
		{"tcp", ":443", "127.0.0.1:443"},
		{"tcp", "0.0.0.0:443", "127.0.0.1:443"},
		{"tcp", "LocalHost:443", "127.0.0.1:443"},
		{"tcp", "localhost.:443", "127.0.0.1:443"},
		{"tcp", "198.51.100.20:443", "198.51.100.20:443"},
	} {
		c, err := client.DialContext(t.Context(), row.network, row.address)
		if err != nil {
			t.Errorf("%s %s: %v", row.network, row.address, err)
			continue
		}
		if got := c.RemoteAddr().String(); got != row.remote {
			t.Errorf("%s %s leads to %s, want %s", row.network, row.address, got, row.remote)
		}
		c.Close()
	}
}

// neighbours is two hosts between which a packet takes 2 ms.
func neighbours(w *World) (server, client *Host) {
	return w.Internet().Host("server", "203.0.113.10"), w.Internet().Host("client", "198.51.100.20")
}

// A dialer's timeout and deadline, whichever is earlier, count from the first question to
// the name server to the end of the handshake.
func TestDialerTimeout(t *testing.T) {
	for _, row := range []struct {
		name              string
		timeout, deadline time.Duration
		address           string
		want              time.Duration
		connects          bool
	}{
		{"no limit, silence", 0, 0, "203.0.113.99:7", 127 * time.Second, false},
		{"timeout", 10 * time.Second, 0, "203.0.113.99:7", 10 * time.Second, false},
		{"deadline", 0, 7 * time.Second, "203.0.113.99:7", 7 * time.Second, false},
		{"the deadline is earlier", 10 * time.Second, 7 * time.Second, "203.0.113.99:7", 7 * time.Second, false},
		{"the timeout is earlier", 5 * time.Second, 7 * time.Second, "203.0.113.99:7", 5 * time.Second, false},
		{"a timeout that is over", -1, 0, "203.0.113.99:7", 0, false},
		{"a name that nobody answers for", 6 * time.Second, 0, "mute.example:7", 6 * time.Second, false},
		{"what the lookup took is gone", 9 * time.Second, 0, "slow.example:7", 9 * time.Second, false},
		// The SYN-ACK comes after 4 ms.
		{"just enough", 4 * LastMile, 0, "203.0.113.10:7", 4 * LastMile, true},
		{"just not enough", 4*LastMile - 1, 0, "203.0.113.10:7", 4*LastMile - 1, false},
	} {
		t.Run(row.name, func(t *testing.T) {
			Run(t, func(t *testing.T, w *World) {
				server, client := neighbours(w)
				echoServer(t, server, ":7")
				serveZone(t, server, zone{"mute.example": {"silence"}, "slow.example": {"203.0.113.99"}})
				client.SetResolvers(netip.MustParseAddr("203.0.113.98"), server.Addr())
				d := &Dialer{Host: client, Timeout: row.timeout}
				began := w.Now()
				if row.deadline != 0 {
					d.Deadline = w.Time(began + row.deadline)
				}
				c, err := d.Dial("tcp", row.address)
				if got := w.Now() - began; got != row.want || (err == nil) != row.connects {
					t.Errorf("after %v: %v; want %v and connected %t", got, err, row.want, row.connects)
				}
				var timeout net.Error
				if err == nil {
					c.Close()
				} else if !errors.As(err, &timeout) || !timeout.Timeout() {
					t.Errorf("%v is no timeout", err)
				}
			})
		})
	}
}

// A connection that the dialer keeps alive probes its peer; one that it does not, never.
func TestDialerKeepAlive(t *testing.T) {
	for _, row := range []struct {
		idle time.Duration
		cfg  net.KeepAliveConfig
		dead time.Duration // when the loss of the peer is noticed; 0: never
	}{
		{-1, net.KeepAliveConfig{}, 0},
		{0, net.KeepAliveConfig{Idle: time.Second}, 150 * time.Second},
		{-1, net.KeepAliveConfig{Enable: true, Idle: 30 * time.Second, Interval: 10 * time.Second, Count: 3}, 60 * time.Second},
	} {
		Run(t, func(t *testing.T, w *World) {
			server, client := twoHosts(w)
			echoServer(t, server, ":7")
			d := &Dialer{Host: client, KeepAlive: row.idle, KeepAliveConfig: row.cfg}
			c, err := d.DialTCP(t.Context(), "203.0.113.10:7")
			if err != nil {
				t.Fatal(err)
			}
			began := w.Now()
			server.Crash()
			c.SetReadDeadline(w.Time(began + time.Hour))
			_, err = c.Read(make([]byte, 1))
			if got := w.Now() - began; row.dead != 0 && (got != row.dead || !errors.Is(err, syscall.ETIMEDOUT)) {
				t.Errorf("after %v: %v", got, err)
			} else if row.dead == 0 && got != time.Hour {
				t.Errorf("an idle connection ended after %v: %v", got, err)
			}
		})
	}
}

// Without a host nobody dials, and an address that is none is not the host itself.
func TestDialNowhere(t *testing.T) { Run(t, testDialNowhere) }

func testDialNowhere(t *testing.T, w *World) {
	for _, ctx := range []context.Context{t.Context(), context.Background()} {
		for _, address := range []string{"203.0.113.10:80", "web.example:80"} {
			_, err := new(Dialer).DialContext(ctx, "tcp", address)
			if err == nil || err.Error() != "dial tcp: netfake: the Dialer has no Host" {
				t.Errorf("a Dialer without a Host, to %s: %v", address, err)
			}
		}
	}
	_, client := twoHosts(w)
	client.ServeHTTP(":80", nil)
	client.SetLookup(func(context.Context, string, string) ([]netip.Addr, error) { return make([]netip.Addr, 2), nil })
	_, err := client.Dial("tcp", "web.example:80")
	if err == nil || err.Error() != "dial tcp: address web.example: no suitable address found" {
		t.Errorf("a name with addresses that are none: %v", err)
	}
}

// Dialer.Lookup comes before the host's, and the host's before the stub resolver.
func TestSetLookup(t *testing.T) { Run(t, testSetLookup) }

func testSetLookup(t *testing.T, w *World) {
	server, client := twoHosts(w)
	serveZone(t, server, zone{"web.example": {"203.0.113.3"}})
	client.SetResolvers(server.Addr())
	to := func(addr string) LookupFunc {
		return func(_ context.Context, network, name string) ([]netip.Addr, error) {
			if name != "web.example" || network != "ip" && network != "ip4" {
				return nil, fmt.Errorf("asked for %s of %s", network, name)
			}
			return []netip.Addr{netip.MustParseAddr(addr)}, nil
		}
	}
	closed := func(d *Dialer, network string) string {
		var op *net.OpError
		if _, err := d.DialContext(t.Context(), network, "web.example:9"); !errors.As(err, &op) || op.Addr == nil {
			t.Fatal(err)
		}
		return op.Addr.String()
	}
	own := client.Dialer()
	own.Timeout, own.Lookup = time.Second, to("203.0.113.1")
	plain := client.Dialer()
	plain.Timeout = time.Second
	expect := func(d *Dialer, network, want string) {
		t.Helper()
		if got := closed(d, network); got != want {
			t.Errorf("%s was dialled, want %s", got, want)
		}
	}
	expect(plain, "tcp", "203.0.113.3:9")
	client.SetLookup(to("203.0.113.2"))
	expect(plain, "tcp", "203.0.113.2:9")
	expect(plain, "tcp4", "203.0.113.2:9")
	expect(own, "tcp", "203.0.113.1:9")
	// Addresses and localhost are nobody's to find; others' errors become net's.
	if addrs, err := client.LookupNetIP(t.Context(), "ip", "localhost"); err != nil || addrs[0] != loopback {
		t.Errorf("localhost is %v, %v", addrs, err)
	}
	var dns *net.DNSError
	if _, err := client.LookupNetIP(t.Context(), "ip", "other.example"); !errors.As(err, &dns) || dns.Name != "other.example" || dns.Err != "asked for ip of other.example" {
		t.Errorf("got %v", err)
	}
	client.SetLookup(nil)
	expect(plain, "tcp", "203.0.113.3:9")
}
