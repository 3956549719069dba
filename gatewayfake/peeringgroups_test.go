package gatewayfake_test

import (
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/netspec-go/netspec/fabricfake"
	"github.com/netspec-go/netspec/gatewayfake"
	"github.com/netspec-go/netspec/internal/faketb"
	"github.com/netspec-go/netspec/netfake"
)

// A rule that names a group of a peer that has gone matches nobody, not even the one who has
// its members' addresses in the next peer.
// fact: sg.reference.stale
func TestStaleReference(t *testing.T) {
	netfake.Run(t, func(t *testing.T, w *netfake.World) {
		x := buildPeers(t, w)
		twin := fabricfake.NewVPC(w, "twin", "10.0.0.0/16")
		group := twin.SecurityGroup("apps")
		probe := func(name string, from *fabricfake.Instance, code netfake.Code) {
			t.Helper()
			wantCode(t, name, from.Probe(x.db.TCP(9)), code)
		}
		probe("a peer", x.app, "")
		x.pcx.Delete()
		next := gatewayfake.NewPeering(twin, x.data, "next").Accept()
		heir := twin.Subnet("front", "10.0.1.0/24", "a").Route("10.1.0.0/16", next).Instance("heir", fabricfake.InstanceConfig{
			PrivateIP: x.app.Addr().String(), Groups: fabricfake.Groups{group},
		})
		x.back.RouteTable().ReplaceRoute("10.0.0.0/16", next)
		probe("the next one", heir, "ENI_SG_RULES_MISMATCH")
		if n := len(x.stores.IngressRules()); n != 1 {
			t.Errorf("%d rules are left", n)
		}
		x.stores.AllowIngress("tcp/9", group)
		probe("by a rule of its own", heir, "")
	})
}

// Two peers with the same addresses are told apart: what was judged of the one says nothing of
// the other.
// fact: sg.reference.peer
func TestTwins(t *testing.T) {
	netfake.Run(t, func(t *testing.T, w *netfake.World) {
		x := buildPeers(t, w)
		for port := range 40 { // so many that what they say is remembered
			x.stores.AllowIngress(fmt.Sprint("tcp/", 100+port), fabricfake.Anywhere)
		}
		x.stores.AllowIngress("udp/9", x.apps)
		twin := fabricfake.NewVPC(w, "twin", "10.0.0.0/16")
		pcx := gatewayfake.NewPeering(twin, x.data, "twins").Accept()
		double := twin.Subnet("front", "10.0.1.0/24", "a").Route("10.1.0.0/16", pcx).Instance("double", fabricfake.InstanceConfig{PrivateIP: x.app.Addr().String()})
		in, err := x.db.ListenPacket("udp", ":9")
		if err != nil {
			t.Fatal(err)
		}
		var out [2]net.PacketConn
		for n, i := range []*fabricfake.Instance{x.app, double} {
			if out[n], err = i.ListenPacket("udp", fmt.Sprint(":", 1000+n)); err != nil {
				t.Fatal(err)
			}
		}
		for n := range 6 {
			out[n%2].WriteTo([]byte{byte(n % 2)}, net.UDPAddrFromAddrPort(x.db.UDP(9).Addr))
		}
		for range 3 {
			b := make([]byte, 1)
			in.SetReadDeadline(time.Now().Add(time.Second))
			if _, _, err := in.ReadFrom(b); err != nil || b[0] != 0 {
				t.Errorf("%v from %d, want the app's", err, b[0])
			}
		}
		in.SetReadDeadline(time.Now().Add(time.Second))
		if _, from, err := in.ReadFrom(make([]byte, 1)); err == nil {
			t.Errorf("more comes from %v", from)
		}
	})
}

// What speaks of a group of a peer says whose it is: the peer's may have the name of one's own.
func TestPeerGroupIsNamedWithItsVPC(t *testing.T) {
	netfake.Run(t, func(t *testing.T, w *netfake.World) {
		x := buildPeers(t, w)
		namesakes := x.data.SecurityGroup("apps")
		x.stores.AllowIngress("tcp/10", x.apps).AllowIngress("tcp/11", namesakes)
		for port, want := range map[uint16]string{
			9: "  rule 1  tcp/9 from sg apps of vpc shop\n",
			8: "\n  nearest rule: sg stores ingress 1 allows tcp/9 from sg apps of vpc shop\n",
		} {
			if got := x.app.Probe(x.db.TCP(port)).String(); !strings.Contains(got, want) {
				t.Errorf("tcp/%d: want %q in\n%s", port, want, got)
			}
		}
		if _, err := x.db.Listen("tcp", ":11"); err != nil {
			t.Fatal(err)
		}
		mate := x.back.Instance("mate", fabricfake.InstanceConfig{Groups: fabricfake.Groups{namesakes}})
		if got, want := mate.Probe(x.db.TCP(11)).String(), "  rule 3  tcp/11 from sg apps\n"; !strings.Contains(got, want) {
			t.Errorf("of its own VPC: want %q in\n%s", want, got)
		}
	})
}

// So do refusals.
func TestRefusalsNameTheVPCOfAPeersGroup(t *testing.T) {
	for _, row := range []struct {
		do   func(x *peers)
		want string
	}{
		{func(x *peers) { x.stores.AllowIngress("tcp/9", x.apps) }, "InvalidPermission.Duplicate: tcp/9 with sg apps of vpc shop exists (sg stores ingress)"},
		{func(x *peers) { x.stores.RevokeIngress("tcp/7", x.apps) }, "InvalidPermission.NotFound: there is no rule tcp/7 with sg apps of vpc shop (sg stores ingress)"},
		{func(x *peers) { x.stores.RevokeIngress("tcp/7", x.stores) }, "InvalidPermission.NotFound: there is no rule tcp/7 with sg stores (sg stores ingress)"},
	} {
		failure := faketb.Fatal(t, func(tb *faketb.TB) { row.do(buildPeers(t, netfake.New(tb, netfake.Config{Instant: true}))) })
		if !strings.Contains(failure, row.want) {
			t.Errorf("fails with %q, want %q", failure, row.want)
		}
	}
}

// A group that a rule of a peer names can be deleted: the rule stays, and matches nothing, not
// even members of another group of that name.
// fact: sg.delete.peer
func TestDeletedGroupOfAPeer(t *testing.T) {
	netfake.Run(t, func(t *testing.T, w *netfake.World) {
		x := buildPeers(t, w)
		wantCode(t, "named", x.app.Probe(x.db.TCP(9)), "")
		x.app.Interface().SetGroups(fabricfake.Groups{x.shop.DefaultSecurityGroup()})
		x.apps.Delete()
		if got := len(x.stores.IngressRules()); got != 1 {
			t.Errorf("%d rules are left, want the one that is stale", got)
		}
		heirs := x.shop.SecurityGroup("apps")
		x.app.Interface().SetGroups(fabricfake.Groups{heirs})
		wantCode(t, "stale", x.app.Probe(x.db.TCP(9)), "ENI_SG_RULES_MISMATCH")
		x.stores.AllowIngress("tcp/9", heirs)
		wantCode(t, "named again", x.app.Probe(x.db.TCP(9)), "")
	})
}
