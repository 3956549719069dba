package fabricfake_test

import (
	"errors"
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/netspec-go/netspec/fabricfake"
	"github.com/netspec-go/netspec/netfake"
)

// inspector is a middlebox that lets everything pass and counts it.
type inspector struct {
	name  string
	iface *fabricfake.Interface
	seen  map[string]int // by source and destination

	counts bool // the TTL down, and says so
}

// newInspector puts an inspector into a subnet.
func newInspector(s *fabricfake.Subnet, name string) *inspector {
	i := &inspector{name: name, seen: map[string]int{}}
	i.iface = s.Appliance(name, i)
	return i
}

func (i *inspector) String() string { return i.name }

func (i *inspector) Step(p *netfake.Packet) netfake.Next {
	if p.Traced() {
		p.Passed(netfake.Hop{Place: i.name, By: i, Rule: "inspected"})
	}
	if !p.Probing() {
		i.seen[fmt.Sprint(p.Flow.Src.Addr(), " ", p.Flow.Dst.Addr())]++
	}
	if i.counts && !p.CountDown() {
		return p.Expire(netfake.Hop{Place: i.name, By: i}, i.iface.PrivateIP(), i.iface.Out())
	}
	return p.To(i.iface.Out())
}

// Routes that are more specific than local take what passes between two subnets through a
// middlebox. On its way the identity of the sender is lost: a rule that names its group
// matches no longer, one for its block does. Within a subnet nothing can be taken elsewhere.
// fact: rtb.targets.eni, rtb.specific, rtb.samesubnet, sg.reference.middlebox, sg.reference.middlebox.cidr, rtb.gateway.symmetry
func TestMiddleboxBetweenSubnets(t *testing.T) { netfake.Run(t, testMiddleboxBetweenSubnets) }

func testMiddleboxBetweenSubnets(t *testing.T, w *netfake.World) {
	v := fabricfake.NewVPC(w, "prod", "10.0.0.0/16").AddIPv6("2001:db8:7::/56")
	var subnets []*fabricfake.Subnet
	for n, name := range []string{"app", "data", "inspection"} {
		subnets = append(subnets, v.Subnet(name, fmt.Sprintf("10.0.%d.0/24", n), "a").AddIPv6(fmt.Sprintf("2001:db8:7:%d::/64", n)))
	}
	front := v.SecurityGroup("front")
	back := v.SecurityGroup("back").AllowIngress("tcp/80", front)
	of := func(g *fabricfake.SecurityGroup) fabricfake.InstanceConfig {
		return fabricfake.InstanceConfig{Groups: fabricfake.Groups{g}, IPv6AddressCount: 1}
	}
	app, db, near := subnets[0].Instance("app", of(front)), subnets[1].Instance("db", of(back)), subnets[0].Instance("near", of(back))
	fw := newInspector(subnets[2], "fw")
	for _, h := range []*netfake.Host{db.Host, near.Host} {
		if err := serve(w, h, 80); err != nil {
			t.Fatal(err)
		}
	}
	check := func(what string, to netfake.Endpoint, outcome netfake.Outcome, code netfake.Code, inspected bool) {
		t.Helper()
		w.Sleep(time.Second) // what is under way arrives
		w.Do(func(time.Duration) { clear(fw.seen) })
		r := app.Probe(to)
		got := netfake.Code("")
		if b := r.Blocker(); b != nil {
			got = b.Code
		}
		live, _, err := call(w, app.Host, to)
		if r.Outcome != outcome || live != outcome || err != nil || got != code {
			t.Errorf("%s: probed %v %q, called %v %v; want %v %q\n%v", what, r.Outcome, got, live, err, outcome, code, r)
		}
		src := app.Addr()
		if !to.Addr.Addr().Is4() {
			src = app.Addr6()
		}
		var there, back int
		w.Do(func(time.Duration) {
			there, back = fw.seen[fmt.Sprint(src, " ", to.Addr.Addr())], fw.seen[fmt.Sprint(to.Addr.Addr(), " ", src)]
		})
		if r.Forward.Passed(fw) != inspected || (there > 0) != inspected || (back > 0) != (inspected && outcome == netfake.Answered) {
			t.Errorf("%s: %d packets inspected there and %d back\n%v", what, there, back, r)
		}
	}
	four, six := db.TCP(80), db.TCP6(80)
	const lost = "SG_REFERENCES_NOT_PRESERVED"
	for _, to := range []netfake.Endpoint{four, six} {
		check("by local routes", to, netfake.Answered, "", false)
	}
	for i, other := range []*fabricfake.Subnet{subnets[1], subnets[0]} {
		subnets[i].Route(other.CIDRs()[0].String(), fw.iface).Route(other.CIDRs()[1].String(), fw.iface)
	}
	check("through a middlebox, by a reference", four, netfake.Silence, lost, true)
	check("through a middlebox, by a reference, over IPv6", six, netfake.Silence, lost, true)
	check("within a subnet, where no route applies", near.TCP(80), netfake.Answered, "", false)
	back.AllowIngress("tcp/80", fabricfake.CIDR("10.0.0.0/24"))
	check("through a middlebox, by a block", four, netfake.Answered, "", true)
	check("but over IPv6", six, netfake.Silence, lost, true)
	back.AllowIngress("tcp/80", fabricfake.CIDR("2001:db8:7::/64"))
	check("through a middlebox, by a block, over IPv6", six, netfake.Answered, "", true)

	// Only what the route leads through: the way back is the subnet's own affair.
	subnets[1].RouteTable().DeleteRoute("10.0.0.0/24")
	w.Sleep(time.Second)
	clear(fw.seen)
	if live, _, err := call(w, app.Host, four); live != netfake.Answered || err != nil {
		t.Errorf("one way through the middlebox: %v, %v", live, err)
	}
	if fw.seen["10.0.0.4 10.0.1.4"] == 0 || fw.seen["10.0.1.4 10.0.0.4"] != 0 {
		t.Errorf("one way through the middlebox: it saw %v", fw.seen)
	}
}

