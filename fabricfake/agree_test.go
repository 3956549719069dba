package fabricfake_test

import (
	"fmt"
	"net/netip"
	"testing"

	"pgregory.net/rapid"

	"github.com/netspec-go/netspec/fabricfake"
	"github.com/netspec-go/netspec/netfake"
)

// Whatever the world, a caller sees what a probe said, and what blocks is what the probe
// named.
func TestLiveAndAnalysedAgree(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rapid.SyncTest(t, func(t *rapid.T) {
			w := netfake.New(t, netfake.Config{Seed: 1})
			hosts := randomVPC(t, w)
			for range 4 {
				from, to := pick(t, "from", hosts), pick(t, "to", hosts)
				if from == to {
					continue
				}
				agree(t, w, from, netfake.Endpoint{
					Proto: pick(t, "protocol", []netfake.Protocol{netfake.TCP, netfake.TCP, netfake.UDP, netfake.ICMP}),
					Addr:  netip.AddrPortFrom(to.Addr(), pick(t, "port", somePorts)),
				})
			}
		})
	})
}

// agree compares what a probe says with what a caller sees, and returns it.
func agree(t netfake.TB, w *netfake.World, from *fabricfake.Instance, e netfake.Endpoint) netfake.Outcome {
	t.Helper()
	r := from.Probe(e)
	outcome, first, err := call(w, from.Host, e)
	if err != nil || outcome != r.Outcome {
		t.Fatalf("%v to %v: the probe says %v, the caller sees %v (%v)\n%v\n%v", from, e, r.Outcome, outcome, err, r.Forward, r.Return)
	}
	if got, want := blockerText(first), blockerText(r.Blocker()); got != want {
		t.Fatalf("%v to %v: the packets were blocked by %q, the probe by %q", from, e, got, want)
	}
	return outcome
}

// That property sees every outcome, of every protocol.
func TestAgreementTellsOutcomesApart(t *testing.T) {
	netfake.Run(t, func(t *testing.T, w *netfake.World) {
		p := newPlace(t, w)
		for _, perm := range []string{"tcp/81-82", "udp/81-82"} {
			p.webGroup.AllowIngress(perm, fabricfake.Anywhere)
		}
		if err := serve(w, p.web.Host, 81); err != nil {
			t.Fatal(err)
		}
		for _, row := range []struct {
			proto netfake.Protocol
			port  uint16
			want  netfake.Outcome
		}{
			{netfake.TCP, 81, netfake.Answered}, {netfake.TCP, 82, netfake.Refused}, {netfake.TCP, 83, netfake.Silence},
			{netfake.UDP, 81, netfake.Answered}, {netfake.UDP, 82, netfake.Refused}, {netfake.UDP, 83, netfake.Silence},
			{netfake.ICMP, 0, netfake.Silence},
		} {
			if got := agree(t, w, p.app, netfake.Endpoint{Proto: row.proto, Addr: netip.AddrPortFrom(p.web.Addr(), row.port)}); got != row.want {
				t.Errorf("%v/%d: %v, want %v", row.proto, row.port, got, row.want)
			}
		}
		p.webGroup.AllowIngress("icmp", fabricfake.Anywhere)
		if got := agree(t, w, p.app, netfake.Endpoint{Proto: netfake.ICMP, Addr: netip.AddrPortFrom(p.web.Addr(), 0)}); got != netfake.Answered {
			t.Errorf("a ping: %v", got)
		}
	})
}

var somePorts = []uint16{80, 443, 8080}

// pick draws one of a list by its index, which is all that a failure needs to print.
func pick[T any](t *rapid.T, what string, of []T) T {
	return of[rapid.IntRange(0, len(of)-1).Draw(t, what)]
}

// randomVPC draws groups, ACLs and a route to an instance that may forward or not.
func randomVPC(t *rapid.T, w *netfake.World) (hosts []*fabricfake.Instance) {
	vpc := fabricfake.NewVPC(w, "prod", "10.0.0.0/16")
	perms := rapid.SampledFrom([]string{"all", "tcp/80", "tcp/80-443", "tcp/1024-65535", "tcp", "udp/80", "udp", "udp/32768-50000", "icmp", "icmp/8"})
	blocks := rapid.SampledFrom([]string{"0.0.0.0/0", "10.0.0.0/16", "10.0.1.0/24", "10.0.2.0/24", "10.0.1.4/32"})
	groups := fabricfake.Groups{vpc.DefaultSecurityGroup(), vpc.SecurityGroup("g1"), vpc.SecurityGroup("g2")}
	for _, g := range groups[1:] {
		if rapid.Bool().Draw(t, "restrict") {
			g.RestrictEgress()
		}
		added := map[string]bool{}
		for range rapid.IntRange(0, 4).Draw(t, "rules") {
			var peer fabricfake.Peer = fabricfake.CIDR(blocks.Draw(t, "peer"))
			if rapid.IntRange(0, 2).Draw(t, "by group") == 0 {
				peer = pick(t, "group", groups)
			}
			perm, egress := perms.Draw(t, "permission"), rapid.Bool().Draw(t, "egress")
			key := fmt.Sprint(perm, peer, egress)
			if added[key] || (egress && perm == "all") {
				continue
			}
			added[key] = true
			if egress {
				g.AllowEgress(perm, peer)
			} else {
				g.AllowIngress(perm, peer)
			}
		}
	}
	for i, zone := range []string{"a", "b"} {
		s := vpc.Subnet(fmt.Sprint("s", i), fmt.Sprintf("10.0.%d.0/24", i+1), zone)
		if rapid.IntRange(0, 2).Draw(t, "own ACL") == 0 {
			s.UseACL(randomACL(t, vpc.NetworkACL(fmt.Sprint("acl", i)), perms, blocks))
		}
		for j := range 2 {
			of := fabricfake.Groups{pick(t, "group", groups)}
			if other := pick(t, "another", groups); other != of[0] {
				of = append(of, other)
			}
			h := s.Instance(fmt.Sprintf("h%d%d", i, j), fabricfake.InstanceConfig{Groups: of})
			for _, port := range rapid.SliceOfNDistinct(rapid.SampledFrom(somePorts), 0, 3, rapid.ID).Draw(t, "served") {
				if err := serve(w, h.Host, port); err != nil {
					t.Fatal(err)
				}
			}
			hosts = append(hosts, h)
		}
	}
	if rapid.IntRange(0, 5).Draw(t, "dead host") == 0 {
		hosts[3].Interface().PhysicalHost().Fail()
	}
	return hosts
}

func randomACL(t *rapid.T, a *fabricfake.NetworkACL, perms, blocks *rapid.Generator[string]) *fabricfake.NetworkACL {
	for i := range rapid.IntRange(1, 6).Draw(t, "entries") {
		edit := pick(t, "entry", []func(int, string, string) *fabricfake.NetworkACL{
			a.AllowIngress, a.AllowEgress, a.AllowIngress, a.AllowEgress, a.DenyIngress, a.DenyEgress,
		})
		edit(100+i, perms.Draw(t, "traffic"), blocks.Draw(t, "block"))
	}
	return a
}
