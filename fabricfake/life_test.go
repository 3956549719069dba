package fabricfake

import (
	"context"
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing/synctest"
	"time"

	"github.com/netspec-go/netspec/internal/talk"
	"github.com/netspec-go/netspec/internal/wire"
	"github.com/netspec-go/netspec/netfake"
)

// life is two instances that talk while somebody changes what lies between them.
type life struct {
	*talk.Talk
	w      *netfake.World
	hosts  [2]*Instance
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
	vpc := NewVPC(w, "prod", "10.0.0.0/16")
	l := &life{Talk: &talk.Talk{}, w: w, acl: vpc.NetworkACL("back")}
	l.acl.AllowIngress(200, "all", "0.0.0.0/0").AllowEgress(200, "all", "0.0.0.0/0")
	l.groups = Groups{vpc.SecurityGroup("one"), vpc.SecurityGroup("two")}
	l.list = vpc.Region().PrefixList("list", 3, "10.0.0.0/16")
	l.groups[0].AllowIngress("tcp/80", Anywhere).AllowIngress("udp", l.list)
	l.groups[0].RestrictEgress().AllowEgress("tcp/40000-40003", Anywhere).AllowEgress("all", Anywhere) // the first for some answers
	l.groups[1].AllowIngress("tcp", l.groups[0]).AllowIngress("udp/53", Anywhere).RestrictEgress().AllowEgress("tcp", Anywhere).AllowEgress("udp", CIDR("10.0.1.0/24"))
	for i, zone := range []string{"a", "b"} {
		s := vpc.Subnet("s"+zone, fmt.Sprintf("10.0.%d.0/24", i+1), zone)
		l.hosts[i] = s.Instance("h"+zone, InstanceConfig{Groups: Groups{l.groups[i]}})
		l.hosts[i].SetEphemeralPorts(40000, 40007)
		listener, err := l.hosts[i].Listen("tcp", ":80")
		if err != nil {
			t.Fatalf("%v", err)
		}
		w.Go(func(context.Context) { talk.Answer(listener) })
		if l.Sides[i].UDP, err = l.hosts[i].ListenPacket("udp", ":53"); err != nil {
			t.Fatalf("%v", err)
		}
		if i == 1 {
			s.UseACL(l.acl)
		}
	}
	for i := range l.Sides {
		s, other := &l.Sides[i], l.hosts[1-i]
		s.Dial, s.To, s.UDPTo = l.hosts[i].DialContext, other.TCP(80).Addr.String(), net.UDPAddrFromAddrPort(other.UDP(53).Addr)
	}
	if record {
		w.Record(nil)
	}
	l.Call(0)
	l.Call(1)
	return l
}

// kinds is how many kinds of acts there are.
const kinds = 24

// do lets something happen, and what comes of it within some milliseconds.
func (l *life) do(a talk.Act) {
	one, two := l.groups[0], l.groups[1]
	switch a.Kind {
	case 0, 1, 2, 3:
		l.Write(a.Which, 100+a.Which)
	case 4, 5, 6, 7:
		l.Datagram(a.Which)
	case 8:
		l.Toggle("rule", func() { one.RevokeIngress("tcp/80", Anywhere) }, func() { one.AllowIngress("tcp/80", Anywhere) })
	case 9:
		l.Toggle("rule by group", func() { two.RevokeIngress("tcp", one) }, func() { two.AllowIngress("tcp", one) })
	case 10:
		perm := []string{"tcp", "udp", "tcp/80", "udp/53", "tcp/40000-40003", "tcp/40003-40005"}[a.Which%6]
		l.Toggle("entry", func() { l.acl.DenyIngress(100, perm, "0.0.0.0/0") }, func() { l.acl.RemoveIngress(100) })
	case 11:
		f := l.hosts[0].Interface()
		l.Toggle("groups", func() { f.SetGroups(Groups{two}) }, func() { f.SetGroups(Groups{one}) })
	case 12:
		l.w.Sleep([]time.Duration{8 * time.Second, 25 * time.Second, 100 * time.Second, 3 * time.Hour}[a.Which%4])
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
		l.Toggle("delay", func() { mapping.SetDelay(30 * time.Millisecond) }, func() { mapping.SetDelay(0) })
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
	}
	l.w.Sleep(20 * time.Millisecond)
}

