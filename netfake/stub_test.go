package netfake

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

// The stub resolver finds what net's own resolver finds, and fails as it does, when both
// ask one server through one host.
func TestStubParity(t *testing.T) {
	w := New(t, Config{Instant: true})
	server, client := neighbours(w)
	serveScript(t, server, crooked)
	client.SetResolvers(server.Addr())
	theirs := netResolver(client, server)
	for _, label := range []string{
		"both", "four", "six", "many", "alias", "dangling", "loop", "unrelated", "mixed", "empty", "nx", "nxalias",
		"servfail", "refused", "halfsick", "badvers", "lame", "notrecursive", "cut", "alwayscut", "wrongid", "wrongname",
		"wrongtype", "noanswer", "twoquestions", "wrongidtcp", "shout", "mapped",
	} {
		for _, network := range []string{"ip", "ip4", "ip6"} {
			name := label + ".example."
			want := addresses(theirs.LookupNetIP(t.Context(), network, name))
			got := addresses(client.LookupNetIP(t.Context(), network, name))
			if got != want {
				t.Errorf("%s %s:\n got %s\nwant %s", network, name, got, want)
			}
		}
	}
}

// netResolver is net's own resolver, which asks a server from a host. It is not for use in
// a bubble.
func netResolver(from, server *Host) *net.Resolver {
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return from.DialContext(ctx, network, server.UDP(53).Addr.String())
	}}
}

// addresses writes what a lookup of addresses found, but for the order of families, which
// depends on the machine.
func addresses(addrs []netip.Addr, err error) string {
	addrs = unmap(addrs)
	slices.SortStableFunc(addrs, func(a, b netip.Addr) int { return a.BitLen() - b.BitLen() })
	return outcome(addrs, err)
}

// outcome writes a lookup's result and every field of its error but for the server, whose
// address net takes from the machine's own configuration.
func outcome(found any, err error) string {
	var dns *net.DNSError
	if errors.As(err, &dns) {
		if dns.Server != "" {
			dns.Server = "a server"
		}
		return fmt.Sprintf("%v %#v", found, *dns)
	}
	return fmt.Sprintf("%v %v", found, err)
}

// What a lookup of both families takes, and finds: the questions go out together, and one
// family's trouble neither delays nor hides the other's answer for longer than it lasts.
func TestBothFamilies(t *testing.T) {
	const rtt = 4 * LastMile
	for _, row := range []struct {
		network string
		records []string
		want    string // addresses or the error
		after   time.Duration
		udp     int
	}{
		{"ip", []string{"192.0.2.1", "2001:db8::1"}, "[192.0.2.1 2001:db8::1]", rtt, 2}, // a host without IPv6: RFC 6724, rule 1
		{"ip4", []string{"192.0.2.1", "2001:db8::1"}, "[192.0.2.1]", rtt, 1},
		{"ip6", []string{"192.0.2.1", "2001:db8::1"}, "[2001:db8::1]", rtt, 1},
		{"ip", []string{"192.0.2.1"}, "[192.0.2.1]", rtt, 2},
		{"ip6", []string{"192.0.2.1"}, "no such host", rtt, 1},
		{"ip", []string{"2001:db8::2", "2001:db8::1"}, "[2001:db8::2 2001:db8::1]", rtt, 2},
		{"ip", []string{"192.0.2.1", "AAAA silence"}, "[192.0.2.1]", 10 * time.Second, 3},
		{"ip4", []string{"192.0.2.1", "AAAA silence"}, "[192.0.2.1]", rtt, 1},
		{"ip", []string{"2001:db8::1", "A broken"}, "[2001:db8::1]", 2 * rtt, 3},
		// Of two errors the one that came last is told, of two at once the AAAA's.
		{"ip", []string{"A broken"}, "server misbehaving", 2 * rtt, 3},
		{"ip", []string{"AAAA broken"}, "server misbehaving", 2 * rtt, 3},
		{"ip", []string{"A silence"}, "i/o timeout", 10 * time.Second, 3},
		{"ip", nil, "no such host", rtt, 2},
		// Both are cut, and asked for again.
		{"ip", []string{"192.0.2.1", "2001:db8::1", "truncated"}, "[192.0.2.1 2001:db8::1]", 3 * rtt, 2},
	} {
		t.Run(fmt.Sprintf("%s of %v", row.network, row.records), func(t *testing.T) {
			Run(t, func(t *testing.T, w *World) {
				server, client := neighbours(w)
				asked := serveZone(t, server, zone{"a.example": row.records})
				client.SetResolvers(server.Addr())
				began := w.Now()
				addrs, err := client.LookupNetIP(t.Context(), row.network, "a.example")
				got := fmt.Sprint(addrs)
				if err != nil {
					got = err.Error()
				}
				if !strings.HasSuffix(got, row.want) {
					t.Errorf("got %s, want %s", got, row.want)
				}
				if took := w.Now() - began; took != row.after {
					t.Errorf("it took %v, want %v", took, row.after)
				}
				if udp, _ := asked(); udp != row.udp {
					t.Errorf("%d questions, want %d", udp, row.udp)
				}
			})
		})
	}
}

