package gatewayfake_test

import (
	"encoding/binary"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/netspec-go/netspec/fabricfake"
	"github.com/netspec-go/netspec/gatewayfake"
	"github.com/netspec-go/netspec/internal/faketb"
	"github.com/netspec-go/netspec/internal/wire"
	"github.com/netspec-go/netspec/netfake"
)

// What an internet gateway refuses, with the documented code, and beside each what it
// lets through.
func TestInternetGateway(t *testing.T) {
	netfake.Run(t, func(t *testing.T, w *netfake.World) {
		x := build(w)
		open := x.vpc.SecurityGroup("open").AllowIngress("all", fabricfake.Anywhere)
		front := x.public.Instance("front", fabricfake.InstanceConfig{Groups: fabricfake.Groups{open}})
		bare := x.public.Instance("bare", fabricfake.InstanceConfig{Groups: fabricfake.Groups{open}})
		eip := gatewayfake.NewElasticIP(x.vpc)
		eip.Associate(front.Interface())
		unused := gatewayfake.NewElasticIP(x.vpc)
		x.igw.Uplink().Announce(unused.Addr())
		for _, h := range []*netfake.Host{front.Host, bare.Host} {
			if _, err := h.Listen("tcp", ":80"); err != nil {
				t.Fatal(err)
			}
		}
		at := func(addr string) netfake.Endpoint {
			return netfake.Endpoint{Proto: netfake.TCP, Addr: netip.AddrPortFrom(netip.MustParseAddr(addr), 80)}
		}
		for _, row := range []struct {
			name string
			from *netfake.Host
			to   netfake.Endpoint
			code netfake.Code // "": answered
		}{
			// fact: rtb.targets.igw
			{"out, with a public address", front.Host, x.site.TCP(80), ""},
			{"out, without", bare.Host, x.site.TCP(80), "IGW_PUBLIC_IP_ASSOCIATION_FOR_EGRESS"},
			{"out, to RFC 1918", front.Host, at("192.168.7.7"), "IGW_DESTINATION_ADDRESS_NOT_IN_RFC1918_EGRESS"},
			{"out, to RFC 6598", front.Host, at("100.64.7.7"), "IGW_DESTINATION_ADDRESS_NOT_IN_RFC6598_EGRESS"},
			{"in, to a public address with an interface", x.site, at(eip.Addr().String()), ""},
			{"in, to one without", x.site, at(unused.Addr().String()), "IGW_PRIVATE_IP_ASSOCIATION_FOR_INGRESS"},
			{"hairpin: one's own VPC by its public address", front.Host, at(eip.Addr().String()), ""},
		} {
			r := row.from.Probe(row.to)
			code := netfake.Code("")
			if b := r.Blocker(); b != nil {
				code = b.Code
			}
			if code != row.code || (row.code == "") != (r.Outcome == netfake.Answered) {
				t.Errorf("%s: got %v, %s, want code %q\n%v", row.name, r.Outcome, code, row.code, r)
			}
		}
	})
}

