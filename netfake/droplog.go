package netfake

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/netspec-go/netspec/internal/wire"
)

// Dropped is a packet of an application that did not arrive.
type Dropped struct {
	At   time.Duration // since the world's beginning
	Flow Flow          // as it was where it was dropped
	Hop  Hop
}

// String returns the drop in a line.
func (d Dropped) String() string {
	s := fmt.Sprintf("+%.3fms %v: %s %v: %s", float64(d.At)/1e6, d.Flow, d.Hop.what(), d.Hop.Direction, d.Hop.Rule)
	return strings.Replace(s, " :", ":", 1)
}

// dropLog remembers the last packets that were dropped, and of the last flows each one's
// last.
type dropLog struct {
	last  []Dropped // a ring, once it is full
	count uint64
	flows []flowDrops // the one whose packet was dropped last is the last
}

// flowDrops is what was dropped of a flow, in one direction.
type flowDrops struct {
	Dropped       // the last one
	count   int   // of packets
	from    *Host // that sent it, nil if none did
	begins  bool  // the last one could have been the first of a conversation
}

// How many packets and flows a dropLog remembers.
const (
	keptDrops = 64
	keptFlows = 16
)

func (l *dropLog) add(p *Packet, h Hop) {
	d := Dropped{At: p.at, Flow: p.Flow, Hop: h}
	l.addFlow(p, d)
	for range p.Segments() {
		if len(l.last) < keptDrops {
			l.last = append(l.last, d)
		} else {
			l.last[l.count%keptDrops] = d
		}
		l.count++
	}
}

// addFlow remembers d as the last of its flow, in the place of the flow that has been
// quiet for longest if there are too many.
func (l *dropLog) addFlow(p *Packet, d Dropped) {
	f := flowDrops{Dropped: d, count: p.Segments(), from: p.from}
	f.begins = p.Flow.Proto == UDP && !p.part.later() || p.TCPFlags()&(wire.SYN|wire.ACK) == wire.SYN
	at := len(l.flows) - 1
	for at >= 0 && l.flows[at].Flow != d.Flow {
		at--
	}
	switch {
	case at >= 0:
		f.count += l.flows[at].count
	case len(l.flows) == keptFlows:
		at = 0
	default:
		l.flows = append(l.flows, f)
		return
	}
	copy(l.flows[at:], l.flows[at+1:])
	l.flows[len(l.flows)-1] = f
}

// Drops returns the last packets that were dropped, at most 64, the oldest first.
func (w *World) Drops() []Dropped {
	w.lock()
	defer w.unlock()
	all := w.drops.all()
	for i := range all {
		all[i].Flow = w.showFlow(all[i].Flow)
	}
	return all
}

func (l *dropLog) all() []Dropped {
	first := 0
	if len(l.last) == keptDrops {
		first = int(l.count % keptDrops)
	}
	return slices.Concat(l.last[first:], l.last[:first])
}