// A lookup that its context ends says so and names no server; one that silence ends is a
// timeout of the last server that was asked.
func TestLookupEnds(t *testing.T) { Run(t, testLookupEnds) }

func testLookupEnds(t *testing.T, w *World) {
	server, client := neighbours(w)
	serveZone(t, server, zone{"mute.example": {"silence"}})
	client.SetResolvers(server.Addr())
	end := func(ctx context.Context, name string) (*net.DNSError, time.Duration) {
		t.Helper()
		began := w.Now()
		_, err := client.LookupNetIP(ctx, "ip", name)
		var dns *net.DNSError
		if !errors.As(err, &dns) {
			t.Fatalf("%v is no DNSError", err)
		}
		dns.UnwrapErr, err = nil, dns.UnwrapErr
		if want := context.Cause(ctx); want != nil && !errors.Is(err, want) {
			t.Errorf("%v does not wrap %v", err, want)
		}
		return dns, w.Now() - began
	}
	expect := func(ctx context.Context, name string, want net.DNSError, after time.Duration) {
		t.Helper()
		if got, took := end(ctx, name); *got != want || took != after {
			t.Errorf("after %v: %#v, want after %v: %#v", took, *got, after, want)
		}
	}
	canceled, cancel := context.WithCancel(t.Context())
	time.AfterFunc(time.Second, cancel)
	expect(canceled, "mute.example", net.DNSError{Err: "operation was canceled", Name: "mute.example"}, time.Second)
	expect(canceled, "localhost", net.DNSError{Err: "operation was canceled", Name: "localhost"}, 0)
	late, cancel := context.WithTimeout(t.Context(), 7*time.Second)
	defer cancel()
	expect(late, "mute.example", net.DNSError{Err: "i/o timeout", Name: "mute.example", IsTimeout: true, IsTemporary: true}, 7*time.Second)
	dns, took := end(t.Context(), "mute.example")
	if took != 10*time.Second || !dns.IsTimeout || !dns.IsTemporary || dns.IsNotFound || dns.Server != "203.0.113.10:53" {
		t.Errorf("after %v: %#v", took, dns)
	}
	if !strings.HasPrefix(dns.Err, "read udp 198.51.100.20:") || !strings.HasSuffix(dns.Err, "->203.0.113.10:53: i/o timeout") {
		t.Errorf("it says %q", dns.Err)
	}
}

// A server that cuts its answers and has no TCP: the error is that of the second try's
// socket, whose port the caller did not choose, and the next server may do better.
func TestResolverWithoutTCP(t *testing.T) { Run(t, testResolverWithoutTCP) }

