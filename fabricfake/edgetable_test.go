package fabricfake

import (
	"net/netip"
	"testing"
	"time"

	"github.com/netspec-go/netspec/internal/wire"
	"github.com/netspec-go/netspec/netfake"
)

// entrance is the node behind an edge: what it is sent it brings into the VPC.
type entrance struct{ edge *Edge }

func (e *entrance) String() string                                        { return "entrance" }
func (e *entrance) Step(p *netfake.Packet) netfake.Next                   { return e.edge.Enter(p) }
func (e *entrance) Leave(p *netfake.Packet, from *Interface) netfake.Next { return netfake.Next{} }

// arrivals is a guest that counts what it gets.
type arrivals struct {
	name string
	n    int
}

func (a *arrivals) String() string { return a.name }
func (a *arrivals) Step(p *netfake.Packet) netfake.Next {
	a.n++
	return p.Delivered(netfake.Hop{By: a, Place: a.name})
}

// datagramOf returns the bytes of an empty UDP datagram.
func datagramOf(src, dst string) []byte {
	from, to := netip.MustParseAddr(src), netip.MustParseAddr(dst)
	if from.Is4() {
		b := make([]byte, wire.IPv4HeaderLen+wire.UDPHeaderLen)
		ip := wire.IPv4{TTL: 64, Proto: wire.ProtoUDP, Src: from, Dst: to}
		ip.Put(b, wire.UDPHeaderLen)
		return b
	}
	b := make([]byte, wire.IPv6HeaderLen+wire.UDPHeaderLen)
	ip := wire.IPv6{HopLimit: 64, NextHeader: wire.ProtoUDP, Src: from, Dst: to}
	ip.Put(b, wire.UDPHeaderLen)
	return b
}

// What comes in through an edge goes where the edge's table says, in both families; a
// middlebox behind the edge of an internet gateway must have a public address.
func TestEdgeTable(t *testing.T) { netfake.Run(t, testEdgeTable) }

func testEdgeTable(t *testing.T, w *netfake.World) {
	v := NewVPC(w, "prod", "10.0.0.0/16").AddIPv6("2001:db8:7::/56")
	web := v.Subnet("web", "10.0.1.0/24", "a").AddIPv6("2001:db8:7:1::/64")
	app, fw := &arrivals{name: "app"}, &arrivals{name: "fw"}
	web.Appliance("app", app).AssignIPv6("")
	box := v.Subnet("inspection", "10.0.2.0/24", "a").AddIPv6("2001:db8:7:2::/64").Appliance("fw", fw)
	inside, internet := &entrance{}, &entrance{}
	inside.edge, internet.edge = NewEdge(v, "vgw", inside), NewPublicEdge(v, "igw", internet)
	table := v.RouteTable("edge")
	four, six := datagramOf("203.0.113.5", "10.0.1.4"), datagramOf("2001:db8::5", "2001:db8:7:1::4")
	nobody := datagramOf("203.0.113.5", "10.0.1.99")
	outside := datagramOf("203.0.113.5", "192.168.1.1")

	steps := []struct {
		what    string
		do      func()
		through *entrance
		packet  []byte
		want    string // who gets it, or the code of the drop
	}{
		{"without a table, to the owner", func() {}, inside, four, "app"},
		{"over IPv6", func() {}, internet, six, "app"},
		{"with one, by local", func() { inside.edge.Associate(table); internet.edge.Associate(table) }, inside, four, "app"},
		{"over IPv6", func() {}, internet, six, "app"},
		// fact: rtb.gateway.targets
		{"to a middlebox", func() { table.Route("10.0.1.0/24", box).Route("2001:db8:7:1::/64", box) }, inside, four, "fw"},
		{"over IPv6", func() {}, inside, six, "fw"},
		{"whether the destination exists or not", func() {}, inside, nobody, "fw"},
		// fact: rtb.gateway.public
		{"from the internet, to one without a public address", func() {}, internet, four, "INGRESS_RTB_NO_PUBLIC_IP"},
		{"over IPv6", func() {}, internet, six, "INGRESS_RTB_NO_PUBLIC_IP"},
		// fact: rtb.gateway.public
		{"to one with an address of IPv4", func() { box.SetPublicIP(netip.MustParseAddr("198.51.100.7")) }, internet, four, "fw"},
		{"which is none of IPv6", func() {}, internet, six, "INGRESS_RTB_NO_PUBLIC_IP"},
		{"to one with an address of IPv6", func() { box.AssignIPv6("") }, internet, six, "fw"},
		// fact: rtb.blackhole, rtb.blackhole.eni
		{"a middlebox that is gone", func() { w.Do(func(time.Duration) { box.gone = true }) }, internet, four, "BAD_STATE_ROUTE"},
		{"over IPv6", func() {}, inside, six, "BAD_STATE_ROUTE"},
		{"back to local", func() { table.DeleteRoute("10.0.1.0/24") }, inside, four, "app"},
		{"where nobody is", func() {}, inside, nobody, "NO_POSSIBLE_DESTINATION"},
		{"outside of the VPC", func() {}, inside, outside, "NO_ROUTE_TO_DESTINATION"},
		{"the table taken away", func() { inside.edge.Disassociate() }, inside, six, "app"},
		{"from one edge alone", func() {}, internet, six, "BAD_STATE_ROUTE"},
	}
	for _, s := range steps {
		s.do()
		app.n, fw.n = 0, 0
		rec := w.Record(nil)
		w.Do(func(time.Duration) {
			p := w.NewPacket(len(s.packet), 1, 0)
			copy(p.Bytes(), s.packet)
			if err := p.Decode(); err != nil {
				t.Fatal(err)
			}
			w.Trace(p, "outside")
			w.Send(p, s.through)
		})
		w.Sleep(time.Second)
		got := ""
		for _, trace := range rec.Traces() {
			if b := trace.Blocker(); b != nil {
				got = string(b.Code)
			}
		}
		rec.Stop()
		if app.n > 0 {
			got += "app"
		}
		if fw.n > 0 {
			got += "fw"
		}
		if got != s.want {
			t.Errorf("%s: %q, want %q", s.what, got, s.want)
		}
	}
	if inside.edge.RouteTable() != nil || internet.edge.RouteTable() != table {
		t.Errorf("the edges have %v and %v", inside.edge.RouteTable(), internet.edge.RouteTable())
	}
}
