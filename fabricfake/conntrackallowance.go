package fabricfake

import (
	"fmt"
	"time"

	"github.com/netspec-go/netspec/netfake"
)

// codeConntrackAllowance is what a new connection beyond the allowance is dropped with. There is no
// code of AWS for it; it is the name of the metric.
const codeConntrackAllowance netfake.Code = "CONNTRACK_ALLOWANCE_EXCEEDED"

// conntrackAllowance is how many connections the interfaces of an instance may track together.
type conntrackAllowance struct {
	most     int    // 0 for as many as come
	exceeded uint64 // packets that were dropped for it
}

// ConntrackMetrics are the metrics of an instance's tracked connections, as its network
// driver shows them. Source:
// https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/monitoring-network-performance-ena.html
type ConntrackMetrics struct {
	// Tracked is how many connections are tracked, of all interfaces.
	Tracked int

	// Available is conntrack_allowance_available: how many more may be. It is 0 without
	// an allowance.
	Available int

	// Exceeded is conntrack_allowance_exceeded: how many packets were dropped because
	// they would have opened one connection too many.
	Exceeded uint64
}

// SetConntrackAllowance sets how many connections the security groups of the instance's
// interfaces may track together, which with the real service depends on the instance's
// type; 0 is as many as come. Beyond it the packets that would open one are dropped.
// Connections that are there go on, and those that are not tracked do not count. A negative
// number fails the test, as an instance does that is terminated (IncorrectInstanceState).
func (i *Instance) SetConntrackAllowance(n int) {
	w := i.World()
	w.TB().Helper()
	if n < 0 {
		w.TB().Fatalf("%v (%v)", refuse(codeParameterValue, "an allowance of %d connections", n), i)
	}
	i.adjust(func() { i.conntrack.most = n })
}

// ConntrackMetrics returns the metrics of the instance's tracked connections.
func (i *Instance) ConntrackMetrics() (m ConntrackMetrics) {
	i.World().Do(func(now time.Duration) {
		m = ConntrackMetrics{Tracked: i.tracked(now), Exceeded: i.conntrack.exceeded}
		m.Available = max(i.conntrack.most-m.Tracked, 0)
	})
	return m
}

// tracked returns how many connections the instance's interfaces track.
func (i *Instance) tracked(now time.Duration) (n int) {
	for _, f := range i.ifaces {
		n += f.tracker.live(now)
	}
	return n
}

// exceeds reports whether a packet that opens a tracked connection is one too many for the
// interface's instance, and ends its way.
func (f *Interface) exceeds(p *netfake.Packet, k *trackKey) bool {
	i := f.instance
	if i == nil || i.conntrack.most == 0 {
		return false
	}
	if old := f.tracker.find(k); old != nil && !old.expired(p.At()) {
		return false // in the place of one that has ended
	}
	if !p.Probing() {
		for _, own := range i.ifaces {
			own.tracker.sweepDue(p.At())
		}
	}
	if i.tracked(p.At()) < i.conntrack.most {
		return false
	}
	if !p.Probing() {
		i.conntrack.exceeded += uint64(p.Segments())
	}
	rule := fmt.Sprintf("%v tracks %d connections, and may track no more", i, i.conntrack.most)
	return p.Blocked(f.hop(f, k.dir, rule, codeConntrackAllowance))
}

// sweepDue sweeps the table if anything in it may have idled out.
func (t *tracker) sweepDue(now time.Duration) {
	if now >= t.soonest {
		t.sweep(now)
	}
}
