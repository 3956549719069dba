package fabricfake_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/netspec-go/netspec/fabricfake"
	"github.com/netspec-go/netspec/netfake"
)

// serve answers everything that comes to a TCP and a UDP port of a host.
func serve(w *netfake.World, h *netfake.Host, port uint16) error {
	l, err := h.Listen("tcp", fmt.Sprint(":", port))
	if err != nil {
		return err
	}
	u, err := h.ListenPacket("udp", fmt.Sprint(":", port))
	if err != nil {
		return err
	}
	w.Go(func(context.Context) {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			w.Go(func(context.Context) { io.Copy(c, c); c.Close() })
		}
	})
	w.Go(func(context.Context) {
		b := make([]byte, 100)
		for {
			n, from, err := u.ReadFrom(b)
			if err != nil {
				return
			}
			u.WriteTo(b[:n], from)
		}
	})
	return nil
}

// patience is how long a caller waits before it calls it silence. SYNs are sent at 0, 1
// and 3 s.
const patience = 2500 * time.Millisecond

// call does what a probe asks about, and returns what the caller saw and the first drop
// on the way.
func call(w *netfake.World, h *netfake.Host, to netfake.Endpoint) (netfake.Outcome, *netfake.Hop, error) {
	rec := w.Record(nil)
	defer rec.Stop()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	err := converse(ctx, h, to)
	var first *netfake.Hop
	for _, t := range rec.Traces() {
		if first = t.Blocker(); first != nil {
			break
		}
	}
	switch {
	case err == nil:
		return netfake.Answered, first, nil
	case errors.Is(err, syscall.ECONNREFUSED):
		return netfake.Refused, first, nil
	case isTimeout(err):
		return netfake.Silence, first, nil
	}
	return netfake.Silence, first, err
}

func isTimeout(err error) bool {
	var timeout net.Error
	return errors.As(err, &timeout) && timeout.Timeout() || strings.HasSuffix(err.Error(), "no reply")
}

func converse(ctx context.Context, h *netfake.Host, to netfake.Endpoint) error {
	if to.Proto == netfake.ICMP {
		_, err := h.Ping(ctx, to.Addr.Addr())
		return err
	}
	c, err := h.DialContext(ctx, to.Proto.String(), to.Addr.String())
	if err != nil {
		return err
	}
	defer c.Close()
	deadline, _ := ctx.Deadline()
	c.SetDeadline(deadline)
	c.Write([]byte("x"))
	_, err = c.Read(make([]byte, 1))
	return err
}

// place is a VPC in which app, in one subnet, calls web, in another.
type place struct {
	w                  *netfake.World
	vpc                *fabricfake.VPC
	front, back        *fabricfake.Subnet
	appGroup, webGroup *fabricfake.SecurityGroup
	app, web           *fabricfake.Instance
}

func newPlace(t netfake.TB, w *netfake.World) *place {
	vpc := fabricfake.NewVPC(w, "prod", "10.0.0.0/16")
	p := &place{w: w, vpc: vpc}
	p.front, p.back = vpc.Subnet("front", "10.0.1.0/24", "a"), vpc.Subnet("back", "10.0.2.0/24", "b")
	p.appGroup, p.webGroup = vpc.SecurityGroup("app"), vpc.SecurityGroup("web")
	p.app = p.front.Instance("app", fabricfake.InstanceConfig{Groups: fabricfake.Groups{p.appGroup}})
	p.web = p.back.Instance("web", fabricfake.InstanceConfig{Groups: fabricfake.Groups{p.webGroup}})
	if err := serve(w, p.web.Host, 80); err != nil {
		t.Fatalf("%v", err)
	}
	return p
}

