package gatewayfake_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/netspec-go/netspec/fabricfake"
	"github.com/netspec-go/netspec/gatewayfake"
	"github.com/netspec-go/netspec/internal/faketb"
	"github.com/netspec-go/netspec/netfake"
)

// peerable is two VPCs without a peering, and a test that fails where one cannot be.
type peerable struct {
	tb   *faketb.TB
	w    *netfake.World
	a, b *fabricfake.VPC
}

func buildPeerable(t *testing.T) *peerable {
	x := &peerable{tb: faketb.New(t)}
	x.w = netfake.New(x.tb, netfake.Config{})
	x.a, x.b = fabricfake.NewVPC(x.w, "a", "10.3.0.0/16").AddIPv6(""), fabricfake.NewVPC(x.w, "b", "10.1.0.0/16").AddIPv6("")
	return x
}

// want tries f, which fails with a text that contains want, or does not if that is "".
func (x *peerable) want(t *testing.T, name, want string, f func()) {
	t.Helper()
	if got := x.tb.Try(f); want == "" && got != "" || !strings.Contains(got, want) {
		t.Errorf("%s: fails with %q, want %q", name, got, want)
	}
}

// Statuses, and which steps lead from each: every other one is refused.
// fact: pcx.lifecycle, code.pcx.state
func TestPeeringLifecycle(t *testing.T) {
	type pcx = *gatewayfake.Peering
	steps := map[string]func(p pcx){"accepted": func(p pcx) { p.Accept() }, "rejected": pcx.Reject, "deleted": pcx.Delete}
	accept, expire := steps["accepted"], func(p pcx) { p.Requester().World().Sleep(gatewayfake.PeeringLifetime) }
	almost := func(p pcx) { p.Requester().World().Sleep(gatewayfake.PeeringLifetime - 1) }
	overlap := func(p pcx) { p.Accepter().AddCIDR("10.3.8.0/24") }
	apart := func(p pcx) { p.Accepter().AddCIDR("10.4.8.0/24") }
	all := []string{"accepted", "rejected", "deleted"}
	for _, row := range []struct {
		name   string
		before []func(p pcx)
		status gatewayfake.PeeringStatus
		then   []string // what can follow
	}{
		{"requested", nil, gatewayfake.PeeringPendingAcceptance, all},
		// fact: pcx.expiry
		{"almost expired", []func(pcx){almost}, gatewayfake.PeeringPendingAcceptance, all},
		// fact: pcx.expiry
		{"expired", []func(pcx){expire}, gatewayfake.PeeringExpired, nil},
		{"accepted", []func(pcx){accept}, gatewayfake.PeeringActive, []string{"deleted"}},
		{"accepted at last", []func(pcx){almost, accept, expire}, gatewayfake.PeeringActive, []string{"deleted"}},
		{"rejected", []func(pcx){pcx.Reject}, gatewayfake.PeeringRejected, nil},
		{"rejected long ago", []func(pcx){pcx.Reject, expire}, gatewayfake.PeeringRejected, nil},
		{"deleted", []func(pcx){accept, pcx.Delete}, gatewayfake.PeeringDeleted, nil},
		{"taken back", []func(pcx){pcx.Delete, expire}, gatewayfake.PeeringDeleted, nil},
		// fact: vpc.secondary.pending
		{"the accepter adds a block that overlaps", []func(pcx){overlap}, gatewayfake.PeeringFailed, nil},
		{"long ago", []func(pcx){overlap, expire}, gatewayfake.PeeringFailed, nil},
		// fact: vpc.secondary.pending
		{"it adds another block", []func(pcx){apart}, gatewayfake.PeeringPendingAcceptance, all},
	} {
		for step, do := range steps {
			netfake.Run(t, func(t *testing.T, _ *netfake.World) {
				x := buildPeerable(t)
				p := gatewayfake.NewPeering(x.a, x.b, "pcx")
				for _, f := range row.before {
					f(p)
				}
				if got := p.Status(); got != row.status || p.Attached() != (got == gatewayfake.PeeringActive) {
					t.Errorf("%s: %v, want %v", row.name, got, row.status)
				}
				want := "InvalidStateTransition: the peering pcx "
				if slices.Contains(row.then, step) {
					want = ""
				}
				x.want(t, row.name+", then "+step, want, func() { do(p) })
			})
		}
	}
}

