package fabricfake

import (
	"cmp"
	"net/netip"
	"slices"
	"time"

	"github.com/netspec-go/netspec/netfake"
)

// coverage is one interface of a flow log.
type coverage struct {
	log    *FlowLog
	iface  *Interface
	window time.Duration
	ends   time.Duration           // the window that is open
	flows  map[flowKey]*FlowRecord // in it
	seen   int                     // how many flows it has had
}

// flowKey tells the records of one window apart.
type flowKey struct {
	dir    netfake.Direction
	flow   netfake.Flow // as the packets carry it
	action FlowAction
}

// log tells the interface's flow logs about a packet that groups and ACLs have judged.
func (f *Interface) log(p *netfake.Packet, dir netfake.Direction, action FlowAction, path TrafficPath) {
	if len(f.logs) == 0 || p.Probing() || f.isMirrored(p) {
		return
	}
	for _, c := range f.logs {
		want := c.log.cfg.Traffic
		if want == AllTraffic || (want == AcceptedTraffic) == (action == FlowAccept) {
			c.add(p, dir, action, path)
		}
	}
}

// add counts a packet.
func (c *coverage) add(p *netfake.Packet, dir netfake.Direction, action FlowAction, path TrafficPath) {
	l, now := c.log, p.At()
	if now >= c.ends {
		l.advance(now)
	}
	key := flowKey{dir, loggedFlow(p.Flow), action}
	r := c.flows[key]
	if r == nil {
		c.seen++
		r = &FlowRecord{
			Interface: c.iface, instance: c.iface.instanceID(), Flow: c.iface.localFlow(key.flow, dir), PacketSrc: key.flow.Src.Addr(), PacketDst: key.flow.Dst.Addr(),
			Direction: dir, Path: path, Action: action, Start: l.world.Time(now), seen: c.seen,
		}
		c.flows[key] = r
		if !l.timer.Pending() {
			l.timer.Set(c.ends)
		}
	}
	n := p.Segments()
	r.Packets += uint64(n)
	r.Bytes += uint64(p.Len() + (n-1)*(p.Len()-p.DataLen()))
	r.TCPFlags |= loggedFlags(p.TCPFlags())
	r.End = l.world.Time(now)
}

// loggedFlow is a packet's flow as records know it: of protocols other than TCP and UDP
// without ports.
func loggedFlow(flow netfake.Flow) netfake.Flow {
	if flow.Proto != netfake.TCP && flow.Proto != netfake.UDP {
		flow.Src = netip.AddrPortFrom(flow.Src.Addr(), 0)
		flow.Dst = netip.AddrPortFrom(flow.Dst.Addr(), 0)
	}
	return flow
}

// localFlow puts the interface's primary address on its own side of a flow.
func (f *Interface) localFlow(flow netfake.Flow, dir netfake.Direction) netfake.Flow {
	own := &flow.Dst
	if dir == netfake.Egress {
		own = &flow.Src
	}
	if own.Addr().Is4() {
		*own = netip.AddrPortFrom(f.addr, own.Port())
	} else if i := slices.IndexFunc(f.more, func(a netip.Addr) bool { return !a.Is4() }); i >= 0 {
		*own = netip.AddrPortFrom(f.more[i], own.Port())
	}
	return flow
}

// loggedFlags are the flags that tcp-flags counts: SYN with its ACK, and otherwise FIN,
// SYN and RST.
func loggedFlags(flags uint8) uint8 {
	if flags&flagSYN != 0 {
		return flags & (flagFIN | flagSYN | flagRST | flagACK)
	}
	return flags & (flagFIN | flagRST)
}

// advance makes the records of all windows that have ended, those without traffic too.
// The timer goes off for windows with traffic only: a world where nothing happens has
// nothing to wake for, and its empty windows are told once somebody looks.
func (l *FlowLog) advance(now time.Duration) {
	for {
		end, _ := l.nextEnd()
		if end == 0 || end > now {
			break
		}
		l.close(end)
	}
	if _, busy := l.nextEnd(); busy != 0 {
		l.timer.Set(busy)
	}
}

// nextEnd returns when the first of the open windows ends, and the first of those that
// have traffic; 0 if there is none.
func (l *FlowLog) nextEnd() (first, busy time.Duration) {
	for _, c := range l.covered {
		if first == 0 || c.ends < first {
			first = c.ends
		}
		if len(c.flows) > 0 && (busy == 0 || c.ends < busy) {
			busy = c.ends
		}
	}
	return first, busy
}

// close makes the records of the windows that end at one time and opens the next ones.
func (l *FlowLog) close(end time.Duration) {
	for _, c := range l.covered {
		if c.ends != end {
			continue
		}
		for _, r := range c.take() {
			l.emit(r)
		}
		c.ends += c.window
	}
}

// take ends the open window and returns its records in an order that is the same in
// every run.
func (c *coverage) take() (records []*FlowRecord) {
	if len(c.flows) == 0 {
		w := c.log.world
		return []*FlowRecord{{Interface: c.iface, instance: c.iface.instanceID(), NoData: true, Start: w.Time(c.ends - c.window), End: w.Time(c.ends)}}
	}
	for _, r := range c.flows {
		records = append(records, r)
	}
	clear(c.flows)
	c.seen = 0
	slices.SortFunc(records, func(a, b *FlowRecord) int {
		return cmp.Or(a.Start.Compare(b.Start), compareConversations(a, b), cmp.Compare(a.seen, b.seen))
	})
	return records
}

// compareConversations orders records by protocol and ends, whichever end sent: what
// began at one instant may have been seen in any order, but an answer comes after what
// it answers.
func compareConversations(a, b *FlowRecord) int {
	aLow, aHigh := a.ends()
	bLow, bHigh := b.ends()
	return cmp.Or(cmp.Compare(a.Flow.Proto, b.Flow.Proto), aLow.Compare(bLow), aHigh.Compare(bHigh))
}