// disturb has the link between the zones do to packets what links do, or no longer.
func (l *life) disturb(which int) {
	link := DefaultRegion(l.w).Link("a", "b")
	if which%6 == 5 {
		var remove func()
		l.Toggle("forger", func() { remove = link.Insert(&forger{l.w, DefaultRegion(l.w).devices, 0}) }, func() { remove() })
		return
	}
	f := []netfake.Faults{
		{Duplicate: 0.5}, {Reorder: 0.5, ReorderBy: 25 * time.Millisecond}, {Corrupt: 0.3}, {Loss: 0.3}, {Jitter: 30 * time.Millisecond},
	}[which%5]
	l.duplicates = l.duplicates || f.Duplicate > 0
	var fault *netfake.Fault
	l.Toggle(fmt.Sprint("link", which%5), func() { fault = link.SetFaults(f); l.faults = append(l.faults, fault) }, func() { fault.Undo() })
}

// forger answers who begins a connection a second time, at a port beside the one that asked:
// it does so while a packet is under way, when nobody changes anything.
type forger struct {
	w       *netfake.World
	devices map[netip.Addr]*device
	sent    uint64
}

func (f *forger) String() string { return "forger" }

func (f *forger) Step(p *netfake.Packet) netfake.Next {
	const segment = frameHeaderLen + wire.IPv4HeaderLen
	b := p.Bytes()
	var frame Frame
	if frame.parse(b) != nil || len(b) < segment+wire.TCPHeaderLen || b[segment+13] != flagSYN|flagACK {
		return p.Onward()
	}
	f.sent++
	q := f.w.NewPacket(len(b), 7, f.sent)
	copy(q.Bytes(), b)
	q.Bytes()[segment+3] ^= 1
	if d := f.devices[frame.To]; d != nil && q.Decode() == nil {
		f.w.Trace(q, f.String())
		f.w.Send(q, port{d})
	}
	return p.Onward()
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

// inject has a host send a segment of no socket's: one that begins a connection, answers,
// or ends one, between ports of which both sides have some.
func (l *life) inject(which int) {
	i := which % 2
	from, to := l.hosts[i].Interface(), l.hosts[1-i].Interface()
	ports := [][2]uint16{{80, 80}, {80, 40003}, {40003, 80}, {40001, 81}, {80, 40009}, {40000, 80}}[which%6]
	flags := []uint8{flagSYN, flagSYN | flagACK, flagSYN, flagSYN | flagACK, flagRST | flagACK, flagFIN | flagACK, flagSYN | flagACK, flagACK}[l.injected%8]
	l.injected++
	b := make([]byte, wire.IPv4HeaderLen+wire.TCPHeaderLen)
	ip := wire.IPv4{TTL: 64, Proto: wire.ProtoTCP, Src: from.PrivateIP(), Dst: to.PrivateIP()}
	ip.Put(b, wire.TCPHeaderLen)
	head := wire.TCP{SrcPort: ports[0], DstPort: ports[1], Flags: flags}
	head.Put(b[wire.IPv4HeaderLen:])
	binary.BigEndian.PutUint16(b[wire.IPv4HeaderLen+wire.TCPChecksumOffset:], wire.TransportChecksum(wire.ProtoTCP, ip.Src, ip.Dst, b[wire.IPv4HeaderLen:]))
	from.Inject(b)
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
		l.Toggle("list", func() { l.list.Remove("10.0.0.0/16") }, func() { l.list.Add("10.0.0.0/16") })
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
	for _, h := range l.hosts {
		fmt.Fprintf(&b, "%+v\n", h.ConntrackMetrics())
	}
	for _, d := range l.w.Drops() {
		fmt.Fprintln(&b, d)
	}
	fmt.Fprintf(&b, "%v\n%+v\n%s", l.w.Alarms(), DefaultRegion(l.w).Link("a", "b").Stats(), l.w.Sockets())
	return b.String()
}
