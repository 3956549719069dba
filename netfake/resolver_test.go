package netfake

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"testing"
	"time"
)

// resolver is what a library asks for that lets its user resolve names: a part of the
// methods of *net.Resolver. A host has them all.
type resolver interface {
	LookupAddr(ctx context.Context, addr string) ([]string, error)
	LookupCNAME(ctx context.Context, host string) (string, error)
	LookupHost(ctx context.Context, host string) ([]string, error)
	LookupIP(ctx context.Context, network, host string) ([]net.IP, error)
	LookupIPAddr(ctx context.Context, host string) ([]net.IPAddr, error)
	LookupMX(ctx context.Context, name string) ([]*net.MX, error)
	LookupNS(ctx context.Context, name string) ([]*net.NS, error)
	LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error)
	LookupPort(ctx context.Context, network, service string) (int, error)
	LookupSRV(ctx context.Context, service, proto, name string) (string, []*net.SRV, error)
	LookupTXT(ctx context.Context, name string) ([]string, error)
}

var _, _ resolver = (*net.Resolver)(nil), (*Host)(nil)

// An address is the same in whatever form.
func TestLookupForms(t *testing.T) { Run(t, testLookupForms) }

func testLookupForms(t *testing.T, w *World) {
	server, client := neighbours(w)
	serveZone(t, server, zone{"a.example": {"192.0.2.1", "2001:db8::1"}})
	client.SetResolvers(server.Addr())
	for _, row := range []struct{ network, want string }{
		{"ip", "[192.0.2.1 2001:db8::1]"}, {"ip4", "[192.0.2.1]"}, {"ip6", "[2001:db8::1]"},
	} {
		ips, err := client.LookupIP(t.Context(), row.network, "a.example")
		if fmt.Sprint(ips) != row.want || err != nil || row.network == "ip4" && len(ips[0]) != 4 {
			t.Errorf("LookupIP of %s: %v, %v", row.network, ips, err)
		}
	}
	all, err := client.LookupIPAddr(t.Context(), "a.example")
	if fmt.Sprint(all) != "[{192.0.2.1 } {2001:db8::1 }]" || err != nil {
		t.Errorf("LookupIPAddr: %v, %v", all, err)
	}
	if _, err := client.LookupIPAddr(t.Context(), "nobody.example"); err == nil {
		t.Error("LookupIPAddr of nobody finds somebody")
	}
	if _, err := client.LookupIP(t.Context(), "tcp", "a.example"); err == nil {
		t.Error("LookupIP takes tcp for a network")
	}
}

func TestLookup(t *testing.T) {
	z := zone{
		"a.example":     {"192.0.2.1"},
		"two.example":   {"192.0.2.1", "192.0.2.2"},
		"alias.example": {"→ chain.example"},
		"chain.example": {"→ a.example"},
		"loop.example":  {"→ loop.example"},
		"big.example":   {"truncated", "192.0.2.3"},
		"empty.example": {},
		"mute.example":  {"silence"},
		"sick.example":  {"broken"},
	}
	const rtt = 4 * LastMile
	for _, row := range []struct {
		name     string
		addrs    string // what is found
		notFound bool
		timeout  bool
		after    time.Duration
		udp, tcp int // questions
	}{
		{"a.example", "[192.0.2.1]", false, false, rtt, 1, 0},
		{"A.Example.", "[192.0.2.1]", false, false, rtt, 1, 0},
		{"two.example", "[192.0.2.1 192.0.2.2]", false, false, rtt, 1, 0},
		// CNAMEs are followed inside one answer, to their end.
		{"alias.example", "[192.0.2.1]", false, false, rtt, 1, 0},
		{"loop.example", "[]", true, false, rtt, 1, 0},
		// A name that does not exist, or has no address, is not asked for again.
		{"nobody.example", "[]", true, false, rtt, 1, 0},
		{"empty.example", "[]", true, false, rtt, 1, 0},
		// An answer that was cut is asked for over TCP: its handshake and the answer.
		{"big.example", "[192.0.2.3]", false, false, rtt + 2*rtt, 1, 1},
		// Silence lasts 5 s, twice (resolv.conf(5)).
		{"mute.example", "[]", false, true, 10 * time.Second, 2, 0},
		// A server that fails is asked again.
		{"sick.example", "[]", false, false, 2 * rtt, 2, 0},
		// Literals and localhost ask nobody.
		{"192.0.2.77", "[192.0.2.77]", false, false, 0, 0, 0},
		{"::ffff:192.0.2.77", "[192.0.2.77]", false, false, 0, 0, 0},
		{"localhost", "[127.0.0.1]", false, false, 0, 0, 0},
	} {
		t.Run(row.name, func(t *testing.T) {
			Run(t, func(t *testing.T, w *World) {
				server, client := w.Internet().Host("ns", "203.0.113.53"), w.Internet().Host("client", "198.51.100.1")
				asked := serveZone(t, server, lower(z))
				client.SetResolvers(server.Addr())
				began := w.Now()
				addrs, err := client.LookupNetIP(t.Context(), "ip4", row.name)
				if got := fmt.Sprint(addrs); got != row.addrs {
					t.Errorf("found %v (%v), want %v", got, err, row.addrs)
				}
				if took := w.Now() - began; took != row.after {
					t.Errorf("it took %v, want %v", took, row.after)
				}
				if udp, tcp := asked(); udp != row.udp || tcp != row.tcp {
					t.Errorf("%d questions over UDP and %d over TCP, want %d and %d", udp, tcp, row.udp, row.tcp)
				}
				var dns *net.DNSError
				if errors.As(err, &dns) != (row.addrs == "[]") || (dns != nil && (dns.IsNotFound != row.notFound || dns.IsTimeout != row.timeout || dns.Name != row.name)) {
					t.Errorf("error %#v", err)
				}
			})
		})
	}
}

