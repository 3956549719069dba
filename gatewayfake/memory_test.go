package gatewayfake

import (
	"fmt"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/netspec-go/netspec/fabricfake"
	"github.com/netspec-go/netspec/internal/talk"
	"github.com/netspec-go/netspec/netfake"
)

// life is a private and a public instance that talk to a site while somebody changes what
// lies between them.
type life struct {
	*talk.Talk
	w     *netfake.World
	site  *netfake.Host
	hosts [2]*fabricfake.Instance
	nat   *NATGateway
	igw   *InternetGateway
	eip   *ElasticIP // of the public one
}

func newLife(t netfake.TB, w *netfake.World, record bool) *life {
	l := &life{Talk: &talk.Talk{}, w: w, site: w.Internet().Host("site", "203.0.113.80")}
	vpc := fabricfake.NewVPC(w, "prod", "10.0.0.0/16")
	public, private := vpc.Subnet("public", "10.0.0.0/24", "a"), vpc.Subnet("private", "10.0.1.0/24", "a")
	l.igw = NewInternetGateway(vpc, "igw")
	public.Route("0.0.0.0/0", l.igw)
	l.nat, l.eip = NewNATGateway(public, "nat", NewElasticIP(vpc)), NewElasticIP(vpc)
	private.Route("0.0.0.0/0", l.nat)
	l.hosts = [2]*fabricfake.Instance{private.Instance("app", fabricfake.InstanceConfig{}), public.Instance("web", fabricfake.InstanceConfig{})}
	l.eip.Associate(l.hosts[1].Interface())
	answer(t, l.site)
	for i, h := range l.hosts {
		l.Sides[i] = sideOf(t, h.Host, l.site)
	}
	begin(w, l.Talk, record)
	return l
}

// kinds is how many kinds of acts there are.
const kinds = commonKinds + 4

// do lets something happen, and what comes of it within some milliseconds.
func (l *life) do(a talk.Act) {
	site := netip.MustParseAddr("203.0.113.80")
	switch a.Kind - commonKinds {
	case 0:
		l.Toggle("elastic IP", l.eip.Disassociate, func() { l.eip.Associate(l.hosts[1].Interface()) })
	case 1:
		l.Toggle("site", func() { l.site.Uplink().Withdraw(site) }, func() { l.site.Uplink().Announce(site) })
	case 2:
		l.w.Sleep([]time.Duration{8 * time.Second, 349 * time.Second, 351 * time.Second}[a.Which%3])
	case 3:
		if a.Which == 0 {
			l.nat.Delete()
		}
	default:
		common(l.Talk, a, l.hosts[0].Interface().VPC().Region().Mapping())
	}
	l.w.Sleep(20 * time.Millisecond)
}

// seen is all that can be seen of a life.
func (l *life) seen() string {
	synctest.Wait() // for those who have just been woken to read, and wait again
	return fmt.Sprintf("%+v\n%v\n%v\n%+v\n%s", l.nat.Stats(), l.w.Drops(), l.w.Alarms(), l.site.Uplink().Link().Stats(), l.w.Sockets())
}

// Whatever happens, all comes as it does to packets that are recorded, of which gateways and
// the internet remember nothing.
func TestMemoryIsInvisible(t *testing.T) {
	talk.Invisible(t, kinds, func(t *rapid.T, acts []talk.Act, recorded bool) string {
		l := newLife(t, netfake.New(t, netfake.Config{Seed: 1}), recorded)
		defer l.w.Close()
		for _, a := range acts {
			l.do(a)
		}
		return l.seen()
	})
}

// Of what that property compares something is remembered: who may send through the NAT
// gateway, and the counterparts of addresses both ways.
func TestGatewaysRemember(t *testing.T) {
	netfake.RunConfig(t, netfake.Config{Seed: 1}, func(t *testing.T, w *netfake.World) {
		l := newLife(t, w, false)
		for _, a := range []talk.Act{{Kind: 0, Which: 0}, {Kind: 0, Which: 1}} {
			l.do(a)
		}
		var senders, leaving, entering uint64
		l.nat.out.each(func(t *translation) { senders += min(t.sender, 1) })
		for i := range l.igw.leaving {
			leaving += min(l.igw.leaving[i].changes, 1)
			entering += min(l.igw.entering[i].changes, 1)
		}
		if senders != 1 || leaving != 2 || entering != 2 {
			t.Errorf("%d senders, %d addresses that leave and %d that enter are remembered, want 1, 2 and 2", senders, leaving, entering)
		}
	})
}
