package netfake

import (
	"context"
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/netspec-go/netspec/internal/faketb"
	"github.com/netspec-go/netspec/internal/wire"
)

// twoHosts6 are twoHosts with addresses of both families.
func twoHosts6(w *World) (server, client *Host) {
	return w.Internet().HostAt(Sydney, "server", "203.0.113.10", "2001:db8:1::10"),
		w.Internet().HostAt(Melbourne, "client", "198.51.100.20", "2001:db8:2::20")
}

// extended returns p with an extension header of a kind, n times eight bytes long, behind
// its IPv6 header.
func extended(p *Packet, kind uint8, n int) *Packet {
	with := p.world.NewPacket(p.Len()+8*n, 0, 0)
	b := with.Bytes()
	copy(b, p.Bytes()[:wire.IPv6HeaderLen])
	clear(b[wire.IPv6HeaderLen : wire.IPv6HeaderLen+8*n])
	copy(b[wire.IPv6HeaderLen+8*n:], p.Payload())
	b[wire.IPv6HeaderLen], b[wire.IPv6HeaderLen+1] = b[6], uint8(n-1)
	b[6] = kind
	binary.BigEndian.PutUint16(b[4:], uint16(len(b)-wire.IPv6HeaderLen))
	return with
}

// What a host makes of a datagram to an open port, by what stands between the IPv6 header
// and the transport (RFC 8200, section 4): it skips what it knows, and says which part of
// a packet it could not use.
func TestExtensionHeaders(t *testing.T) {
	for _, row := range []struct {
		name  string
		forge func(p *Packet) *Packet
		rule  string // of the drop; "" if it is delivered
	}{
		{"nothing", func(p *Packet) *Packet { return p }, ""},
		{"hop-by-hop options", func(p *Packet) *Packet { return extended(p, wire.ProtoHopByHop, 1) }, ""},
		{"destination options", func(p *Packet) *Packet { return extended(p, wire.ProtoDestOptions, 3) }, ""},
		{"a routing header that is used up", func(p *Packet) *Packet { return extended(p, wire.ProtoRouting, 1) }, ""},
		{"an atomic fragment, RFC 6946", func(p *Packet) *Packet { return extended(p, wire.ProtoFragment, 1) }, ""},
		{"a first fragment of 13 bytes", func(p *Packet) *Packet {
			p = extended(p, wire.ProtoFragment, 1)
			p.Bytes()[wire.IPv6HeaderLen+3] = 1
			return p
		}, "a fragment of 13 bytes which is not the last"},
		{"a later fragment alone", func(p *Packet) *Packet {
			p = extended(p, wire.ProtoFragment, 1)
			p.Bytes()[wire.IPv6HeaderLen+2] = 1
			return p
		}, "the datagram is not complete after 1m0s"},
		{"authentication, which is unknown", func(p *Packet) *Packet { return extended(p, 51, 2) }, "proto 51 is not spoken here"},
		{"no next header", func(p *Packet) *Packet {
			p.Bytes()[6] = wire.ProtoNoNextHeader
			return p
		}, "proto 59 is not spoken here"},
		{"ICMP of IPv4", func(p *Packet) *Packet {
			p.Bytes()[6] = wire.ProtoICMP
			return p
		}, "icmp is not spoken here"},
		{"a UDP checksum of 0, which only IPv4 has", func(p *Packet) *Packet {
			clear(p.Payload()[6:8])
			return p
		}, "the checksum is wrong"},
	} {
		t.Run(row.name, func(t *testing.T) {
			Run(t, func(t *testing.T, w *World) {
				server, client := twoHosts6(w)
				in := openUDP6(t, server, 53)
				w.Do(func(time.Duration) {
					flow := Flow{UDP, netip.AddrPortFrom(client.nics[1].addr, 9), in}
					p := row.forge(client.udpPacket(flow, []byte("hello"), 1))
					if err := p.Decode(); err != nil {
						t.Error(err)
					}
					client.send(p)
				})
				time.Sleep(2 * FragmentTimeout6)
				drops := w.Drops()
				switch {
				case row.rule == "" && len(drops) > 0:
					t.Errorf("dropped: %v", drops)
				case row.rule != "" && (len(drops) != 1 || drops[0].Hop.Rule != row.rule):
					t.Errorf("got %v, want one drop: %s", drops, row.rule)
				}
			})
		})
	}
}

