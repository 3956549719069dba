package fabricfake

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing/synctest"
	"time"

	"github.com/netspec-go/netspec/internal/talk"
	"github.com/netspec-go/netspec/netfake"
)

// life is two instances that talk while somebody changes what lies between them.
type life struct {
	*talk.Talk
	setting
	*prompter
	w      *netfake.World
	hosts  [2]*Instance
	spare  *Instance        // beside the second one, which may have to leave it its address
	floats netip.Addr       // that address, which is not its only one
	twin   netip.Addr       // another address of the first host
	router *Instance        // nil if there is none between the two
	faults []*netfake.Fault // that there have been
	groups Groups
	acl    *NetworkACL
	list   *PrefixList

	mirrors  []*MirrorSession // that there have been
	logs     []*FlowLog
	injected int

	duplicates bool // there may have been some, which nobody records
}

func newLife(t netfake.TB, w *netfake.World, record bool) *life {
	return setting{}.life(t, w, record)
}

// life returns one in the setting, of which little has been lived yet.
func (s setting) life(t netfake.TB, w *netfake.World, record bool) *life {
	vpc := NewVPC(w, "prod", "10.0.0.0/16").AddIPv6("2001:db8:7::/56")
	l := &life{Talk: &talk.Talk{Sides: make([]talk.Side, 2)}, setting: s, prompter: newPrompter(t, w), w: w, acl: vpc.NetworkACL("back")}
	all := s.anywhere()
	l.acl.AllowIngress(200, "all", string(all)).AllowEgress(200, "all", string(all))
	l.acl.AllowIngress(150, "tcp/40002-40004", string(all)).AllowEgress(160, "tcp/40001-40005", string(all))
	l.groups = Groups{vpc.SecurityGroup("one"), vpc.SecurityGroup("two")}
	l.list = vpc.Region().PrefixList("list", 3, s.block(0))
	l.groups[0].AllowIngress("tcp/80", all).AllowIngress("udp", l.list)
	l.groups[0].RevokeEgress("all", all).AllowEgress("tcp/40000-40003", all).AllowEgress("all", all) // the first for some answers
	l.groups[1].AllowIngress("tcp", l.groups[0]).AllowIngress("udp/53", all).RevokeEgress("all", all).AllowEgress("tcp", all).AllowEgress("udp", CIDR(s.block(1)))
	for i, zone := range []string{"a", "b"} {
		subnet := vpc.Subnet("s"+zone, fmt.Sprintf("10.0.%d.0/24", i+1), zone).AddIPv6(fmt.Sprintf("2001:db8:7:%d::/64", i+1))
		l.hosts[i] = l.resident(t, subnet, "h"+zone, i)
		l.hosts[i].SetEphemeralPorts(40000, 40007)
		var err error
		if l.Sides[i].UDP, err = l.hosts[i].ListenPacket("udp", ":53"); err != nil {
			t.Fatalf("%v", err)
		}
		if i == 1 {
			subnet.UseACL(l.acl)
			l.spare = l.resident(t, subnet, "spare", i)
		}
	}
	l.settle()
	for i, to := range []netip.Addr{l.floats, s.addr(l.hosts[0])} {
		side := &l.Sides[i]
		side.Dial, side.To = l.hosts[i].DialContext, netip.AddrPortFrom(to, 80).String()
		side.UDPTo = net.UDPAddrFromAddrPort(netip.AddrPortFrom(s.addr(l.hosts[1-i]), 53))
	}
	if record {
		w.Record(nil)
	}
	l.Call(0)
	l.Call(1)
	return l
}

// resident is an instance of both families, of group i, that answers whoever calls.
func (l *life) resident(t netfake.TB, s *Subnet, name string, i int) *Instance {
	h := s.Instance(name, InstanceConfig{Groups: Groups{l.groups[i]}, IPv6AddressCount: 1})
	listener, err := h.Listen("tcp", ":80")
	if err != nil {
		t.Fatalf("%v", err)
	}
	l.w.Go(func(context.Context) { talk.Answer(listener) })
	return h
}

// kinds is how many kinds of acts there are.
const kinds = 29

// quietKinds are those of them that change nothing: mostly.
var quietKinds = []int{0, 1, 4, 5, 6, 12, 13, 16, 17, 18, 21}