// What can be requested, and what cannot.
func TestPeeringRequests(t *testing.T) {
	for _, row := range []struct {
		name string
		do   func(x *peerable)
		want string // "": accepted
	}{
		{"one", func(x *peerable) { gatewayfake.NewPeering(x.a, x.b, "pcx") }, ""},
		{"without a VPC", func(x *peerable) { gatewayfake.NewPeering(x.a, nil, "pcx") }, "InvalidVpcID.NotFound"},
		{"by no VPC", func(x *peerable) { gatewayfake.NewPeering(nil, x.a, "pcx") }, "InvalidVpcID.NotFound"},
		{"without a name", func(x *peerable) { gatewayfake.NewPeering(x.a, x.b, "") }, "InvalidParameterValue"},
		{"with itself", func(x *peerable) { gatewayfake.NewPeering(x.a, x.a, "pcx") }, "InvalidParameterValue"},
		{"between regions", func(x *peerable) {
			gatewayfake.NewPeering(x.a, fabricfake.NewRegion(x.w, "eu-central-1", netfake.Frankfurt).VPC("c", "10.7.0.0/16"), "pcx")
		}, "vpc a is in region ap-southeast-2, vpc c in eu-central-1: peerings between regions are not modelled"},

		// Two VPCs have one at a time.
		// fact: pcx.one, code.pcx.exists
		{"a second one", func(x *peerable) {
			gatewayfake.NewPeering(x.a, x.b, "pcx")
			gatewayfake.NewPeering(x.b, x.a, "pcx-2")
		}, "VpcPeeringConnectionAlreadyExists: vpc b and vpc a have the peering pcx, which is pending-acceptance"},
		// fact: pcx.one
		{"after the first was rejected", func(x *peerable) {
			gatewayfake.NewPeering(x.a, x.b, "pcx").Reject()
			gatewayfake.NewPeering(x.b, x.a, "pcx")
		}, ""},
		{"after the first has expired", func(x *peerable) {
			gatewayfake.NewPeering(x.a, x.b, "pcx")
			x.w.Sleep(gatewayfake.PeeringLifetime)
			gatewayfake.NewPeering(x.b, x.a, "pcx")
		}, ""},
		{"with a third VPC", func(x *peerable) {
			gatewayfake.NewPeering(x.a, x.b, "pcx")
			gatewayfake.NewPeering(x.b, fabricfake.NewVPC(x.w, "c", "10.7.0.0/16"), "pcx-2")
		}, ""},
		{"of a name that one of the VPCs has", func(x *peerable) {
			gatewayfake.NewPeering(x.a, x.b, "pcx")
			gatewayfake.NewPeering(x.b, fabricfake.NewVPC(x.w, "c", "10.7.0.0/16"), "pcx")
		}, "InvalidParameterValue: vpc a and vpc b have the peering pcx already"},

		// Blocks of the two do not overlap, whichever they are.
		// fact: pcx.overlap
		{"blocks that overlap", func(x *peerable) {
			gatewayfake.NewPeering(x.a, fabricfake.NewVPC(x.w, "c", "10.3.128.0/17"), "pcx").Accept()
		}, "InvalidStateTransition: the peering pcx has failed and cannot be accepted: 10.3.0.0/16 of vpc a overlaps 10.3.128.0/17 of vpc c"},
		// fact: pcx.overlap
		{"a secondary block that overlaps", func(x *peerable) {
			gatewayfake.NewPeering(x.a, x.b.AddCIDR("10.3.1.0/24"), "pcx").Accept()
		}, "10.3.0.0/16 of vpc a overlaps 10.3.1.0/24 of vpc b"},
		{"a secondary block that does not", func(x *peerable) {
			gatewayfake.NewPeering(x.a, x.b.AddCIDR("10.4.1.0/24"), "pcx").Accept()
		}, ""},
		// fact: vpc.secondary.peering
		{"and one that is added later", func(x *peerable) {
			gatewayfake.NewPeering(x.a, x.b, "pcx").Accept()
			x.a.AddCIDR("10.4.0.0/16")
		}, ""},
		// fact: vpc.secondary.peering
		{"but not if it overlaps", func(x *peerable) {
			gatewayfake.NewPeering(x.a, x.b, "pcx").Accept()
			x.a.AddCIDR("10.1.8.0/24")
		}, "InvalidVpcRange: 10.1.8.0/24 overlaps 10.1.0.0/16 of vpc b, which is a peer"},
		// fact: vpc.secondary.pending
		{"the requester adds a block while it waits", func(x *peerable) {
			gatewayfake.NewPeering(x.a, x.b, "pcx")
			x.a.AddCIDR("10.4.0.0/16")
		}, "InvalidStateTransition"},
		{"one of IPv6", func(x *peerable) {
			gatewayfake.NewPeering(x.a, x.b, "pcx")
			x.a.AddIPv6("")
		}, "InvalidStateTransition"},
		{"once it has waited in vain", func(x *peerable) {
			gatewayfake.NewPeering(x.a, x.b, "pcx")
			x.w.Sleep(gatewayfake.PeeringLifetime)
			x.a.AddCIDR("10.4.0.0/16")
		}, ""},
		{"any block once it is deleted", func(x *peerable) {
			gatewayfake.NewPeering(x.a, x.b, "pcx").Accept().Delete()
			x.a.AddCIDR("10.1.8.0/24")
		}, ""},

		// Routes are those of the two VPCs.
		{"a route of a third VPC", func(x *peerable) {
			p := gatewayfake.NewPeering(x.a, x.b, "pcx").Accept()
			fabricfake.NewVPC(x.w, "c", "10.7.0.0/16").MainRouteTable().Route("10.1.0.0/16", p)
		}, "rtb main of c and pcx belong to different networks"},
		{"of the accepter", func(x *peerable) {
			x.b.MainRouteTable().Route("10.3.0.0/16", gatewayfake.NewPeering(x.a, x.b, "pcx").Accept())
		}, ""},
		{"to a prefix list", func(x *peerable) {
			list := x.a.Region().PrefixList("theirs", 2, "10.1.0.0/16")
			x.a.MainRouteTable().RoutePrefixList(list, gatewayfake.NewPeering(x.a, x.b, "pcx").Accept())
		}, ""},
		// fact: pcx.routes.pending
		{"before it has accepted", func(x *peerable) {
			x.b.MainRouteTable().Route("10.3.0.0/16", gatewayfake.NewPeering(x.a, x.b, "pcx"))
		}, ""},
		{"once the request has expired", func(x *peerable) {
			p := gatewayfake.NewPeering(x.a, x.b, "pcx")
			x.w.Sleep(gatewayfake.PeeringLifetime)
			x.b.MainRouteTable().Route("10.3.0.0/16", p)
		}, "pcx is not attached"},
		{"to what lies in the VPC itself", func(x *peerable) {
			p := gatewayfake.NewPeering(x.a, x.b, "pcx").Accept()
			x.b.Subnet("s", "10.1.8.0/24", "a").Route("10.1.8.0/24", p)
		}, "10.1.8.0/24 lies in 10.1.0.0/16 of the VPC itself"},
	} {
		netfake.Run(t, func(t *testing.T, _ *netfake.World) {
			x := buildPeerable(t)
			x.want(t, row.name, row.want, func() { row.do(x) })
		})
	}
}