// openUDP6 opens a UDP port of the host's IPv6 address and returns where it is.
func openUDP6(t *testing.T, h *Host, port uint16) netip.AddrPort {
	t.Helper()
	at := h.UDP6(port).Addr
	if _, err := h.ListenPacket("udp", at.String()); err != nil {
		t.Fatal(err)
	}
	return at
}

// A packet whose header holds no address that a packet may have, or a chain of headers
// that ends outside of it, is malformed.
func TestDecode6Errors(t *testing.T) {
	w := New(t, Config{})
	h := w.NewHost("h", Place{})
	good := func() *Packet {
		return h.udpPacket(Flow{UDP, netip.MustParseAddrPort("[2001:db8::1]:1"), netip.MustParseAddrPort("[2001:db8::2]:2")}, []byte("x"), 1)
	}
	for _, row := range []struct {
		name string
		p    func() *Packet
		err  error
	}{
		{"nothing wrong", good, nil},
		{"a mapped source", func() *Packet {
			p := good()
			mapped := netip.MustParseAddr("::ffff:192.0.2.1").As16()
			copy(p.Bytes()[8:], mapped[:])
			return p
		}, errMapped},
		{"no transport header", func() *Packet {
			p := good()
			p.Bytes()[5] = 3
			return p
		}, wire.ErrShort},
		{"options beyond the end", func() *Packet {
			p := extended(good(), wire.ProtoHopByHop, 1)
			p.Bytes()[wire.IPv6HeaderLen+1] = 9
			return p
		}, wire.ErrLength},
		{"a routing header with nodes to visit", func() *Packet {
			p := extended(good(), wire.ProtoRouting, 1)
			p.Bytes()[wire.IPv6HeaderLen+3] = 1
			return p
		}, wire.ErrRouting},
	} {
		w.Do(func(time.Duration) {
			if err := row.p().Decode(); !errors.Is(err, row.err) {
				t.Errorf("%s: got %v, want %v", row.name, err, row.err)
			}
		})
	}
}

// An address of the other family fails the test and leaves the packet as it is.
func TestRewriteAcrossFamilies(t *testing.T) {
	tb := faketb.New(t)
	w := New(tb, Config{})
	four, six := netip.MustParseAddrPort("192.0.2.1:1"), netip.MustParseAddrPort("[2001:db8::2]:2")
	for _, row := range []struct {
		flow Flow
		to   netip.AddrPort
		ok   bool
	}{
		{Flow{UDP, four, four}, four, true},
		{Flow{UDP, six, six}, six, true},
		{Flow{UDP, four, four}, six, false},
		{Flow{UDP, six, six}, four, false},
		{Flow{UDP, six, six}, netip.MustParseAddrPort("[::ffff:192.0.2.1]:1"), false},
		{Flow{UDP, six, six}, netip.MustParseAddrPort("[fe80::1%eth0]:1"), false},
		{Flow{UDP, four, four}, netip.AddrPort{}, false},
	} {
		before := len(tb.Failures())
		w.Do(func(time.Duration) {
			p := (&Host{world: w}).udpPacket(row.flow, nil, 1)
			bytes := string(p.Bytes())
			p.SetSrc(row.to)
			p.SetDst(row.to)
			refused := len(tb.Failures()) > before
			if got := string(p.Bytes()) == bytes && p.Flow == row.flow && refused; got == row.ok {
				t.Errorf("%v to %v: refused %v: %q", row.flow, row.to, got, tb.Failures())
			}
		})
	}
	if text := tb.Failures()[0]; !strings.Contains(text, "cannot have the address") {
		t.Errorf("it says %q", text)
	}
}

// An echo request of ICMPv6 is answered after a round trip; a host that has no IPv6
// cannot send one.
func TestPing6(t *testing.T) { Run(t, testPing6) }