// Bad input is refused with the code of the real API.
func TestRefusals(t *testing.T) {
	netfake.Run(t, func(t *testing.T, _ *netfake.World) {
		tb := faketb.New(t)
		w := netfake.New(tb, netfake.Config{})
		x := build(w)
		alone := fabricfake.NewVPC(w, "alone", "10.1.0.0/16")
		lonely := alone.Subnet("lonely", "10.1.0.0/24", "a").Instance("lonely", fabricfake.InstanceConfig{})
		eip, other := gatewayfake.NewElasticIP(x.vpc), gatewayfake.NewElasticIP(x.vpc)
		aloneIGW := func() { gatewayfake.NewInternetGateway(alone, "igw") }
		table, theirs := x.private.RouteTable(), alone.RouteTable("theirs")
		var second *gatewayfake.NATGateway
		for _, row := range []struct {
			name string
			do   func()
			want string // "": accepted
		}{
			// fact: code.igw.twice
			{"a second gateway", func() { gatewayfake.NewInternetGateway(x.vpc, "igw-2") }, "Resource.AlreadyAssociated"},
			{"a gateway of its name", func() { gatewayfake.NewInternetGateway(x.vpc, "igw") }, "vpc prod has the internet gateway igw already"},
			{"a gateway without a name", func() { gatewayfake.NewInternetGateway(alone, "") }, "InvalidParameterValue"},
			// fact: code.igw.missing
			{"a public address without a gateway", func() { gatewayfake.NewElasticIP(alone).Associate(lonely.Interface()) }, "Gateway.NotAttached"},
			{"a NAT gateway without one", func() { gatewayfake.NewNATGateway(lonely.Interface().Subnet(), "n", gatewayfake.NewElasticIP(alone)) }, "Gateway.NotAttached"},
			{"an address for a VPC without one", func() { eip.Associate(lonely.Interface()) }, "Gateway.NotAttached: vpc alone has no internet gateway"},
			{"its name in another VPC", aloneIGW, ""},

			// Routes: the target is there, attached, and of the table's own VPC.
			// fact: code.parameter
			{"a route to a gateway of another VPC", func() { theirs.Route("0.0.0.0/0", x.igw) }, "belong to different networks"},
			{"a route to a NAT gateway of another VPC", func() { theirs.Route("0.0.0.0/0", x.nat) }, "belong to different networks"},
			{"replacing by a gateway of another VPC", func() { theirs.ReplaceRoute("10.1.0.0/16", x.nat) }, "belong to different networks"},
			{"a route to no gateway", func() { table.Route("203.0.113.0/24", (*gatewayfake.InternetGateway)(nil)) }, "has no target"},
			{"a route to no NAT gateway", func() { table.ReplaceRoute("0.0.0.0/0", (*gatewayfake.NATGateway)(nil)) }, "has no target"},
			// fact: rtb.specific.target
			{"a subnet's block to an internet gateway", func() { table.Route("10.0.0.0/24", x.igw) }, "only an interface can"},
			// fact: rtb.specific.target
			{"a subnet's block to a NAT gateway", func() { table.Route("10.0.0.0/24", x.nat).DeleteRoute("10.0.0.0/24") }, ""},
			{"local replaced by an internet gateway", func() { table.ReplaceRoute("10.0.0.0/16", x.igw) }, "only an interface can"},
			// fact: rtb.local.replace
			{"local replaced by a NAT gateway", func() { table.ReplaceRoute("10.0.0.0/16", x.nat).ReplaceRoute("10.0.0.0/16", fabricfake.Local) }, ""},
			{"the default route replaced", func() { table.ReplaceRoute("0.0.0.0/0", x.igw).ReplaceRoute("0.0.0.0/0", x.nat) }, ""},

			// NAT gateways.
			{"a NAT gateway without an address", func() { gatewayfake.NewNATGateway(x.public, "n", nil) }, "InvalidAllocationID.NotFound"},
			{"a NAT gateway without a subnet", func() { gatewayfake.NewNATGateway(nil, "n", eip) }, "InvalidSubnetID.NotFound"},
			{"a NAT gateway without a name", func() { gatewayfake.NewNATGateway(x.public, "", eip) }, "InvalidParameterValue"},
			{"a second NAT gateway of one name", func() { gatewayfake.NewNATGateway(x.public, "nat", eip) }, "vpc prod has the NAT gateway nat already"},
			{"a second NAT gateway", func() { second = gatewayfake.NewNATGateway(x.public, "nat-2", eip) }, ""},
			{"taking a NAT gateway's address", eip.Disassociate, "OperationNotPermitted"},
			{"deleting it", func() { second.Delete() }, ""},
			{"its name again", func() { gatewayfake.NewNATGateway(x.public, "nat-2", eip).Delete() }, ""},
			{"an address for no interface", func() { eip.Associate(nil) }, "InvalidNetworkInterfaceID.NotFound"},
			{"an address for an interface", func() { eip.Associate(x.app.Interface()) }, ""},
			{"deleting what is deleted", func() { second.Delete() }, ""},
			{"the address again", func() { eip.Associate(x.app.Interface()) }, "Resource.AlreadyAssociated"},
			{"a second for the interface", func() { other.Associate(x.app.Interface()) }, "Resource.AlreadyAssociated"},
			// fact: code.dependency
			{"detaching while addresses are mapped", x.igw.Detach, "DependencyViolation"},
			{"giving one address back", eip.Disassociate, ""},
			{"giving back what is not associated", eip.Disassociate, ""},
			{"deleting the NAT gateway, which has the other", x.nat.Delete, ""},
			{"detaching then", x.igw.Detach, ""},
			{"replacing by a gateway that is detached", func() { table.ReplaceRoute("0.0.0.0/0", x.igw) }, "is not attached"},
			{"a route to a gateway that is detached", func() { x.private.RouteTable().Route("203.0.113.0/24", x.igw) }, "InvalidParameterValue"},
			{"a gateway in its place", func() { gatewayfake.NewInternetGateway(x.vpc, "igw-2") }, ""},
			{"detaching what is detached", x.igw.Detach, ""},
			{"a third gateway", func() { gatewayfake.NewInternetGateway(x.vpc, "igw-3") }, "Resource.AlreadyAssociated"},
		} {
			got := tb.Try(row.do)
			if (row.want == "") != (got == "") || !strings.Contains(got, row.want) {
				t.Errorf("%s: got %q, want %q", row.name, got, row.want)
			}
		}
		// fact: rtb.blackhole
		// What led to the gateways is a hole now.
		for _, s := range []*fabricfake.Subnet{x.public, x.private} {
			for _, r := range s.RouteTable().Routes() {
				var state fabricfake.RouteState
				w.Do(func(time.Duration) { state = r.State() })
				if gone := r.Destination.Bits() == 0; gone != (state == fabricfake.Blackhole) {
					t.Errorf("route %v is %v", r, state)
				}
			}
		}
	})
}