// An instance that routes must have its check of sources and destinations turned off.
// fact: eni.check.ingress
func TestMiddleboxCheck(t *testing.T) { netfake.Run(t, testMiddleboxCheck) }

func testMiddleboxCheck(t *testing.T, w *netfake.World) {
	v := fabricfake.NewVPC(w, "prod", "10.0.0.0/16")
	a, b := v.Subnet("a", "10.0.1.0/24", "a"), v.Subnet("b", "10.0.2.0/24", "a")
	open := fabricfake.Groups{v.SecurityGroup("open").AllowIngress("all", fabricfake.Anywhere)}
	app, db := a.Instance("app", fabricfake.InstanceConfig{Groups: open}), b.Instance("db", fabricfake.InstanceConfig{Groups: open})
	careful := b.Instance("careful", fabricfake.InstanceConfig{Groups: open})
	a.Route("10.0.2.0/24", careful.Interface())
	r := app.Probe(db.TCP(80))
	if b := r.Blocker(); b == nil || b.Code != "ENI_SOURCE_DEST_CHECK_RESTRICTION" || b.Place != "careful" {
		t.Errorf("through an instance that checks:\n%v", r)
	}
	if r := app.Probe(careful.TCP(80)); r.Outcome != netfake.Refused {
		t.Errorf("the instance itself:\n%v", r)
	}
}

