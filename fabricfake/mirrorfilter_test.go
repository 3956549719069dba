package fabricfake_test

import (
	"testing"

	"github.com/netspec-go/netspec/fabricfake"
	"github.com/netspec-go/netspec/internal/wire"
	"github.com/netspec-go/netspec/netfake"
)

// watch begins a session from an interface with a filter and returns who gets its copies.
func watch(t *testing.T, from *fabricfake.Instance, f fabricfake.MirrorFilter) *monitor {
	t.Helper()
	m := newMonitor(t, from.Interface().Subnet(), "monitor")
	from.Interface().Mirror("session", fabricfake.MirrorConfig{Target: m.Interface(), Filter: f})
	return m
}

// The rules of a filter: the lowest number decides, without a rule nothing is taken.
func TestMirrorFilter(t *testing.T) {
	accept, reject := fabricfake.MirrorAccept, fabricfake.MirrorReject
	for _, row := range []struct {
		name  string
		rules []fabricfake.MirrorRule
		want  int // of one ping
	}{
		// fact: mirror.filter.none
		{"no rules, nothing is mirrored", nil, 0},
		{"a rule without conditions takes all", everything, 1},
		{"a rejecting rule", []fabricfake.MirrorRule{{Number: 1, Action: reject}}, 0},
		// fact: mirror.filter.order
		{"the lowest number decides, accept", []fabricfake.MirrorRule{{Number: 20, Action: reject}, {Number: 10, Action: accept}}, 1},
		// fact: mirror.filter.order
		{"the lowest number decides, reject", []fabricfake.MirrorRule{{Number: 20, Action: accept}, {Number: 10, Action: reject}}, 0},
		// fact: mirror.filter.match
		{"another protocol", []fabricfake.MirrorRule{{Number: 1, Action: accept, Protocol: netfake.TCP}}, 0},
		// fact: mirror.filter.match
		{"its protocol", []fabricfake.MirrorRule{{Number: 1, Action: accept, Protocol: netfake.ICMP}}, 1},
		// fact: mirror.filter.match
		{"another source", []fabricfake.MirrorRule{{Number: 1, Action: accept, Source: "10.0.0.0/8"}}, 0},
		// fact: mirror.filter.match
		{"its source", []fabricfake.MirrorRule{{Number: 1, Action: accept, Source: "172.31.16.0/24"}}, 1},
		// fact: mirror.filter.match
		{"another destination", []fabricfake.MirrorRule{{Number: 1, Action: accept, Destination: "10.0.0.0/8"}}, 0},
		// fact: mirror.filter.match
		{"its destination", []fabricfake.MirrorRule{{Number: 1, Action: accept, Destination: "172.31.32.21/32"}}, 1},
	} {
		netfake.Run(t, func(t *testing.T, w *netfake.World) {
			p := newPair(t, w)
			m := watch(t, p.one, fabricfake.MirrorFilter{Egress: row.rules})
			if _, err := p.one.Ping(t.Context(), p.two.Addr()); err != nil {
				t.Fatal(err)
			}
			if got := len(m.copies(t)); got != row.want {
				t.Errorf("%s: %d copies of a ping, want %d", row.name, got, row.want)
			}
		})
	}
}

// Filters choose packets of IPv6 by their blocks as those of IPv4, and neither by the
// other's; copies travel over IPv4.
// fact: mirror.filter.match
func TestMirrorFilter6(t *testing.T) {
	for _, row := range []struct {
		source, destination fabricfake.CIDR
		want                int // of one ping
	}{
		{"2001:db8:7:1::/64", "", 1},
		{"", "2001:db8:7:2::/64", 1},
		{"2001:db8:7::/56", fabricfake.AnywhereIPv6, 1},
		{"2001:db8:7:2::/64", "", 0},
		{"", "2001:db8:7:1::/64", 0},
		{fabricfake.Anywhere, "", 0},
		{"", "", 1},
	} {
		netfake.Run(t, func(t *testing.T, w *netfake.World) {
			p := newPair(t, w)
			p.vpc.AddIPv6("2001:db8:7::/56")
			p.a.AddIPv6("2001:db8:7:1::/64")
			p.b.AddIPv6("2001:db8:7:2::/64")
			p.one.Interface().AssignIPv6("")
			p.group.AllowIngress("icmpv6", fabricfake.AnywhereIPv6)
			rule := fabricfake.MirrorRule{Number: 1, Action: fabricfake.MirrorAccept, Source: row.source, Destination: row.destination}
			m := watch(t, p.one, fabricfake.MirrorFilter{Egress: []fabricfake.MirrorRule{rule}})
			if _, err := p.one.Ping(t.Context(), p.two.Interface().AssignIPv6("")); err != nil {
				t.Fatal(err)
			}
			if got := m.copies(t); len(got) != row.want || row.want > 0 && got[0].Packet[0]>>4 != 6 {
				t.Errorf("from %q to %q: copies %v of a ping, want %d", row.source, row.destination, got, row.want)
			}
		})
	}
}

// Ports choose packets of protocols that have them.
// fact: mirror.filter.match
func TestMirrorPorts(t *testing.T) {
	netfake.Run(t, func(t *testing.T, w *netfake.World) {
		p := newPair(t, w)
		m := watch(t, p.two, fabricfake.MirrorFilter{
			Ingress: []fabricfake.MirrorRule{{Number: 1, Action: fabricfake.MirrorAccept, DestinationPorts: fabricfake.PortRange{From: 20, To: 22}}},
			Egress:  []fabricfake.MirrorRule{{Number: 1, Action: fabricfake.MirrorAccept, SourcePorts: fabricfake.PortRange{From: 23, To: 99}}},
		})
		p.talk(t)
		p.one.Ping(t.Context(), p.two.Addr())
		copies := m.copies(t)
		if len(copies) == 0 {
			t.Error("no copies")
		}
		for _, c := range copies {
			if ip, l4, err := wire.ParseIPv4(c.Packet); err != nil || ip.Dst != p.two.Addr() || l4[2] != 0 || l4[3] != 22 {
				t.Errorf("a copy of %v, port % x (%v)", ip, l4[2:4], err)
			}
		}
	})
}

// Questions to the resolver are mirrored when the filter names it, whatever the rules.
// fact: mirror.filter.dns, service.dns.base
func TestMirrorResolver(t *testing.T) {
	for service, want := range map[fabricfake.MirrorService]int{fabricfake.ServiceHidden: 0, fabricfake.ServiceMirrored: 2} {
		netfake.Run(t, func(t *testing.T, w *netfake.World) {
			p := newPair(t, w)
			resolver := w.NewHost("resolver", p.vpc.Place())
			p.vpc.AttachResolver(resolver)
			conn, err := resolver.ListenPacket("udp", ":53")
			if err != nil {
				t.Fatal(err)
			}
			m := watch(t, p.one, fabricfake.MirrorFilter{Resolver: service})
			u, err := p.one.Dial("udp", "172.31.0.2:53")
			if err != nil {
				t.Fatal(err)
			}
			defer u.Close()
			u.Write([]byte("who"))
			b := make([]byte, 10)
			_, from, err := conn.ReadFrom(b)
			if err != nil {
				t.Fatal(err)
			}
			conn.WriteTo([]byte("me"), from)
			u.Read(b)
			if got := len(m.copies(t)); got != want {
				t.Errorf("service %d: %d copies of question and answer, want %d", service, got, want)
			}
		})
	}
}
