package fabricfake

import (
	"net/netip"
	"testing"
	"time"

	"github.com/netspec-go/netspec/netfake"
)

// Who forwards may send from any address of its own, and its groups are known by all of them,
// whether the receiving host is told of addresses in advance or asks.
func TestForwarderIsKnownByEveryAddress(t *testing.T) {
	for _, policy := range []MissPolicy{MissDrop, MissAsk} {
		netfake.Run(t, func(t *testing.T, w *netfake.World) {
			vpc := NewVPC(w, "prod", "10.0.0.0/16")
			clients, servers := vpc.SecurityGroup("clients"), vpc.SecurityGroup("servers")
			servers.AllowIngress("tcp/80", clients)
			client := vpc.Subnet("a", "10.0.1.0/24", "a").Instance("client", InstanceConfig{Groups: Groups{clients}})
			server := vpc.Subnet("b", "10.0.2.0/24", "b").Instance("server", InstanceConfig{Groups: Groups{servers}})
			client.Interface().AssignPrivateIP("10.0.1.77")
			client.Interface().SetSourceDestCheck(SourceDestCheckOff)
			if _, err := server.Listen("tcp", ":80"); err != nil {
				t.Fatal(err)
			}
			vpc.Region().Mapping().SetMissPolicy(policy)
			for _, row := range []struct {
				from, port string
				want       bool
			}{{"10.0.1.77:0", ":80", true}, {"10.0.1.77:0", ":81", false}, {"10.0.1.4:0", ":80", true}} {
				d := client.Dialer()
				d.LocalAddr, d.Timeout = netip.MustParseAddrPort(row.from), 2*time.Second
				c, err := d.DialContext(t.Context(), "tcp", server.Addr().String()+row.port)
				if (err == nil) != row.want {
					t.Errorf("%v, from %s to %s: %v", policy, row.from, row.port, err)
				}
				if c != nil {
					c.Close()
				}
			}
		})
	}
}

// leaver is a node behind an edge that counts what comes.
type leaver struct{ came int }

func (l *leaver) String() string { return "leaver" }
func (l *leaver) Leave(p *netfake.Packet, _ *Interface) netfake.Next {
	l.came++
	return p.Drop(netfake.Hop{Place: "leaver", By: l, Rule: "came"})
}

// A peering leads to interfaces: a frame of a peer's interface for an edge is forged, where
// one of an interface of the edge's own VPC is not.
func TestEdgeBelievesNoPeer(t *testing.T) {
	for _, row := range []struct {
		name           string
		peer           bool
		came, rejected int
	}{{"its own VPC's", false, 1, 0}, {"a peer's", true, 0, 1}} {
		netfake.Run(t, func(t *testing.T, w *netfake.World) {
			v, peer := NewVPC(w, "v", "10.0.0.0/16"), NewVPC(w, "peer", "10.1.0.0/16")
			pcx := NewPeering(v, peer)
			w.Do(func(now time.Duration) { pcx.Offer(now, now+time.Hour); pcx.Open(now) })
			node := &leaver{}
			edge := NewEdge(v, "edge", node)
			from := v.Subnet("s", "10.0.1.0/24", "a").Instance("own", InstanceConfig{}).Interface()
			if row.peer {
				from = peer.Subnet("s", "10.1.1.0/24", "a").Instance("other", InstanceConfig{}).Interface()
			}
			frame := Frame{From: from.PhysicalHost().Addr(), To: edge.addr, VNI: v.vni, Source: from.Number()}
			w.Do(func(time.Duration) {
				frame.Inner = append(frame.Inner, segment(t, w, from.PrivateIP().String()+":5", "10.0.1.9:6", flagSYN).Bytes()...)
			})
			from.PhysicalHost().Wire()
			from.PhysicalHost().Inject(frame.Marshal())
			w.Sleep(time.Second)
			if node.came != row.came || edge.Rejected() != uint64(row.rejected) || len(w.Alarms()) != row.rejected {
				t.Errorf("%s: %d came, %d were rejected, alarms %v", row.name, node.came, edge.Rejected(), w.Alarms())
			}
		})
	}
}