// Every row is dialled and probed, and both must say the same.
func TestReachability(t *testing.T) {
	type where = func(p *place) netfake.Endpoint
	port := func(proto netfake.Protocol, n uint16) where {
		return func(p *place) netfake.Endpoint {
			return netfake.Endpoint{Proto: proto, Addr: netip.AddrPortFrom(p.web.Addr(), n), Host: p.web.Host}
		}
	}
	tcp80 := port(netfake.TCP, 80)
	for _, row := range []struct {
		rule    string
		given   func(p *place)
		to      where
		outcome netfake.Outcome
		blocker string // whose stage, and which code
	}{
		// A new group lets nothing in; an empty set of rules is said to be empty.
		// fact: sg.new.ingress, order.silent
		{"no ingress rule", func(p *place) {}, tcp80, netfake.Silence, "sg web ingress SG_HAS_NO_RULES"},
		// fact: sg.proto.ports
		{"a rule for the port", func(p *place) { p.webGroup.AllowIngress("tcp/80", fabricfake.Anywhere) }, tcp80, netfake.Answered, ""},
		// fact: sg.proto.ports
		{"a rule for another port", func(p *place) { p.webGroup.AllowIngress("tcp/81", fabricfake.Anywhere) }, tcp80, netfake.Silence, "sg web ingress ENI_SG_RULES_MISMATCH"},
		{"a rule for another protocol", func(p *place) { p.webGroup.AllowIngress("udp/80", fabricfake.Anywhere) }, tcp80, netfake.Silence, "sg web ingress ENI_SG_RULES_MISMATCH"},
		// fact: sg.reference
		{"a rule for the sender's group", func(p *place) { p.webGroup.AllowIngress("tcp/80", p.appGroup) }, tcp80, netfake.Answered, ""},
		// fact: sg.reference
		{"a rule for a group that the sender has not", func(p *place) { p.webGroup.AllowIngress("tcp/80", p.webGroup) }, tcp80, netfake.Silence, "sg web ingress ENI_SG_RULES_MISMATCH"},
		{"a rule for the sender's address", func(p *place) { p.webGroup.AllowIngress("tcp/80", fabricfake.CIDR("10.0.1.4/32")) }, tcp80, netfake.Answered, ""},
		{"a rule for the address beside", func(p *place) { p.webGroup.AllowIngress("tcp/80", fabricfake.CIDR("10.0.1.5/32")) }, tcp80, netfake.Silence, "sg web ingress ENI_SG_RULES_MISMATCH"},

		// The default group's members talk with one another, and with nobody else.
		// fact: sg.default.members, sg.reference.self
		{"both in the default group", func(p *place) {
			p.app.Interface().SetGroups(fabricfake.Groups{p.vpc.DefaultSecurityGroup()})
			p.web.Interface().SetGroups(fabricfake.Groups{p.vpc.DefaultSecurityGroup()})
		}, tcp80, netfake.Answered, ""},
		// fact: sg.default.members
		{"one in the default group", func(p *place) {
			p.web.Interface().SetGroups(fabricfake.Groups{p.vpc.DefaultSecurityGroup()})
		}, tcp80, netfake.Silence, "sg default ingress ENI_SG_RULES_MISMATCH"},
		// fact: sg.allow
		{"several groups: one that allows is enough", func(p *place) {
			open := p.vpc.SecurityGroup("open").AllowIngress("all", fabricfake.Anywhere)
			p.web.Interface().SetGroups(fabricfake.Groups{p.webGroup, open})
		}, tcp80, netfake.Answered, ""},

		// Egress rules count for the sender; a new group lets everything out.
		{"egress taken back", func(p *place) { allowWeb(p); p.appGroup.RestrictEgress() }, tcp80, netfake.Silence, "sg app egress SG_HAS_NO_RULES"},
		{"egress to the port", func(p *place) {
			allowWeb(p)
			p.appGroup.RestrictEgress().AllowEgress("tcp/80", p.webGroup)
		}, tcp80, netfake.Answered, ""},
		// Groups are stateful: the receiver needs no egress rule to answer.
		// fact: ct.reply
		{"the receiver's egress taken back", func(p *place) { allowWeb(p); p.webGroup.RestrictEgress() }, tcp80, netfake.Answered, ""},

		// ACLs are stateless and numbered: the first entry that matches decides.
		// fact: acl.custom, order.silent
		{"an ACL without entries", func(p *place) { allowWeb(p); p.back.UseACL(p.vpc.NetworkACL("x")) }, tcp80, netfake.Silence, "acl x ingress SUBNET_ACL_RESTRICTION"},
		// fact: acl.stateless, acl.border
		{"in, but not out: the answer is lost", func(p *place) {
			allowWeb(p)
			p.back.UseACL(p.vpc.NetworkACL("x").AllowIngress(100, "tcp/80", "10.0.1.0/24"))
		}, tcp80, netfake.Silence, "acl x egress SUBNET_ACL_RESTRICTION"},
		// fact: acl.stateless, acl.ephemeral
		{"in, and out to the ephemeral ports", func(p *place) {
			allowWeb(p)
			p.back.UseACL(p.vpc.NetworkACL("x").AllowIngress(100, "tcp/80", "10.0.1.0/24").AllowEgress(100, "tcp/1024-65535", "10.0.1.0/24"))
		}, tcp80, netfake.Answered, ""},
		// fact: acl.port
		{"out to the port of the service only", func(p *place) {
			allowWeb(p)
			p.back.UseACL(p.vpc.NetworkACL("x").AllowIngress(100, "tcp/80", "10.0.1.0/24").AllowEgress(100, "tcp/80", "10.0.1.0/24"))
		}, tcp80, netfake.Silence, "acl x egress SUBNET_ACL_RESTRICTION"},
		// fact: acl.order
		{"a denial before the permission", func(p *place) {
			allowWeb(p)
			p.front.UseACL(p.vpc.NetworkACL("x").DenyEgress(90, "tcp/80", "10.0.2.0/24").AllowEgress(100, "all", "0.0.0.0/0").AllowIngress(100, "all", "0.0.0.0/0"))
		}, tcp80, netfake.Silence, "acl x egress SUBNET_ACL_RESTRICTION"},
		// fact: acl.order
		{"a denial after the permission", func(p *place) {
			allowWeb(p)
			p.front.UseACL(p.vpc.NetworkACL("x").DenyEgress(110, "tcp/80", "10.0.2.0/24").AllowEgress(100, "all", "0.0.0.0/0").AllowIngress(100, "all", "0.0.0.0/0"))
		}, tcp80, netfake.Answered, ""},
		// Inside a subnet no ACL applies.
		// fact: acl.inside, order.samesubnet
		{"an ACL without entries, inside the subnet", func(p *place) {
			allowWeb(p)
			p.app = p.back.Instance("neighbour", fabricfake.InstanceConfig{})
			p.back.UseACL(p.vpc.NetworkACL("x"))
		}, tcp80, netfake.Answered, ""},

		// Routes: the local one is there; nothing leads outside until one is added.
		// fact: rtb.none
		{"an address outside the VPC", func(p *place) {}, func(*place) netfake.Endpoint {
			return netfake.Endpoint{Proto: netfake.TCP, Addr: netip.MustParseAddrPort("192.0.2.1:80")}
		}, netfake.Silence, "rtb main of prod NO_ROUTE_TO_DESTINATION"},
		// fact: isolation.unknown, walk.lookup
		{"an address that nobody has", func(p *place) {}, func(*place) netfake.Endpoint {
			return netfake.Endpoint{Proto: netfake.TCP, Addr: netip.MustParseAddrPort("10.0.2.99:80")}
		}, netfake.Silence, "mapping NO_POSSIBLE_DESTINATION"},

		// What a port that is closed says comes back as an answer does.
		{"a closed port", func(p *place) { p.webGroup.AllowIngress("tcp/81", fabricfake.Anywhere) }, port(netfake.TCP, 81), netfake.Refused, "web ingress"},
		{"UDP", func(p *place) { p.webGroup.AllowIngress("udp/80", p.appGroup) }, port(netfake.UDP, 80), netfake.Answered, ""},
		{"UDP without a rule", func(p *place) { allowWeb(p) }, port(netfake.UDP, 80), netfake.Silence, "sg web ingress ENI_SG_RULES_MISMATCH"},
		// An ICMP error about a tracked flow is let in without a rule of its own.
		// fact: mtu.related
		{"a closed UDP port", func(p *place) { p.webGroup.AllowIngress("udp/81", p.appGroup) }, port(netfake.UDP, 81), netfake.Refused, "web ingress"},
		{"an echo", func(p *place) { p.webGroup.AllowIngress("icmp/8", fabricfake.Anywhere) }, port(netfake.ICMP, 0), netfake.Answered, ""},
		{"an echo without a rule", allowWeb, port(netfake.ICMP, 0), netfake.Silence, "sg web ingress ENI_SG_RULES_MISMATCH"},

		// A host that fails takes its instances with it.
		// fact: fabric.host.stages
		{"the receiver's host fails", func(p *place) { allowWeb(p); p.web.Interface().PhysicalHost().Fail() }, tcp80, netfake.Silence, "host of web BAD_STATE"},
		{"the sender's host fails", func(p *place) { allowWeb(p); p.app.Interface().PhysicalHost().Fail() }, tcp80, netfake.Silence, "host of app egress BAD_STATE"},
		{"the host has recovered", func(p *place) { allowWeb(p); p.web.Interface().PhysicalHost().Fail().Undo() }, tcp80, netfake.Answered, ""},
	} {
		t.Run(row.rule, func(t *testing.T) {
			netfake.Run(t, func(t *testing.T, w *netfake.World) {
				p := newPlace(t, w)
				row.given(p)
				r := p.app.Probe(row.to(p))
				outcome, first, err := call(w, p.app.Host, row.to(p))
				if r.Outcome != row.outcome || outcome != row.outcome || err != nil {
					t.Errorf("the probe says %v, the caller sees %v (%v), want %v\n%v", r.Outcome, outcome, err, row.outcome, r.Forward)
				}
				if got := blockerText(r.Blocker()); got != row.blocker {
					t.Errorf("the probe was blocked by %q, want %q", got, row.blocker)
				}
				if got := blockerText(first); got != row.blocker {
					t.Errorf("the packets were blocked by %q, want %q", got, row.blocker)
				}
				if len(w.Alarms()) != 0 {
					t.Errorf("alarms: %v", w.Alarms())
				}
			})
		})
	}
}