// Rules name groups of peers, as long as they are.
func TestPeeringReferences(t *testing.T) {
	for _, row := range []struct {
		name string
		do   func(x *peerable, mine, theirs *fabricfake.SecurityGroup)
		want string // "": accepted
	}{
		// fact: sg.reference.peer
		{"a peer's", func(x *peerable, mine, theirs *fabricfake.SecurityGroup) {
			gatewayfake.NewPeering(x.b, x.a, "pcx").Accept()
			mine.AllowIngress("tcp/9", theirs).AllowEgress("tcp/9", theirs)
		}, ""},
		// fact: sg.reference.peer
		{"of no peer", func(x *peerable, mine, theirs *fabricfake.SecurityGroup) {
			mine.AllowIngress("tcp/9", theirs)
		}, "InvalidGroup.NotFound: sg theirs is a group of vpc b, which is no peer of vpc a"},
		{"of no peer, for the way out", func(x *peerable, mine, theirs *fabricfake.SecurityGroup) {
			mine.AllowEgress("tcp/9", theirs)
		}, "InvalidGroup.NotFound"},
		{"of one that has yet to accept", func(x *peerable, mine, theirs *fabricfake.SecurityGroup) {
			gatewayfake.NewPeering(x.a, x.b, "pcx")
			mine.AllowIngress("tcp/9", theirs)
		}, "InvalidGroup.NotFound"},
		{"of one that was a peer", func(x *peerable, mine, theirs *fabricfake.SecurityGroup) {
			gatewayfake.NewPeering(x.a, x.b, "pcx").Accept().Delete()
			mine.AllowIngress("tcp/9", theirs)
		}, "InvalidGroup.NotFound"},
		{"of a peer's peer", func(x *peerable, mine, theirs *fabricfake.SecurityGroup) {
			c := fabricfake.NewVPC(x.w, "c", "10.7.0.0/16")
			gatewayfake.NewPeering(x.a, c, "ac").Accept()
			gatewayfake.NewPeering(c, x.b, "cb").Accept()
			mine.AllowIngress("tcp/9", theirs)
		}, "InvalidGroup.NotFound"},
		{"for an instance", func(x *peerable, mine, theirs *fabricfake.SecurityGroup) {
			gatewayfake.NewPeering(x.a, x.b, "pcx").Accept()
			x.a.Subnet("s", "10.3.1.0/24", "a").Instance("i", fabricfake.InstanceConfig{Groups: fabricfake.Groups{theirs}})
		}, "InvalidGroup.NotFound"},
		// fact: sg.delete.peer
		{"one that is named can be deleted, and the rule revoked", func(x *peerable, mine, theirs *fabricfake.SecurityGroup) {
			gatewayfake.NewPeering(x.a, x.b, "pcx").Accept()
			mine.AllowIngress("tcp/9", theirs)
			theirs.Delete()
			mine.RevokeIngress("tcp/9", theirs)
		}, ""},
		{"but not named again", func(x *peerable, mine, theirs *fabricfake.SecurityGroup) {
			gatewayfake.NewPeering(x.a, x.b, "pcx").Accept()
			mine.AllowIngress("tcp/9", theirs)
			theirs.Delete()
			mine.AllowIngress("tcp/10", theirs)
		}, "InvalidGroup.NotFound: sg theirs was deleted"},
		// fact: sg.reference.stale
		{"so can one whose peering is over", func(x *peerable, mine, theirs *fabricfake.SecurityGroup) {
			p := gatewayfake.NewPeering(x.a, x.b, "pcx").Accept()
			mine.AllowIngress("tcp/9", theirs)
			p.Delete()
			theirs.Delete()
			mine.RevokeIngress("tcp/9", theirs)
		}, ""},
	} {
		netfake.Run(t, func(t *testing.T, _ *netfake.World) {
			x := buildPeerable(t)
			x.want(t, row.name, row.want, func() { row.do(x, x.a.SecurityGroup("mine"), x.b.SecurityGroup("theirs")) })
		})
	}
}