// An internet gateway translates address for address, leaves ports alone, and remembers
// nothing: whoever begins, and after whatever silence, and segments without a connection.
// fact: edge.out, edge.in
func TestInternetGatewayIsOneToOne(t *testing.T) {
	netfake.Run(t, func(t *testing.T, w *netfake.World) {
		x := build(w)
		open := fabricfake.Groups{x.vpc.SecurityGroup("open").AllowIngress("all", fabricfake.Anywhere)}
		front := x.public.Instance("front", fabricfake.InstanceConfig{Groups: open})
		eip := gatewayfake.NewElasticIP(x.vpc)
		eip.Associate(front.Interface())
		inside, err := front.ListenPacket("udp", ":1234")
		if err != nil {
			t.Fatal(err)
		}
		outside, err := x.site.ListenPacket("udp", ":5678")
		if err != nil {
			t.Fatal(err)
		}
		public, site := eip.Addr().String()+":1234", x.site.Addr().String()+":5678"
		for _, pause := range []time.Duration{0, 0, 24 * time.Hour} {
			w.Sleep(pause)
			wantDatagram(t, outside, inside, public, site)
			wantDatagram(t, inside, outside, site, public)
		}

		// A segment of no connection goes out, and the RST for it comes in.
		rec := w.Record(func(f netfake.Flow) bool { return f.Proto == netfake.TCP })
		front.Interface().Inject(segment(front.Addr(), x.site.Addr(), wire.ACK))
		w.Sleep(time.Second)
		for _, trace := range rec.Traces() {
			if b := trace.Blocker(); trace.To == "" || b != nil && b.Code != "" {
				t.Errorf("%v does not come through", trace)
			}
		}
		if n := len(rec.Traces()); n != 2 {
			t.Errorf("%d segments, want one and its RST:\n%v", n, rec)
		}
	})
}

// wantDatagram sends a datagram and checks that it comes from where it should.
func wantDatagram(t *testing.T, from, to net.PacketConn, at, source string) {
	t.Helper()
	dst := net.UDPAddrFromAddrPort(netip.MustParseAddrPort(at))
	if _, err := from.WriteTo([]byte("x"), dst); err != nil {
		t.Fatal(err)
	}
	to.SetReadDeadline(time.Now().Add(time.Second))
	if _, src, err := to.ReadFrom(make([]byte, 10)); err != nil || src.String() != source {
		t.Errorf("to %s: it comes from %v, %v; want %s", at, src, err, source)
	}
}

// segment returns an empty TCP segment with flags, from port 1000 to port 80.
func segment(from, to netip.Addr, flags uint8) []byte {
	b := make([]byte, wire.IPv4HeaderLen+wire.TCPHeaderLen)
	ip := wire.IPv4{TTL: 64, Proto: wire.ProtoTCP, Src: from, Dst: to}
	ip.Put(b, wire.TCPHeaderLen)
	seg := b[wire.IPv4HeaderLen:]
	tcp := wire.TCP{SrcPort: 1000, DstPort: 80, Seq: 1, Ack: 1, Flags: flags, Window: 1000}
	tcp.Put(seg)
	binary.BigEndian.PutUint16(seg[16:], wire.TransportChecksum(wire.ProtoTCP, from, to, seg))
	return b
}

