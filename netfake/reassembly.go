package netfake

import (
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/netspec-go/netspec/internal/wire"
)

// Numbers of Linux's reassembly.
const (
	// FragmentTimeout is how long a host waits for the fragments of a datagram, from the
	// first that comes (net.ipv4.ipfrag_time).
	FragmentTimeout = 30 * time.Second

	// FragmentTimeout6 is the same for IPv6 (net.ipv6.ip6frag_time; RFC 8200 section 4.5).
	FragmentTimeout6 = 60 * time.Second

	// FragmentMemory is how much memory fragments take, of each family, before those of
	// another datagram are dropped (net.ipv4.ipfrag_high_thresh, net.ipv6.ip6frag_high_thresh).
	FragmentMemory = 4 << 20
)

// FragmentStats counts what a host did with fragments, of both families together: what
// Linux counts as FragOKs, FragCreates, ReasmReqds, ReasmOKs and ReasmTimeout.
type FragmentStats struct {
	Cut      uint64 // datagrams that were sent in fragments
	Sent     uint64 // fragments that they became
	Received uint64 // fragments that came for the host
	Joined   uint64 // datagrams that were put together
	TimedOut uint64 // datagrams of which something was missing for too long

	Duplicates uint64 // fragments that had come already, which changes nothing
	Refused    uint64 // datagrams whose fragments overlap or contradict one another
	Overflowed uint64 // fragments for which there was no memory
}

// FragmentStats returns what the host did with fragments so far.
func (h *Host) FragmentStats() FragmentStats {
	h.world.lock()
	defer h.world.unlock()
	return h.fragments
}

// assembly is the datagrams of one family that a host is putting together.
type assembly struct {
	host    *Host
	timeout time.Duration
	of      map[datagramID]*puzzle
	oldest  []*puzzle // all of them, the one that began first is the first
	memory  int       // in truesizes
	timer   *Timer
}

// datagramID tells a datagram from others, of the fragments that come to a host: of IPv6
// without the protocol.
type datagramID struct {
	src, dst netip.Addr
	proto    uint8
	id       uint32
}

func datagramOf(f *wire.Fragment) datagramID {
	d := datagramID{f.Src, f.Dst, f.Proto, f.ID}
	if !f.Src.Is4() {
		d.proto = 0
	}
	return d
}

// puzzle is a datagram of which fragments have come.
type puzzle struct {
	id      datagramID
	until   time.Duration
	extents extents
	parts   []*Packet // that are of use, as they came
	first   *Packet   // the one with the transport header, nil if it has not come
	memory  int
}

// reassemble takes a fragment that has come to the host. The one that completes a datagram
// goes on as that, and its trace with it.
func (h *Host) reassemble(p *Packet) Next {
	f, ok := wire.ParseFragment(p.Bytes())
	if !ok || p.probe != nil {
		return h.drop(p, "no fragment that can be read", "")
	}
	h.fragments.Received++
	if fault := fragmentFault(&f); fault != "" {
		h.complain(p, ParameterProblem)
		return h.drop(p, fault, "")
	}
	a := h.assemblyFor(f.Src)
	z := a.find(datagramOf(&f))
	if z == nil {
		h.fragments.Overflowed++
		return h.drop(p, fmt.Sprintf("fragments take more than %d bytes already", FragmentMemory), "")
	}
	trim(&f)
	switch fit, why := z.extents.add(f.Offset, f.Offset+f.End-f.Start, f.MF); fit {
	case duplicate:
		h.fragments.Duplicates++
		return h.drop(p, why, "")
	case misfit:
		h.fragments.Refused++
		a.drop(z, why)
		return h.drop(p, why, "")
	}
	a.keep(z, p, &f)
	if z.extents.complete() {
		a.finish(z, p)
	} else if p.trace != nil {
		p.trace.To = h.name
		p.Passed(h.hop("a fragment: waits for the rest of its datagram", ""))
	}
	return Next{fate: wayEndsKept}
}

// trim leaves of a fragment of IPv4 that is not the last what its length should be, a
// multiple of 8.
func trim(f *wire.Fragment) {
	if f.MF {
		f.End -= (f.End - f.Start) % 8
	}
}

// fragmentFault says what is wrong with a fragment of IPv6 by itself, of which its sender is
// told (RFC 8200, section 4.5). IPv4 has no such answer.
func fragmentFault(f *wire.Fragment) string {
	switch n := f.End - f.Start; {
	case f.Src.Is4():
		return ""
	case f.MF && n%8 != 0:
		return fmt.Sprintf("a fragment of %d bytes which is not the last", n)
	case f.Offset+n > 65535:
		return fmt.Sprintf("a fragment whose end is at %d bytes", f.Offset+n)
	}
	return ""
}

