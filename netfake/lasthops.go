package netfake

import (
	"fmt"
	"slices"
	"strings"

	"github.com/netspec-go/netspec/internal/tcp"
	"github.com/netspec-go/netspec/internal/wire"
)

// How many flows a report tells of.
const (
	reportedDrops = 10
	reportedWays  = 8
)

// lastHops tells where the last packet of each flow was dropped, and for flows that could
// go on, where the next one would be: the network is asked, as by Probe, so that nothing
// has to be remembered of a test that passes.
func (w *World) lastHops() string {
	w.lock()
	defer w.unlock()
	var b strings.Builder
	if flows := w.drops.flows; len(flows) > 0 {
		b.WriteString("last packet dropped of each flow:\n")
		for _, f := range flows[max(0, len(flows)-reportedDrops):] {
			f.Flow = w.showFlow(f.Flow)
			f.write(&b)
		}
	}
	if ways := w.ways(); len(ways) > 0 {
		b.WriteString("what would become of the next packet:\n")
		for _, t := range ways[:min(len(ways), reportedWays)] {
			t.Flow = w.showFlow(t.Flow)
			fmt.Fprintf(&b, "  %s\n", strings.ReplaceAll(strings.TrimSpace(t.String()), "\n", "\n  "))
		}
		if more := len(ways) - reportedWays; more > 0 {
			fmt.Fprintf(&b, "  and of %d flows more\n", more)
		}
	}
	return b.String()
}

// write tells of a flow's last drop what there is to say.
func (f *flowDrops) write(b *strings.Builder) {
	fmt.Fprintf(b, "  %v", f.Dropped)
	if f.Hop.Code != "" {
		fmt.Fprintf(b, " (%s)", f.Hop.Code)
	}
	if f.count > 1 {
		fmt.Fprintf(b, "; %d in all", f.count)
	}
	b.WriteByte('\n')
	for _, note := range []struct{ what, text string }{{"nearest rule", f.Hop.Near}, {"hint", f.Hop.Hint}} {
		if note.text != "" {
			fmt.Fprintf(b, "    %s: %s\n", note.what, note.text)
		}
	}
}

// ways returns the traces of the next packets: of connections that wait for an
// acknowledgement, of those whose packets would not arrive, and of flows without a
// connection whose packets would be dropped on their way again. There are none in a world
// that has ended, perhaps by a Step that one of them would come to.
func (w *World) ways() []*Trace {
	if w.closed {
		return nil
	}
	var all []*Trace
	for _, h := range w.hosts {
		for _, c := range h.openConns() {
			flags, shown := c.nextFlags()
			if t := h.wayOf(c.flow, flags); shown || t.Blocker() != nil {
				all = append(all, t)
			}
		}
	}
	for _, f := range w.drops.flows {
		h := f.from
		if h == nil || !f.begins || !h.owns(f.Flow.Src.Addr()) || h.connFor(f.Flow.Reverse()) != nil {
			continue
		}
		t := h.wayOf(f.Flow, wire.SYN)
		if b := t.Blocker(); b != nil && !b.atHost() {
			all = append(all, t)
		}
	}
	return all
}

// atHost reports whether the packet had arrived where it was dropped.
func (h *Hop) atHost() bool {
	_, ok := h.By.(*Host)
	return ok
}

// openConns returns the host's connections that are not over, sorted by their flows.
func (h *Host) openConns() []*TCPConn {
	var all []*TCPConn
	for _, first := range h.conns {
		for c := first; c != nil; c = c.next {
			if !c.over() {
				all = append(all, c)
			}
		}
	}
	slices.SortFunc(all, func(a, b *TCPConn) int { return strings.Compare(a.flow.String(), b.flow.String()) })
	return all
}

// nextFlags returns the flags of the next segment, and whether something waits to be
// acknowledged.
func (c *TCPConn) nextFlags() (flags uint8, waits bool) {
	switch c.machine.State() {
	case tcp.SynSent:
		return wire.SYN, true
	case tcp.SynReceived:
		return wire.SYN | wire.ACK, true
	}
	return wire.ACK, c.machine.SendQueue() > 0
}

// wayOf asks what would become of a packet of a flow that the host sends.
func (h *Host) wayOf(f Flow, flags uint8) *Trace {
	q := &probe{world: h.world}
	defer q.takeBack()
	if f.Proto == UDP {
		return h.runProbe(h.udpPacket(f, nil, 0), q, "")
	}
	head := wire.TCP{Flags: flags, Window: 65535}
	return h.runProbe(h.world.tcpPacket(f, &head, nil, 0), q, "")
}