// A middlebox whose own subnet routes back to it gets what it sends on, again and again: the
// report names who stands on the circle, once. One that counts the TTL down, as a router does,
// ends it by that. Without the route all is well.
func TestMiddleboxLoop(t *testing.T) {
	const circle = "the packet goes round in circles: fw → acl default → rtb inspection → mapping → fw"
	for _, row := range []struct {
		name   string
		counts bool
		by     string
		code   netfake.Code
		rule   string
		told   error // the caller, at once
	}{
		{"one that only looks", false, "host of fw", "ROUTING_LOOP", circle, nil},
		{"one that counts the TTL down", true, "fw", "TTL_EXCEEDED", "the TTL is used up, as " + circle + ": answered with time exceeded", syscall.EHOSTUNREACH},
	} {
		t.Run(row.name, func(t *testing.T) {
			netfake.Run(t, func(t *testing.T, w *netfake.World) {
				p := newPair(t, w)
				inspection := p.vpc.Subnet("inspection", "172.31.48.0/24", "a")
				inspection.Associate(p.vpc.RouteTable("inspection"))
				fw := newInspector(inspection, "fw")
				fw.counts = row.counts
				p.a.Route("172.31.32.0/24", fw.iface)
				inspection.Route("172.31.32.0/24", fw.iface)
				to := p.two.TCP(22)
				r := p.one.Probe(to)
				_, live, err := call(w, p.one.Host, to)
				if !errors.Is(err, row.told) || r.Err != row.told {
					t.Errorf("probed %v, %v; live %v; want %v", r.Outcome, r.Err, err, row.told)
				}
				for what, b := range map[string]*netfake.Hop{"probed": r.Blocker(), "live": live} {
					if b == nil || b.By.String() != row.by || b.Code != row.code || b.Rule != row.rule {
						t.Errorf("%s: blocked by %+v", what, b)
					}
				}
				if lines := strings.Count(r.Forward.HopLines(), "\n"); lines > 16 {
					t.Errorf("a report of %d lines:\n%v", lines, r)
				}
				inspection.RouteTable().DeleteRoute("172.31.32.0/24")
				if r := p.one.Probe(to); r.Outcome != netfake.Answered || !r.Forward.Passed(fw) {
					t.Errorf("without the route:\n%v", r)
				}
			})
		})
	}
}

// objector is a middlebox that refuses everything but ICMP, and says so.
type objector struct {
	iface *fabricfake.Interface
	kind  netfake.ICMPKind
}

func (o *objector) String() string { return "objector" }
func (o *objector) Step(p *netfake.Packet) netfake.Next {
	if p.Flow.Proto == netfake.ICMP {
		return p.To(o.iface.Out())
	}
	return p.Reject(netfake.Hop{Place: "objector", By: o, Rule: "forbidden"}, netfake.ICMPError{Kind: o.kind}, o.iface.PrivateIP(), o.iface.Out())
}

// A middlebox that answers with an ICMP error is told by a probe as the caller is: the groups
// of the caller let it in, as they track what it is about. If its subnet's network ACL does
// not, there is silence.
func TestMiddleboxThatObjects(t *testing.T) {
	for _, row := range []struct {
		kind   netfake.ICMPKind
		denied bool
		want   netfake.Outcome
		told   error
	}{
		{netfake.AdminProhibited, false, netfake.Unreachable, syscall.EHOSTUNREACH},
		{netfake.NetUnreachable, false, netfake.Unreachable, syscall.ENETUNREACH},
		{netfake.PortUnreachable, false, netfake.Refused, syscall.ECONNREFUSED},
		{netfake.AdminProhibited, true, netfake.Silence, nil},
	} {
		netfake.Run(t, func(t *testing.T, w *netfake.World) {
			p := newPair(t, w)
			inspection := p.vpc.Subnet("inspection", "172.31.48.0/24", "a")
			o := &objector{kind: row.kind}
			o.iface = inspection.Appliance("objector", o)
			p.a.Route("172.31.32.0/24", o.iface)
			if row.denied {
				p.a.UseACL(p.vpc.NetworkACL("tcp").AllowEgress(1, "tcp", "0.0.0.0/0").AllowIngress(1, "tcp", "0.0.0.0/0"))
			}
			r := p.one.Probe(p.two.TCP(22))
			d := p.one.Dialer()
			d.Timeout = time.Second
			_, err := d.Dial("tcp", "172.31.32.21:22")
			if r.Outcome != row.want || r.Err != row.told || row.told != nil && !errors.Is(err, row.told) || row.told == nil && !isTimeout(err) {
				t.Errorf("%v, denied %v: probed %v, %v; live %v\n%v", row.kind, row.denied, r.Outcome, r.Err, err, r)
			}
			if b := r.Blocker(); b == nil || b.By != netfake.Component(o) || b.Rule != fmt.Sprintf("forbidden: answered with %v", row.kind) {
				t.Errorf("blocked by %+v", b)
			}
			if _, err := p.one.Ping(t.Context(), p.two.Addr()); (err == nil) == row.denied {
				t.Errorf("a ping, which passes the middlebox: %v", err)
			}
		})
	}
}