// assemblyFor returns the datagrams of a family.
func (h *Host) assemblyFor(family netip.Addr) *assembly {
	at, name := 0, " fragments"
	if !family.Is4() {
		at, name = 1, " fragments of IPv6"
	}
	if h.assembly[at] == nil {
		a := &assembly{host: h, timeout: timeoutOf(family), of: map[datagramID]*puzzle{}}
		a.timer = h.world.NewTimer(h.name+name, a.expire)
		h.assembly[at] = a
	}
	return h.assembly[at]
}

// find returns a datagram, which may be a new one; nil if there is no memory for one more.
// Those that have begun may go on.
func (a *assembly) find(id datagramID) *puzzle {
	if z := a.of[id]; z != nil {
		return z
	}
	if a.memory > FragmentMemory {
		return nil
	}
	z := &puzzle{id: id, until: a.host.world.now + a.timeout}
	a.of[id] = z
	a.oldest = append(a.oldest, z)
	if len(a.oldest) == 1 {
		a.timer.Set(z.until)
	}
	return z
}

// keep takes a fragment that is of use.
func (a *assembly) keep(z *puzzle, p *Packet, f *wire.Fragment) {
	z.parts = append(z.parts, p)
	if f.Offset == 0 {
		z.first = p
	}
	n := truesize(p.Len())
	z.memory += n
	a.memory += n
}

// forget forgets a datagram.
func (a *assembly) forget(z *puzzle) {
	delete(a.of, z.id)
	i := slices.Index(a.oldest, z)
	a.oldest = slices.Delete(a.oldest, i, i+1)
	a.memory -= z.memory
	if i > 0 {
		return
	}
	if a.timer.Stop(); len(a.oldest) > 0 {
		a.timer.Set(a.oldest[0].until)
	}
}

// drop drops the fragments of a datagram for a reason.
func (a *assembly) drop(z *puzzle, why string) {
	h := a.host
	a.forget(z)
	for _, p := range z.parts {
		p.at = h.world.now
		h.drop(p, why, "")
		h.world.packets.put(p)
	}
}

// expire drops what has not been completed in time, and tells the sender if the first
// fragment is there (RFC 792, RFC 8200 section 4.5).
func (a *assembly) expire(now time.Duration) {
	h := a.host
	for len(a.oldest) > 0 && a.oldest[0].until <= now {
		z := a.oldest[0]
		h.fragments.TimedOut++
		if z.first != nil {
			z.first.at = now
			h.complain(z.first, ReassemblyTimeExceeded)
		}
		a.drop(z, fmt.Sprintf("the datagram is not complete after %v", a.timeout))
	}
}

// finish has the host accept a datagram that p has completed.
func (a *assembly) finish(z *puzzle, p *Packet) {
	h, w, n := a.host, a.host.world, z.extents.end
	whole, err := z.join(n)
	if err != nil {
		h.fragments.Refused++
		a.drop(z, "what the fragments make together: "+err.Error())
		return
	}
	h.fragments.Joined++
	a.forget(z)
	whole.at, whole.node, whole.from, whole.trace = p.at, p.node, p.from, p.trace
	if p.trace = nil; whole.trace != nil {
		whole.Passed(h.hop(fmt.Sprintf("completes a datagram of %d bytes", n), ""))
	}
	for _, q := range z.parts {
		q.at = w.now
		h.deliver(q, fmt.Sprintf("a fragment of a datagram of %d bytes, which is complete", n))
		w.packets.put(q)
	}
	if h.accept(whole).fate != wayEndsKept {
		w.packets.put(whole)
	}
}

// join puts the datagram's n bytes together.
func (z *puzzle) join(n int) (*Packet, error) {
	first := z.first
	f, _ := wire.ParseFragment(first.Bytes())
	head := f.AppendWhole(make([]byte, 0, f.Start), first.Bytes(), n)
	if first.Flow.Src.Addr().Is4() && len(head)+n > 65535 {
		return nil, wire.ErrLength
	}
	whole := first.world.NewPacket(len(head)+n, first.event.Key, first.event.Seq)
	b := whole.Bytes()
	copy(b, head)
	for _, p := range z.parts {
		q, _ := wire.ParseFragment(p.Bytes())
		trim(&q)
		copy(b[len(head)+q.Offset:], p.Bytes()[q.Start:q.End])
	}
	if err := whole.Decode(); err != nil {
		return nil, err
	}
	if whole.IsFragment() {
		return nil, errNested
	}
	return whole, nil
}

// forgetFragments forgets what has come so far, as when the host is switched off.
func (h *Host) forgetFragments() {
	for i, a := range h.assembly {
		if a == nil {
			continue
		}
		a.timer.Stop()
		for _, z := range a.oldest {
			for _, p := range z.parts {
				h.world.packets.put(p)
			}
		}
		h.assembly[i] = nil
	}
}