// Servers are asked in turn: one that is silent costs 5 s, one whose port is closed a
// round trip, and the second round begins anew.
func TestSeveralResolvers(t *testing.T) {
	const rtt = 4 * LastMile
	for _, row := range []struct {
		name    string
		servers []string // of "good", "mute", "closed", "absent"
		found   bool
		after   time.Duration
	}{
		{"the first answers", []string{"good", "mute"}, true, rtt},
		{"the first is silent", []string{"mute", "good"}, true, 5*time.Second + rtt},
		{"the first is not there", []string{"absent", "good"}, true, 5*time.Second + rtt},
		{"the first port is closed", []string{"closed", "good"}, true, 2 * rtt},
		{"both are silent", []string{"mute", "absent"}, false, 20 * time.Second},
	} {
		t.Run(row.name, func(t *testing.T) {
			Run(t, func(t *testing.T, w *World) {
				net := w.Internet()
				serveZone(t, net.Host("good", "203.0.113.1"), zone{"a.example": {"192.0.2.1"}})
				serveZone(t, net.Host("mute", "203.0.113.2"), zone{"a.example": {"silence"}})
				net.Host("closed", "203.0.113.3")
				at := map[string]string{"good": "203.0.113.1", "mute": "203.0.113.2", "closed": "203.0.113.3", "absent": "203.0.113.4"}
				client := net.Host("client", "198.51.100.1")
				var servers []netip.Addr
				for _, s := range row.servers {
					servers = append(servers, netip.MustParseAddr(at[s]))
				}
				client.SetResolvers(servers...)
				began := w.Now()
				addrs, err := client.LookupNetIP(t.Context(), "ip", "a.example")
				if (err == nil) != row.found || row.found != slices.Equal(addrs, []netip.Addr{netip.MustParseAddr("192.0.2.1")}) {
					t.Errorf("got %v, %v", addrs, err)
				}
				if took := w.Now() - began; took != row.after {
					t.Errorf("it took %v, want %v", took, row.after)
				}
			})
		})
	}
}

// A context ends a lookup; a dial by name dials what was found.
func TestLookupContext(t *testing.T) { Run(t, testLookupContext) }

func testLookupContext(t *testing.T, w *World) {
	server, client := w.Internet().Host("ns", "203.0.113.53"), w.Internet().Host("client", "198.51.100.1")
	serveZone(t, server, zone{"mute.example": {"silence"}, "web.example": {"203.0.113.99", "203.0.113.53"}})
	if _, err := client.LookupNetIP(t.Context(), "ip", "a.example"); err == nil {
		t.Error("a host without a resolver found a name")
	}
	client.SetResolvers(server.Addr())
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
	defer cancel()
	began := w.Now()
	_, err := client.LookupNetIP(ctx, "ip", "mute.example")
	var dns *net.DNSError
	if took := w.Now() - began; took != 3*time.Second || !errors.As(err, &dns) || !dns.IsTimeout {
		t.Errorf("after %v: %v", took, err)
	}
	echoServer(t, server, ":7")
	ctx, cancel = context.WithTimeout(t.Context(), time.Hour)
	defer cancel()
	c, err := client.DialContext(ctx, "tcp", "web.example:7")
	if err != nil || c.RemoteAddr().String() != "203.0.113.53:7" {
		t.Errorf("the second address did not answer: %v", err)
	}
}