// do lets something happen, and what comes of it within some milliseconds.
func (l *life) do(a talk.Act) {
	one, two, all := l.groups[0], l.groups[1], l.anywhere()
	switch a.Kind {
	case 0, 1, 2, 3:
		l.Write(a.Which, 100+a.Which)
	case 4, 5, 6, 7:
		l.Datagram(a.Which, []int{2, 200, 10_000}[a.Which/2%3]) // the last in fragments
	case 8:
		l.Toggle("rule", func() { one.RevokeIngress("tcp/80", all) }, func() { one.AllowIngress("tcp/80", all) })
	case 9:
		l.Toggle("rule by group", func() { two.RevokeIngress("tcp", one) }, func() { two.AllowIngress("tcp", one) })
	case 10:
		perm := []string{"tcp", "udp", "tcp/80", "udp/53", "tcp/40000-40003", "tcp/40003-40005"}[a.Which%6]
		l.Toggle("entry", func() { l.acl.DenyIngress(100, perm, string(all)) }, func() { l.acl.RemoveIngress(100) })
	case 11:
		f := l.hosts[0].Interface()
		l.Toggle("groups", func() { f.SetGroups(Groups{two}) }, func() { f.SetGroups(Groups{one}) })
	case 12:
		l.w.Sleep([]time.Duration{8 * time.Second, 25 * time.Second, 100 * time.Second, 200 * time.Second}[a.Which%4])
	case 13:
		switch {
		case a.Which%3 == 0:
			failure := l.hosts[1].Interface().PhysicalHost().Fail()
			l.faults = append(l.faults, failure)
			l.w.Sleep(time.Second)
			failure.Undo()
		case a.Which%3 == 1 && l.Connections() > 1:
			l.Hangup()
		default:
			l.Call(a.Which)
		}
	case 14:
		mapping := l.hosts[0].Interface().VPC().Region().Mapping()
		l.Toggle("delay", func() { mapping.SetDelay([]time.Duration{30 * time.Millisecond, 2 * time.Second}[a.Which%2]) }, func() { mapping.SetDelay(0) })
	case 15:
		mapping := l.hosts[0].Interface().VPC().Region().Mapping()
		if a.Which%2 == 0 {
			l.Toggle("mapping", func() { l.faults = append(l.faults, mapping.Fail()) }, mapping.Repair)
		} else {
			l.Toggle("ask", func() { mapping.SetMissPolicy(MissAsk) }, func() { mapping.SetMissPolicy(MissDrop) })
		}
	case 16, 17, 18:
		l.Call(a.Which)
	case 19:
		l.disturb(a.Which)
	case 20:
		l.watch(a.Which)
	case 21:
		l.inject(a.Which)
	case 22:
		l.hinder(a.Which)
	case 23:
		l.limit(a.Which)
	case 24:
		l.Toggle("address", func() { l.move(l.spare) }, func() { l.move(l.hosts[1]) })
	case 25:
		l.restart(l.spare)
	case 26, 27, 28:
		l.reroute(a.Kind-26, a.Which)
	}
	l.w.Sleep(20 * time.Millisecond)
}

// disturb has the link between the zones do to packets what links do, or no longer.
func (l *life) disturb(which int) {
	link := DefaultRegion(l.w).Link("a", "b")
	if which%6 == 5 {
		var remove func()
		l.Toggle("forger", func() { remove = link.Insert(&forger{w: l.w, devices: DefaultRegion(l.w).devices}) }, func() { remove() })
		return
	}
	f := []netfake.Faults{
		{Duplicate: 0.5}, {Reorder: 0.5, ReorderBy: 25 * time.Millisecond}, {Corrupt: 0.3}, {Loss: 0.3}, {Jitter: 30 * time.Millisecond},
	}[which%5]
	l.duplicates = l.duplicates || f.Duplicate > 0
	var fault *netfake.Fault
	l.Toggle(fmt.Sprint("link", which%5), func() { fault = link.SetFaults(f); l.faults = append(l.faults, fault) }, func() { fault.Undo() })
}

// watch has somebody log or mirror packets, or stop.
func (l *life) watch(which int) {
	i := which % 2
	f := l.hosts[i].Interface()
	if which%4 == 0 {
		var s *MirrorSession
		every := []MirrorRule{{Number: 1, Action: MirrorAccept}}
		cfg := MirrorConfig{Target: l.hosts[1].Interface(), Filter: MirrorFilter{Ingress: every, Egress: every}}
		l.Toggle("mirror", func() {
			s = f.Mirror(fmt.Sprint("m", len(l.mirrors)), cfg)
			l.mirrors = append(l.mirrors, s)
		}, func() { s.Delete() })
		return
	}
	var log *FlowLog
	name := fmt.Sprint("log", len(l.logs))
	l.Toggle(fmt.Sprint("log", which%6), func() {
		switch which % 3 {
		case 0:
			log = f.VPC().FlowLog(name, FlowLogConfig{})
		case 1:
			log = f.Subnet().FlowLog(name, FlowLogConfig{})
		case 2:
			log = f.FlowLog(name, FlowLogConfig{})
		}
		l.logs = append(l.logs, log)
	}, func() { log.Delete() })
}

