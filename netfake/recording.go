package netfake

import (
	"cmp"
	"slices"
	"strings"
	"time"
)

// Recording collects the traces of packets. It is safe for concurrent use.
type Recording struct {
	world  *World
	match  func(Flow) bool
	traces []*Trace
}

// Record traces every packet that is sent from now on and whose flow, as it leaves,
// match accepts; a nil match accepts all. It goes on until Stop. Match runs inside the
// scheduler and must not call methods that lock the world.
func (w *World) Record(match func(Flow) bool) *Recording {
	r := &Recording{world: w, match: match}
	w.Do(func(time.Duration) { w.recordings = append(w.recordings, r) })
	return r
}

// Stop ends the recording. What it has, it keeps.
func (r *Recording) Stop() {
	r.world.Do(func(time.Duration) {
		r.world.recordings = slices.DeleteFunc(r.world.recordings, func(other *Recording) bool { return other == r })
	})
}

// Trace makes a packet that comes from no host's socket one that from has just sent:
// it is numbered, and has a trace if somebody records it. It may be called only inside the scheduler.
func (w *World) Trace(p *Packet, from string) {
	w.injected++
	p.event.Key, p.event.Seq = mix(hashString(from), p.Flow.Hash()), uint64(w.now)+w.injected
	w.startTrace(p, from)
}

// startTrace gives p a trace if somebody records it.
func (w *World) startTrace(p *Packet, from string) { w.startTraceOf(p, p.Flow, from) }

// startTraceOf is startTrace for a packet of a flow that does not stand in it.
func (w *World) startTraceOf(p *Packet, flow Flow, from string) {
	for _, r := range w.recordings {
		if r.match != nil && !r.match(flow) {
			continue
		}
		if p.trace == nil {
			p.trace = newTrace(p, from)
			p.trace.Flow = flow
		}
		r.traces = append(r.traces, p.trace)
	}
}

// Traces returns what was recorded, in the order in which the packets were sent; those
// of one instant by their flow. Hops that are still to come are not in it.
func (r *Recording) Traces() []Trace {
	r.world.lock()
	defer r.world.unlock()
	all := make([]Trace, len(r.traces))
	for i, t := range r.traces {
		all[i] = *t
		all[i].Hops = slices.Clone(t.Hops)
	}
	slices.SortStableFunc(all, func(a, b Trace) int {
		return cmp.Or(cmp.Compare(a.Sent, b.Sent), cmp.Compare(a.key, b.key), cmp.Compare(a.seq, b.seq))
	})
	return all
}

// String returns every trace in full, in the order of Traces.
func (r *Recording) String() string {
	var b strings.Builder
	for _, t := range r.Traces() {
		b.WriteString(t.String())
	}
	return b.String()
}

// Conversation is the packets between two ends, in both directions, whatever their
// addresses became on the way.
type Conversation struct {
	Flow   Flow // as the one who began sent it
	From   string
	To     string // "" if nothing arrived
	Traces []Trace
	Back   []bool // for each trace, whether it went back to the one who began
}

// Conversations returns what was recorded, sorted by who talked with whom, the
// conversation that began first, first. A reply is recognised by the addresses under
// which the packets that it answers arrived.
func (r *Recording) Conversations() []*Conversation {
	var all []*Conversation
	type end struct { // two hosts may have one address
		flow Flow
		host string
	}
	began, arrived := map[end]*Conversation{}, map[end]*Conversation{}
	for _, t := range r.Traces() {
		c, back := arrived[end{t.Flow.Reverse(), t.From}], true
		if c == nil {
			c, back = began[end{t.Flow, t.From}], false
		}
		if c == nil {
			c = &Conversation{Flow: t.Flow, From: t.From}
			began[end{t.Flow, t.From}] = c
			all = append(all, c)
		}
		c.Traces, c.Back = append(c.Traces, t), append(c.Back, back)
		if !back && len(t.Hops) > 0 && t.To != "" {
			c.To = t.To
			arrived[end{t.Hops[len(t.Hops)-1].Flow, t.To}] = c
		}
	}
	return all
}