// Quotas of peerings, at their defaults and raised.
func TestPeeringQuotas(t *testing.T) {
	for _, row := range []struct {
		name   string
		quotas fabricfake.Quotas
		n      int
		accept bool
		want   string // what the last of n fails with
	}{
		// fact: pcx.quota.requests
		{"requests", fabricfake.Quotas{}, 25, false, ""},
		// fact: pcx.quota.requests
		{"a request too many", fabricfake.Quotas{}, 26, false, "OutstandingVpcPeeringConnectionLimitExceeded: 25 requests"},
		{"with a higher quota", fabricfake.Quotas{PeeringRequests: 26}, 26, false, ""},
		// fact: pcx.quota
		{"peers", fabricfake.Quotas{}, 50, true, ""},
		// fact: pcx.quota
		{"a peer too many", fabricfake.Quotas{}, 51, true, "ActiveVpcPeeringConnectionPerVpcLimitExceeded: vpc a has 50 peers"},
		{"with a higher quota", fabricfake.Quotas{PeeringsPerVPC: 51}, 51, true, ""},
	} {
		netfake.Run(t, func(t *testing.T, _ *netfake.World) {
			x := buildPeerable(t)
			row.quotas.VPCs = 100
			x.a.Region().SetQuotas(row.quotas)
			for n := range row.n {
				want := ""
				if n == row.n-1 {
					want = row.want
				}
				x.want(t, row.name, want, func() {
					v := fabricfake.NewVPC(x.w, fmt.Sprint("v", n), fmt.Sprintf("10.%d.0.0/16", n+10))
					if p := gatewayfake.NewPeering(x.a, v, v.Name()); row.accept {
						p.Accept()
					}
				})
			}
		})
	}
}
