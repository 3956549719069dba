package gatewayfake

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/netspec-go/netspec/fabricfake"
	"github.com/netspec-go/netspec/internal/talk"
	"github.com/netspec-go/netspec/netfake"
)

// peerLife is two instances of two peers that talk with one another while somebody changes
// what lies between them.
type peerLife struct {
	*talk.Talk
	w       *netfake.World
	pcx     *Peering
	vpcs    [2]*fabricfake.VPC
	subnets [2]*fabricfake.Subnet
	groups  [2]*fabricfake.SecurityGroup
	hosts   [2]*fabricfake.Instance
	faults  []*netfake.Fault // that there have been
}

func newPeerLife(t netfake.TB, w *netfake.World, record bool) *peerLife {
	l := &peerLife{Talk: &talk.Talk{}, w: w}
	for i := range 2 {
		v := fabricfake.NewVPC(w, fmt.Sprint("v", i), fmt.Sprintf("10.%d.0.0/16", i))
		l.vpcs[i], l.subnets[i], l.groups[i] = v, v.Subnet("s", fmt.Sprintf("10.%d.1.0/24", i), "a"), v.SecurityGroup("g")
		l.hosts[i] = l.subnets[i].Instance(fmt.Sprint("i", i), fabricfake.InstanceConfig{Groups: fabricfake.Groups{l.groups[i]}})
	}
	l.connect()
	for i, h := range l.hosts {
		l.subnets[i].Route(l.vpcs[1-i].CIDR().String(), l.pcx)
		l.groups[i].AllowIngress("all", l.groups[1-i])
		answer(t, h.Host)
		l.Sides = append(l.Sides, sideOf(t, h.Host, l.hosts[1-i].Addr()))
	}
	begin(w, l.Talk, record)
	return l
}

func (l *peerLife) connect() { l.pcx = NewPeering(l.vpcs[0], l.vpcs[1], "pcx").Accept() }

// route gives both sides the routes to the peering.
func (l *peerLife) route() {
	for i, s := range l.subnets {
		s.RouteTable().ReplaceRoute(l.vpcs[1-i].CIDR().String(), l.pcx)
	}
}

// peerKinds is how many kinds of acts there are.
const peerKinds = commonKinds + 5

// do lets something happen, and what comes of it within some milliseconds.
func (l *peerLife) do(a talk.Act) {
	i := a.Which % 2
	switch a.Kind - commonKinds {
	case 0:
		l.Toggle("peering", func() { l.pcx.Delete() }, func() { l.connect(); l.route() })
	case 1:
		g := l.groups[i]
		l.Toggle(fmt.Sprint("rule", i), func() { g.AllowIngress("all", fabricfake.Anywhere) }, func() { g.RevokeIngress("all", fabricfake.Anywhere) })
	case 2:
		f, none := l.hosts[i].Interface(), fabricfake.Groups{l.vpcs[i].DefaultSecurityGroup()}
		l.Toggle(fmt.Sprint("groups", i), func() { f.SetGroups(none) }, func() { f.SetGroups(fabricfake.Groups{l.groups[i]}) })
	case 3:
		acl := l.vpcs[i].DefaultNetworkACL()
		l.Toggle(fmt.Sprint("acl", i), func() { acl.DenyIngress(1, "tcp", "0.0.0.0/0") }, func() { acl.RemoveIngress(1) })
	case 4:
		l.w.Sleep([]time.Duration{8 * time.Second, 60 * time.Second, 351 * time.Second}[a.Which%3])
	default:
		common(l.Talk, a, l.vpcs[0].Region().Mapping(), &l.faults)
	}
	l.w.Sleep(20 * time.Millisecond)
}

// seen is all that can be seen of a life.
func (l *peerLife) seen() string {
	synctest.Wait() // for those who have just been woken to read, and wait again
	hits := ""
	for _, g := range l.groups {
		for _, r := range append(g.IngressRules(), g.EgressRules()...) {
			hits += fmt.Sprintln(g.ID(), r.Permission, r.Peer, r.Hits)
		}
	}
	for _, f := range l.faults {
		hits += fmt.Sprintln(f, f.Hits())
	}
	return fmt.Sprintf("%s%v\n%v\n%s", hits, l.w.Drops(), l.w.Alarms(), l.w.Sockets())
}

// Whatever becomes of a peering, all comes over it as it does to packets that are recorded, of
// which nobody remembers anything.
func TestMemoryOfPeersIsInvisible(t *testing.T) {
	talk.Invisible(t, talk.Kinds{N: peerKinds, Quiet: commonQuiet}, func(t *rapid.T, acts []talk.Act, recorded bool) string {
		l := newPeerLife(t, netfake.New(t, netfake.Config{Seed: 1}), recorded)
		defer l.w.Close()
		for _, a := range acts {
			l.do(a)
		}
		l.w.Sleep(7 * time.Millisecond) // to an instant at which nothing is under way
		return l.seen()
	})
}