func allowWeb(p *place) { p.webGroup.AllowIngress("tcp/80", fabricfake.Anywhere) }

func blockerText(h *netfake.Hop) string {
	if h == nil {
		return ""
	}
	return strings.Join(strings.Fields(fmt.Sprintf("%v %v %v", h.By, h.Direction, h.Code)), " ")
}

// An echo that was answered does not let an echo of the other side in, though both have
// the same identifier.
func TestEchoIsNoAnswer(t *testing.T) { netfake.Run(t, testEchoIsNoAnswer) }

func testEchoIsNoAnswer(t *testing.T, w *netfake.World) {
	p := newPlace(t, w)
	p.webGroup.AllowIngress("icmp", fabricfake.Anywhere)
	if _, err := p.app.Ping(t.Context(), p.web.Addr()); err != nil {
		t.Errorf("app pings web: %v", err)
	}
	if _, err := p.web.Ping(t.Context(), p.app.Addr()); err == nil {
		t.Error("web pings app, whose group lets nothing in")
	}
	p.appGroup.AllowIngress("icmp", fabricfake.Anywhere)
	if _, err := p.web.Ping(t.Context(), p.app.Addr()); err != nil {
		t.Errorf("web pings app, whose group lets it in: %v", err)
	}
}

// A probe opens no tracked connection, counts in no rule and takes no port: what comes
// after it is as if it had not been asked.
func TestProbeLeavesNothing(t *testing.T) {
	day := func(probes bool) (text string) {
		netfake.RunConfig(t, netfake.Config{Seed: 1}, func(t *testing.T, w *netfake.World) {
			p := newPlace(t, w)
			p.webGroup.AllowIngress("tcp/80", fabricfake.Anywhere).RestrictEgress()
			p.appGroup.RestrictEgress().AllowEgress("all", p.webGroup)
			p.back.UseACL(p.vpc.NetworkACL("x").AllowIngress(100, "all", "0.0.0.0/0").AllowEgress(100, "tcp/1024-65535", "0.0.0.0/0"))
			ask := func() {
				for range 3 {
					for _, proto := range []netfake.Protocol{netfake.TCP, netfake.UDP, netfake.ICMP} {
						e := netfake.Endpoint{Proto: proto, Addr: netip.AddrPortFrom(p.web.Addr(), 80)}
						if probes {
							p.app.Probe(e)
						}
					}
				}
			}
			rec := w.Record(nil)
			for range 3 {
				ask()
				call(w, p.app.Host, p.web.TCP(80))
				call(w, p.app.Host, p.web.UDP(80))
			}
			ask()
			for _, r := range append(p.webGroup.IngressRules(), p.appGroup.EgressRules()...) {
				text += fmt.Sprintf("%v: %d hits\n", r.Permission, r.Hits)
			}
			for _, e := range append(p.back.NetworkACL().IngressEntries(), p.back.NetworkACL().EgressEntries()...) {
				text += fmt.Sprintf("%d: %d hits\n", e.Number, e.Hits)
			}
			text += fmt.Sprint(w.Alarms(), w.Drops(), p.vpc.Region().Link("a", "b").Stats(), rec)
		})
		return text
	}
	if with, without := day(true), day(false); with != without {
		t.Errorf("with probes\n%s\nwithout\n%s", with, without)
	}
	// A connection that a probe was allowed is not open for others.
	netfake.Run(t, func(t *testing.T, w *netfake.World) {
		p := newPlace(t, w)
		allowWeb(p)
		if r := p.app.Probe(p.web.TCP(80)); r.Outcome != netfake.Answered {
			t.Fatal(r.Outcome)
		}
		p.webGroup.RevokeIngress("tcp/80", fabricfake.Anywhere)
		if outcome, _, _ := call(w, p.app.Host, p.web.TCP(80)); outcome != netfake.Silence {
			t.Errorf("after the rule was taken back: %v", outcome)
		}
	})
}

// timeout returns a context that ends after d.
func timeout(t *testing.T, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}
