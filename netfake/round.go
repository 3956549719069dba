package netfake

import (
	"fmt"
	"strings"
)

// codeLoop is for a packet that goes round in circles, as a NAT gateway says it of one that
// its own route leads back. There is none of AWS for it.
const codeLoop Code = "ROUTING_LOOP"

// round is what a way repeats at its end: hops with a period, from a first one on.
type round struct{ first, period, end int }

// roundOf finds out what the hops before a last one that drops repeat at least three times;
// a period of 0 says that they do not.
func roundOf(hops []Hop) round {
	n := len(hops)
	if n > 0 && hops[n-1].Verdict == Drop {
		n--
	}
	for period := 1; 3*period <= n; period++ {
		first := n - period
		for first > 0 && hops[first-1].same(&hops[first-1+period]) {
			first--
		}
		if n-first >= 3*period {
			return round{first, period, n}
		}
	}
	return round{}
}

// same reports whether two hops are alike but for their time and their flow.
func (h *Hop) same(o *Hop) bool {
	return h.Place == o.Place && h.what() == o.what() && h.Direction == o.Direction && h.Rule == o.Rule && h.Verdict == o.Verdict
}

// describe names who stands on the circle, once around: "fw → rtb inspection → fw".
func (c round) describe(hops []Hop) string {
	var names []string
	for i := c.first; i <= c.first+c.period; i++ {
		if name := hops[i].what(); len(names) == 0 || names[len(names)-1] != name {
			names = append(names, name)
		}
	}
	return strings.Join(names, " → ")
}

// again says how often hops follow that were listed once.
func (c round) again() string {
	if c.period == 1 {
		return fmt.Sprintf("  … and so %d times more", c.end-c.first-c.period)
	}
	return fmt.Sprintf("  … and so these %d hops %d times more", c.period, (c.end-c.first)/c.period-1)
}

// wanders says of a packet that it goes round in circles and, of one that is traced, of
// which.
func (p *Packet) wanders() string {
	if p.trace == nil {
		return roundInCircles
	}
	c := roundOf(p.trace.Hops)
	if c.period == 0 {
		return roundInCircles
	}
	return roundInCircles + ": " + c.describe(p.trace.Hops)
}

// loopHop is where a packet ends that goes round in circles.
func (p *Packet) loopHop() Hop {
	return Hop{Place: p.node.String(), By: p.node, Rule: p.wanders(), Code: codeLoop}
}