func testPing6(t *testing.T, w *World) {
	_, client := twoHosts6(w)
	rtt, err := client.Ping(t.Context(), netip.MustParseAddr("2001:db8:1::10"))
	if err != nil || rtt != 2*oneWay {
		t.Errorf("got %v, %v, want %v", rtt, err, 2*oneWay)
	}
	if rtt, err = client.Ping(t.Context(), netip.MustParseAddr("::ffff:203.0.113.10")); err != nil || rtt != 2*oneWay {
		t.Errorf("a mapped address, which is IPv4's: %v, %v", rtt, err)
	}
	if rtt, err = client.Ping(t.Context(), netip.MustParseAddr("::1")); err != nil || rtt != 0 {
		t.Errorf("the loopback: %v, %v", rtt, err)
	}
	if _, err := client.Ping(t.Context(), netip.MustParseAddr("2001:db8:1::99")); err == nil {
		t.Error("somebody answered who is not there")
	}
	if _, err := client.Ping(t.Context(), netip.MustParseAddr("fe80::1%eth0")); err == nil || !strings.Contains(err.Error(), "zones are not modelled") {
		t.Errorf("a zone: %v", err)
	}
	only4 := w.Internet().Host("old", "203.0.113.30")
	_, err = only4.Ping(t.Context(), netip.MustParseAddr("2001:db8:1::10"))
	var op *net.OpError
	if !errors.As(err, &op) || op.Net != "ip6:ipv6-icmp" || !errors.Is(err, syscall.ENETUNREACH) {
		t.Errorf("without an IPv6 address: %v, want ENETUNREACH", err)
	}
}

// A closed port of either family is reported to a connected socket, once; the error
// quotes a datagram of any length as far as ICMPv6 lets it.
func TestPortUnreachable6(t *testing.T) { Run(t, testPortUnreachable6) }

func testPortUnreachable6(t *testing.T, w *World) {
	_, client := twoHosts6(w)
	c, err := client.Dial("udp", "[2001:db8:1::10]:53")
	if err != nil {
		t.Fatal(err)
	}
	for _, size := range []int{0, 1, InternetMTU - wire.IPv6HeaderLen - wire.UDPHeaderLen} {
		if _, err := c.Write(make([]byte, size)); err != nil {
			t.Fatalf("%d bytes: %v", size, err)
		}
		_, err := c.Read(make([]byte, 1))
		want(t, "Read", err, syscall.ECONNREFUSED)
	}
	_, err = c.Write(make([]byte, 65528))
	want(t, "a datagram beyond all lengths", err, syscall.EMSGSIZE)
}

// TCP over IPv6: its segments fill the MTU and do not exceed it.
func TestTCP6(t *testing.T) { Run(t, testTCP6) }

func testTCP6(t *testing.T, w *World) {
	server, client := twoHosts6(w)
	echoServer(t, server, "[2001:db8:1::10]:7")
	longest := 0
	rec := w.Record(nil)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	c, err := client.DialContext(ctx, "tcp", "[2001:db8:1::10]:7")
	if err != nil {
		t.Fatal(err)
	}
	if got := w.Now(); got != 2*oneWay {
		t.Errorf("a handshake took %v, want one round trip, %v", got, 2*oneWay)
	}
	c.Write(make([]byte, 10_000))
	c.Read(make([]byte, 1))
	for _, trace := range rec.Traces() {
		longest = max(longest, trace.Data)
		if strings.Contains(trace.Summary, "SYN") && !strings.Contains(trace.Summary, "mss 1440") {
			t.Errorf("%s, want an MSS of 1440", trace.Summary)
		}
	}
	if drops := w.Drops(); len(drops) > 0 {
		t.Errorf("dropped: %v", drops)
	}
	if longest != 1428 { // its timestamps take 12 bytes
		t.Errorf("the largest segment has %d bytes, want 1428", longest)
	}
	if got, want := c.RemoteAddr().String(), "[2001:db8:1::10]:7"; got != want {
		t.Errorf("the remote address is %s, want %s", got, want)
	}
	if server.LastPeer() != client.Addr6() {
		t.Errorf("server's last peer is %v, want %v", server.LastPeer(), client.Addr6())
	}
}