// A public range as a VPC's block is private to it: it hides the internet's addresses of that
// range from instances, is not seen from outside, and needs public addresses to get there.
// fact: vpc.public
func TestPublicRangeIsPrivate(t *testing.T) {
	netfake.Run(t, func(t *testing.T, w *netfake.World) {
		x := build(w)
		vpc := fabricfake.NewVPC(w, "public range", "203.0.113.0/24")
		s := vpc.Subnet("all of it", "203.0.113.0/24", "a").Route("0.0.0.0/0", gatewayfake.NewInternetGateway(vpc, "igw"))
		open := fabricfake.Groups{vpc.SecurityGroup("open").AllowIngress("all", fabricfake.Anywhere)}
		twin := s.Instance("twin", fabricfake.InstanceConfig{PrivateIP: x.site.Addr().String(), Groups: open})
		twin.ServeHTTP(":80", http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) { io.WriteString(rw, "twin") }))
		client := s.Instance("client", fabricfake.InstanceConfig{Groups: open})
		visitor := w.Internet().HostAt(netfake.Sydney, "visitor", "198.51.100.9")
		if _, err := visitor.Listen("tcp", ":80"); err != nil {
			t.Fatal(err)
		}
		if in, out := get(t, client.Host, "http://203.0.113.80/"), get(t, visitor, "http://203.0.113.80/"); in != "twin" || out != "hello" {
			t.Errorf("inside it is %q, outside %q", in, out)
		}
		wantCode(t, "out, without a public address", client.Probe(visitor.TCP(80)), "IGW_PUBLIC_IP_ASSOCIATION_FOR_EGRESS")
		gatewayfake.NewElasticIP(vpc).Associate(client.Interface())
		wantCode(t, "out, with one", client.Probe(visitor.TCP(80)), "")
	})
}

// What comes from the internet with a source that nobody there has is refused, with the
// documented code: private and shared addresses, and those of the VPC itself.
func TestInternetGatewayRefusesSources(t *testing.T) {
	for _, row := range []struct {
		source string
		code   netfake.Code // "": it arrives
	}{
		{"198.51.100.9", ""},
		{"10.9.9.9", "IGW_SOURCE_ADDRESS_NOT_IN_RFC1918_INGRESS"},
		{"172.16.0.1", "IGW_SOURCE_ADDRESS_NOT_IN_RFC1918_INGRESS"},
		{"172.32.0.1", ""},
		{"192.168.7.7", "IGW_SOURCE_ADDRESS_NOT_IN_RFC1918_INGRESS"},
		{"100.64.7.7", "IGW_SOURCE_ADDRESS_NOT_IN_RFC6598_INGRESS"},
		{"100.128.7.7", ""},
		{"203.0.113.9", "GATEWAY_REJECTS_SPOOFED_TRAFFIC"},
		{"203.0.112.9", ""},
	} {
		netfake.Run(t, func(t *testing.T, w *netfake.World) {
			vpc := fabricfake.NewVPC(w, "public range", "203.0.113.0/24")
			igw := gatewayfake.NewInternetGateway(vpc, "igw")
			s := vpc.Subnet("s", "203.0.113.0/25", "a").Route("0.0.0.0/0", igw)
			open := fabricfake.Groups{vpc.SecurityGroup("open").AllowIngress("all", fabricfake.Anywhere)}
			front := s.Instance("front", fabricfake.InstanceConfig{Groups: open})
			eip := gatewayfake.NewElasticIP(vpc)
			eip.Associate(front.Interface())
			rec := w.Record(func(f netfake.Flow) bool { return f.Dst.Port() == 80 })
			b := segment(netip.MustParseAddr(row.source), eip.Addr(), wire.SYN)
			w.Do(func(time.Duration) {
				p := w.NewPacket(len(b), 1, 0)
				copy(p.Bytes(), b)
				if err := p.Decode(); err != nil {
					t.Error(err)
				}
				w.Trace(p, "somebody")
				w.Send(p, igw)
			})
			w.Sleep(time.Second)
			all := rec.Traces()
			if len(all) != 1 {
				t.Fatalf("%s: %d packets", row.source, len(all))
			}
			hop := all[0].Blocker()
			if row.code == "" && all[0].To != front.Name() || row.code != "" && (hop == nil || hop.Code != row.code) {
				t.Errorf("%s: it comes to %q, stopped by %v; want %q", row.source, all[0].To, hop, row.code)
			}
		})
	}
}

// A unique local address of IPv6 is nobody's on the internet, and is not translated.
func TestUniqueLocalAddressStaysInside(t *testing.T) {
	for block, code := range map[string]netfake.Code{"2001:db8:7::/56": "", "fd12:3456::/56": "IGW_PUBLIC_IP_ASSOCIATION_FOR_EGRESS"} {
		netfake.Run(t, func(t *testing.T, w *netfake.World) {
			site := w.Internet().HostAt(netfake.Singapore, "site", "2001:db8:5::80")
			swallow(t, site)
			vpc := fabricfake.NewVPC(w, "prod", "10.0.0.0/16").AddIPv6(block)
			s := vpc.Subnet("s", "10.0.0.0/24", "a").AddIPv6("").Route("::/0", gatewayfake.NewInternetGateway(vpc, "igw"))
			i := s.Instance("i", fabricfake.InstanceConfig{IPv6AddressCount: 1})
			wantCode(t, block, i.Probe(site.TCP6(9)), code)
		})
	}
}