// inject has a host send segments of no socket's: those that begin a connection, answer, go
// on or end one, between the ports of a connection that there is, or others of which both sides
// have some; or many datagrams twice, of which some have one place where they are remembered.
func (l *life) inject(which int) {
	i := which % 2
	l.injected++
	ports := [][2]uint16{{80, 80}, {80, 40003}, {40003, 80}, {40001, 81}, {80, 40009}, {40000, 80}}[which%6]
	ends := [2]netip.Addr{l.addr(l.hosts[0]), l.floats}
	s := prompt{
		from: l.hosts[0].Interface(), proto: netfake.TCP, data: l.injected % 2, fragment: l.injected%5 == 0,
		src: netip.AddrPortFrom(ends[i], ports[0]), dst: netip.AddrPortFrom(ends[1-i], ports[1]),
	}
	if near, far, ok := l.Ends(which / 2); ok && l.injected%3 > 0 {
		if s.src, s.dst = near, far; i == 1 {
			s.src, s.dst = far, near
		}
	}
	if s.src.Addr() != ends[0] {
		s.from = l.hosts[1].Interface()
	}
	var says []prompt
	if l.injected%7 == 0 {
		for n := range uint16(48) {
			to := netip.AddrPortFrom(s.dst.Addr(), 53)
			says = append(says, prompt{from: s.from, proto: netfake.UDP, data: 9, src: netip.AddrPortFrom(s.src.Addr(), 5000+n%24), dst: to})
		}
	}
	all := []uint8{flagSYN, flagSYN | flagACK, flagSYN, flagACK, flagSYN | flagACK, flagRST | flagSYN | flagACK, flagFIN | flagACK, flagACK}
	if which%4 > 1 {
		all = all[1:2] // answers alone, to one port after another
	}
	for range 2 + which/2 {
		s := s
		s.flags = all[l.injected%len(all)]
		l.twist(&s, l.injected%5)
		says = append(says, s)
		l.injected++
	}
	l.say(says...)
}

// twist makes it a packet of another address of the first host, or of other ports: precedents
// have the same place for it.
func (l *life) twist(s *prompt, how int) {
	end := &s.src
	if s.src.Addr() == l.floats {
		end = &s.dst
	}
	switch how {
	case 1:
		*end = netip.AddrPortFrom(l.twin, end.Port())
	case 2:
		for _, end := range []*netip.AddrPort{&s.src, &s.dst} {
			if end.Port() == 80 {
				*end = netip.AddrPortFrom(end.Addr(), 80+16)
			}
		}
	case 3, 4:
		for _, end := range []*netip.AddrPort{&s.src, &s.dst} {
			if end.Port()&^7 == 40000 {
				*end = netip.AddrPortFrom(end.Addr(), 40000+uint16(l.injected)%8)
			}
		}
	}
}

// hinder changes what packets may be of, or where they go.
func (l *life) hinder(which int) {
	i := which % 2
	f := l.hosts[i].Interface()
	switch which % 4 {
	case 0, 1:
		l.Toggle(fmt.Sprint("check", i), func() { f.SetSourceDestCheck(SourceDestCheckOff) }, func() { f.SetSourceDestCheck(SourceDestCheckOn) })
	case 2:
		other := l.hosts[1-i].Interface()
		l.Toggle("tracked", other.TrackConnections, func() {})
	case 3:
		l.Toggle("list", func() { l.list.Remove(l.block(0)) }, func() { l.list.Add(l.block(0)) })
	}
}

// limit sets how long connections are tracked, or how many.
func (l *life) limit(which int) {
	i := which % 2
	h := l.hosts[i]
	if which%4 < 2 {
		l.Toggle(fmt.Sprint("allowance", i), func() { h.SetConntrackAllowance(1 + which%3) }, func() { h.SetConntrackAllowance(0) })
		return
	}
	f := h.Interface()
	l.Toggle(fmt.Sprint("tracking", i), func() { f.SetConnectionTracking(ConnectionTracking{TCPEstablished: time.Minute}) }, func() { f.SetConnectionTracking(ConnectionTracking{}) })
}

// seen is all that can be seen of a life.
func (l *life) seen() string {
	synctest.Wait() // for those who have just been woken to read, and wait again
	var b strings.Builder
	for _, g := range l.groups {
		for _, r := range append(g.IngressRules(), g.EgressRules()...) {
			fmt.Fprintf(&b, "%v %v %v: %d\n", g, r.Permission, r.Peer, r.Hits)
		}
	}
	for _, e := range append(l.acl.IngressEntries(), l.acl.EgressEntries()...) {
		fmt.Fprintf(&b, "acl %d: %d\n", e.Number, e.Hits)
	}
	for _, f := range l.faults {
		fmt.Fprintf(&b, "%v: %d\n", f, f.Hits())
	}
	for _, s := range l.mirrors {
		fmt.Fprintf(&b, "%v: %d\n", s, s.Sent())
	}
	for _, log := range l.logs {
		for _, r := range log.Records() {
			r.Start, r.End = time.Time{}.Add(r.Start.Sub(l.w.Time(0))), time.Time{}.Add(r.End.Sub(l.w.Time(0)))
			fmt.Fprintln(&b, r.String())
		}
	}
	for _, h := range []*Instance{l.hosts[0], l.hosts[1], l.spare, l.router} {
		if h == nil {
			continue
		}
		fmt.Fprintf(&b, "%+v\n", h.ConntrackMetrics())
	}
	for _, d := range l.w.Drops() {
		fmt.Fprintln(&b, d)
	}
	fmt.Fprintf(&b, "%v\n%+v\n%s", l.w.Alarms(), DefaultRegion(l.w).Link("a", "b").Stats(), l.w.Sockets())
	return b.String()
}
