package fabricfake_test

import (
	"context"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/netspec-go/netspec/fabricfake"
	"github.com/netspec-go/netspec/netfake"
)

// The resolver answers at two addresses, and groups, ACLs and routes have no say about it.
func TestResolverIsUnfiltered(t *testing.T) {
	const base, linkLocal = "10.0.0.2", "169.254.169.253"
	nothing := func(*place) {}
	for _, row := range []struct {
		name, addr string
		change     func(p *place)
		outcome    netfake.Outcome
		blocker    string
	}{
		// fact: service.dns.base
		{"at the block's base plus two", base, nothing, netfake.Answered, ""},
		// fact: service.dns.linklocal
		{"at its link-local address", linkLocal, nothing, netfake.Answered, ""},
		// fact: subnet.resolver
		{"at the third address of a subnet", "10.0.1.2", nothing, netfake.Silence, "mapping NO_POSSIBLE_DESTINATION"},
		// fact: subnet.resolver
		{"at the third address of a secondary block", "100.64.0.2", func(p *place) { p.vpc.AddCIDR("100.64.0.0/16") }, netfake.Silence, "mapping NO_POSSIBLE_DESTINATION"},
		// fact: sg.unfiltered.dns
		{"for an interface whose groups let nothing through", base, func(p *place) { p.appGroup.RestrictEgress() }, netfake.Answered, ""},
		{"which let nothing through to others", "10.0.2.4", func(p *place) { p.appGroup.RestrictEgress() }, netfake.Silence, "sg app egress SG_HAS_NO_RULES"},
		// fact: acl.unfiltered.dns
		{"for a subnet whose ACL lets nothing through", base, func(p *place) { p.front.UseACL(p.vpc.NetworkACL("shut")) }, netfake.Answered, ""},
		{"which lets nothing through to others", "10.0.2.4", func(p *place) { p.front.UseACL(p.vpc.NetworkACL("shut")) }, netfake.Silence, "acl shut egress SUBNET_ACL_RESTRICTION"},
		// fact: rtb.linklocal, rtb.refused.larger
		{"where a route leads elsewhere", linkLocal, routeAway("169.254.0.0/16"), netfake.Answered, ""},
		// fact: rtb.refused.larger
		{"beside it, where the route leads into the void", "169.254.100.1", routeAway("169.254.0.0/16"), netfake.Silence, "rtb front BAD_STATE_ROUTE"},
	} {
		netfake.Run(t, func(t *testing.T, w *netfake.World) {
			p := newPlace(t, w)
			p.webGroup.AllowIngress("udp/53", fabricfake.Anywhere)
			attachEcho(t, w, p.vpc)
			if err := serve(w, p.web.Host, 53); err != nil {
				t.Fatal(err)
			}
			row.change(p)
			to := netfake.Endpoint{Proto: netfake.UDP, Addr: netip.AddrPortFrom(netip.MustParseAddr(row.addr), 53)}
			p.wants(t, row.name, to, row.outcome, row.blocker)
		})
	}
}

// attachEcho attaches a resolver that answers each question with what was asked, from the
// address that it was asked at.
func attachEcho(t *testing.T, w *netfake.World, v *fabricfake.VPC) {
	t.Helper()
	h := w.NewHost("resolver of "+v.Name(), v.Place())
	v.AttachResolver(h)
	for _, addr := range []string{v.CIDR().Addr().Next().Next().String(), "169.254.169.253"} {
		c, err := h.ListenPacket("udp", addr+":53")
		if err != nil {
			t.Fatal(err)
		}
		w.Go(func(context.Context) {
			b := make([]byte, 100)
			for {
				n, from, err := c.ReadFrom(b)
				if err != nil {
					return
				}
				c.WriteTo(b[:n], from)
			}
		})
	}
}

// routeAway routes a block of app's subnet to an appliance that goes away.
func routeAway(block string) func(p *place) {
	return func(p *place) {
		a := newAppliance(p.vpc)
		p.front.Route(block, a)
		a.gone = true
	}
}

// Flow logs know nothing of the resolver's traffic, and all of others'.
func TestFlowLogWithoutResolver(t *testing.T) {
	for _, row := range []struct {
		name, to string
		want     string
	}{
		// fact: log.unlogged.dns
		{"the resolver", "172.31.0.2:53", "- - NODATA"},
		{"another instance", "172.31.32.21:22", "172.31.32.21 22 OK, 172.31.16.139 1000 OK"},
	} {
		netfake.Run(t, func(t *testing.T, w *netfake.World) {
			p := newPair(t, w)
			p.group.AllowIngress("udp/22", fabricfake.Anywhere)
			attachEcho(t, w, p.vpc)
			log := p.one.Interface().FlowLog("log", fabricfake.FlowLogConfig{Format: "${dstaddr} ${dstport} ${log-status}"})
			c, err := p.one.ListenPacket("udp", ":1000")
			if err != nil {
				t.Fatal(err)
			}
			c.WriteTo([]byte("x"), net.UDPAddrFromAddrPort(netip.MustParseAddrPort(row.to)))
			c.SetReadDeadline(time.Now().Add(time.Second))
			if _, _, err := c.ReadFrom(make([]byte, 1)); err != nil {
				t.Errorf("%s: %v", row.name, err)
			}
			w.Sleep(time.Minute)
			if got := strings.Join(log.Lines(), ", "); got != row.want {
				t.Errorf("%s: records %s, want %s", row.name, got, row.want)
			}
		})
	}
}

// Metadata and time are never mirrored, whatever the filter says of the resolver; what is
// said to others is.
func TestMirrorWithoutServices(t *testing.T) {
	for _, row := range []struct {
		name, to string
		want     int // copies of a datagram or a SYN
	}{
		// fact: mirror.never
		{"time", "169.254.169.123:123", 0},
		// fact: mirror.never
		{"metadata", "169.254.169.254:80", 0},
		{"another instance", "172.31.32.21:22", 1},
	} {
		netfake.Run(t, func(t *testing.T, w *netfake.World) {
			p := newPair(t, w)
			m := newMonitor(t, p.a, "monitor")
			p.one.Interface().Mirror("session", fabricfake.MirrorConfig{Target: m.Interface(), Filter: fabricfake.MirrorFilter{Egress: everything, Resolver: fabricfake.ServiceMirrored}})
			p.one.Interface().Inject(datagram("172.31.16.139:1000", row.to, "x"))
			if got := len(m.copies(t)); got != row.want {
				t.Errorf("%s: %d copies, want %d", row.name, got, row.want)
			}
		})
	}
}