func testResolverWithoutTCP(t *testing.T, w *World) {
	server, client := neighbours(w)
	pc, err := server.ListenPacket("udp", ":53")
	if err != nil {
		t.Fatal(err)
	}
	ports := map[dnsmessage.Type]uint16{}
	w.Go(func(context.Context) {
		b := make([]byte, 1500)
		for {
			n, from, err := pc.ReadFrom(b)
			if err != nil {
				return
			}
			reply := zone{"a.example": {"truncated"}}.answer(b[:n], "udp")
			var m dnsmessage.Message
			if m.Unpack(reply) == nil {
				ports[m.Questions[0].Type] = from.(*net.UDPAddr).AddrPort().Port()
			}
			pc.WriteTo(reply, from)
		}
	})
	client.SetResolvers(server.Addr())
	_, err = client.LookupNetIP(t.Context(), "ip", "a.example")
	var got *net.DNSError
	want := net.DNSError{
		Err: "dial tcp 203.0.113.10:53: connect: connection refused", Name: "a.example", Server: "203.0.113.10:53", IsTemporary: true,
	}
	if !errors.As(err, &got) || *got != want || w.Now() != 2*2*4*LastMile {
		t.Errorf("after %v: %#v, want %#v", w.Now(), got, want)
	}
	// What is asked for at once comes from different thirds of the ports.
	if a, aaaa := (ports[dnsmessage.TypeA]-firstEphemeral)%3, (ports[dnsmessage.TypeAAAA]-firstEphemeral)%3; a != 0 || aaaa != 1 {
		t.Errorf("questions came from %v", ports)
	}
	// Another server that answers is asked after it.
	other := w.Internet().Host("other", "203.0.113.11")
	serveZone(t, other, zone{"a.example": {"192.0.2.1"}})
	client.SetResolvers(server.Addr(), other.Addr())
	if addrs, err := client.LookupNetIP(t.Context(), "ip4", "a.example"); err != nil || addrs[0].String() != "192.0.2.1" {
		t.Errorf("found %v, %v", addrs, err)
	}
}

// Names that nobody is asked for.
func TestNoQuestion(t *testing.T) { Run(t, testNoQuestion) }

func testNoQuestion(t *testing.T, w *World) {
	server, client := neighbours(w)
	asked := serveZone(t, server, zone{"a.example": {"192.0.2.1"}})
	client.SetResolvers(server.Addr())
	long := strings.Repeat("a.", 126) + "a"
	for _, row := range []struct{ network, name, want string }{
		{"ip", "", "lookup : no such host"},
		{"ip", "a..example", "lookup a..example: no such host"},
		{"ip", ".a.example", "lookup .a.example: no such host"},
		{"ip", "a_b.ex ample", "lookup a_b.ex ample: no such host"},
		{"ip", "münchen.example", "lookup münchen.example: no such host"},
		{"ip", "12.34", "lookup 12.34: no such host"},
		{"ip", strings.Repeat("a", 64) + ".example", "lookup " + strings.Repeat("a", 64) + ".example: no such host"},
		{"ip", long + "a", "lookup " + long + "a: no such host"},
		{"ip", "x.onion", "address x.onion: no suitable address found"},
		{"ip4", "::1", "address ::1: no suitable address found"},
		{"ip6", "192.0.2.1", "address 192.0.2.1: no suitable address found"},
		{"tcp", "a.example", "unknown network tcp"},
		{"ip", "192.0.2.1", "[192.0.2.1]"},
		{"ip", "fe80::1%eth0", "[fe80::1%eth0]"},
		{"ip", "LOCALHOST.", "[127.0.0.1]"},
		{"ip6", "localhost", "[::1]"},
	} {
		addrs, err := client.LookupNetIP(t.Context(), row.network, row.name)
		got := fmt.Sprint(addrs)
		if err != nil {
			got = err.Error()
		}
		if got != row.want {
			t.Errorf("%s %s: got %s, want %s", row.network, row.name, got, row.want)
		}
	}
	if udp, tcp := asked(); udp+tcp != 0 {
		t.Errorf("%d questions were asked", udp+tcp)
	}
	// What is on the edge of being a name is asked for.
	for _, name := range []string{long, "_sip._tcp.example", "1a.example", "1-2", strings.Repeat("a", 63) + ".example."} {
		client.LookupNetIP(t.Context(), "ip4", name)
	}
	if udp, _ := asked(); udp != 5 {
		t.Errorf("%d questions were asked, want 5", udp)
	}
}

// Two questions at once, with their second tries over TCP, leave no trace of which
// goroutine was faster.
func TestLookupDeterministic(t *testing.T) {
	CheckDeterministic(t, 7, func(t *testing.T, w *World) {
		server, client := neighbours(w)
		serveZone(t, server, zone{"a.example": {"192.0.2.1", "2001:db8::1", "truncated"}, "b.example": {"broken"}})
		client.SetResolvers(server.Addr())
		for _, name := range []string{"a.example", "b.example", "a.example"} {
			client.LookupHost(t.Context(), name)
		}
	})
}
