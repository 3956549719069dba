package fabricfake

import (
	"math"
	"net/netip"
	"time"

	"github.com/netspec-go/netspec/internal/wire"
	"github.com/netspec-go/netspec/netfake"
)

// Idle times after which a tracked connection is forgotten. Source of the first four:
// https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/security-group-connection-tracking.html
// The others are not documented; they are those of Linux's nf_conntrack.
const (
	DefaultTCPEstablished = 432000 * time.Second
	DefaultUDPStream      = 180 * time.Second
	DefaultUDPSingle      = 30 * time.Second
	otherTimeout          = 600 * time.Second // ICMP and every other protocol

	tcpOpening = 120 * time.Second // from the SYN to the end of the handshake
	tcpClosed  = 120 * time.Second // after FINs both ways
	tcpReset   = 10 * time.Second  // after a RST
)

// ConnectionTracking sets an interface's idle timeouts. The zero ConnectionTracking
// is the real service's default.
type ConnectionTracking struct {
	// TCPEstablished is from 60 s to 432000 s. If 0, it is DefaultTCPEstablished.
	TCPEstablished time.Duration

	// UDPStream holds after the second exchange of request and response. It is
	// from 60 s to 180 s; if 0, it is DefaultUDPStream.
	UDPStream time.Duration

	// UDPSingle holds up to the first exchange of request and response. It is from
	// 30 s to 60 s; if 0, it is DefaultUDPSingle.
	UDPSingle time.Duration
}

// check tells which value the API would refuse.
func (c ConnectionTracking) check() error {
	for _, v := range []struct {
		name              string
		value, from, upto time.Duration
	}{
		{"TCPEstablished", c.TCPEstablished, 60 * time.Second, DefaultTCPEstablished},
		{"UDPStream", c.UDPStream, 60 * time.Second, DefaultUDPStream},
		{"UDPSingle", c.UDPSingle, DefaultUDPSingle, 60 * time.Second},
	} {
		if v.value != 0 && (v.value < v.from || v.value > v.upto) {
			return refuse(codeParameterValue, "ConnectionTracking.%s is %v: it is from %v to %v", v.name, v.value, v.from, v.upto)
		}
	}
	return nil
}

// tracker remembers the connections of one interface, so that their packets pass in
// both directions whatever the rules have become. Connections that idled out are
// found so when they are looked up, and cleared away now and then.
type tracker struct {
	timeouts ConnectionTracking
	table    map[uint64]*connection
	opened   uint64        // how many connections were put there
	size     int           // how many are there, those too that have idled out
	sweepAt  int           // the size at which the table is swept next
	soonest  time.Duration // nothing idles out before
}

const smallestSweep = 1024

// connection is a tracked connection.
type connection struct {
	flow   netfake.Flow // as the interface sends it, whoever began
	opener netfake.Direction
	next   *connection // another flow with the same hash

	last  time.Duration // when its last packet passed
	turn  netfake.Direction
	turns uint8 // how often the direction changed, up to enoughTurns
	fins  uint8 // a bit for each direction that has sent FIN
	reset bool
	idle  time.Duration // how long it may be idle
}

// The turns after which a connection has proved itself: for TCP the opener's answer to
// the answer, for UDP the second response.
const (
	tcpTurns    = 2
	udpTurns    = 3
	enoughTurns = udpTurns
)

const (
	flagFIN = 1
	flagSYN = 2
	flagRST = 4
	flagACK = 16
)

func newTracker(c ConnectionTracking) *tracker {
	if c.TCPEstablished == 0 {
		c.TCPEstablished = DefaultTCPEstablished
	}
	if c.UDPStream == 0 {
		c.UDPStream = DefaultUDPStream
	}
	if c.UDPSingle == 0 {
		c.UDPSingle = DefaultUDPSingle
	}
	return &tracker{timeouts: c, sweepAt: smallestSweep}
}

// trackKey is a packet's flow in the eyes of a tracker.
type trackKey struct {
	flow netfake.Flow      // as the interface sends it
	hash uint64            // of flow
	dir  netfake.Direction // in which the packet travels
}

// keyFor returns the key of a flow that travels in a direction.
func keyFor(dir netfake.Direction, f netfake.Flow) trackKey {
	f = orient(dir, f)
	return trackKey{flow: f, hash: f.Hash(), dir: dir}
}

// orient returns the flow as the interface sends it.
func orient(dir netfake.Direction, f netfake.Flow) netfake.Flow {
	if dir == netfake.Ingress {
		return f.Reverse()
	}
	return f
}

// opposite returns the other direction.
func opposite(dir netfake.Direction) netfake.Direction {
	if dir == netfake.Egress {
		return netfake.Ingress
	}
	return netfake.Egress
}

// lookup returns the connection that a packet belongs to, nil if there is none or it
// has idled out. A SYN does not belong to a connection that has ended. The packet
// changes nothing until observe is called.
func (t *tracker) lookup(k *trackKey, tcpFlags uint8, now time.Duration) *connection {
	c := t.find(k)
	if c == nil || c.expired(now) {
		return nil
	}
	if c.ended() && k.flow.Proto == netfake.TCP && opens(tcpFlags) {
		return nil
	}
	return c
}

// lingers reports whether there is a connection that has ended, to which a SYN does not belong
// but what follows it does.
func (t *tracker) lingers(k *trackKey, now time.Duration) bool {
	c := t.find(k)
	return c != nil && !c.expired(now)
}

// related returns the connection that an ICMP error speaks of, nil if there is none:
// inner is the flow of the packet that the error quotes, which travelled the other way.
func (t *tracker) related(dir netfake.Direction, inner netfake.Flow, now time.Duration) *connection {
	k := keyFor(opposite(dir), inner)
	c := t.find(&k)
	if c == nil || c.expired(now) {
		return nil
	}
	return c
}

// relatedEcho is related for an error that quotes an echo, a request or a reply: only the
// side that asked has the identifier, see echoFlow.
func (t *tracker) relatedEcho(dir netfake.Direction, inner netfake.Flow, now time.Duration) bool {
	request, reply := inner, inner
	request.Dst = netip.AddrPortFrom(request.Dst.Addr(), 0)
	reply.Src = netip.AddrPortFrom(reply.Src.Addr(), 0)
	return t.related(dir, request, now) != nil || t.related(dir, reply, now) != nil
}

func (t *tracker) find(k *trackKey) *connection {
	c := t.table[k.hash]
	for c != nil && c.flow != k.flow {
		c = c.next
	}
	return c
}

// opens reports whether TCP flags are those of a connection's first packet.
func opens(tcpFlags uint8) bool { return tcpFlags&(flagSYN|flagACK|flagRST) == flagSYN }

// admits reports whether a packet that the rules allow and that has no connection may
// open one. Of TCP only a SYN may; others belong to a connection that was forgotten,
// and are dropped without a word.
func admits(f netfake.Flow, tcpFlags uint8) bool {
	return f.Proto != netfake.TCP || opens(tcpFlags)
}

// insert remembers the connection that a packet opens, and returns it. It must not be
// called for a probe, whose time may be ahead of the world's.
func (t *tracker) insert(k *trackKey, now time.Duration) *connection {
	if t.size >= t.sweepAt {
		t.sweep(now)
	}
	return t.put(k, now)
}

// try does what insert does for a probe, and returns how to take it back.
func (t *tracker) try(k *trackKey, now time.Duration) (undo func()) {
	if old := t.find(k); old != nil {
		undo = old.save()
	} else {
		own := *k
		undo = func() { t.remove(&own) }
	}
	t.put(k, now)
	return undo
}

// put opens a connection, in the place of one that has ended.
func (t *tracker) put(k *trackKey, now time.Duration) *connection {
	t.opened++
	c := t.find(k)
	if c == nil {
		if t.table == nil {
			t.table = make(map[uint64]*connection)
		}
		c = &connection{next: t.table[k.hash]}
		t.table[k.hash] = c
		t.size++
	}
	*c = connection{flow: k.flow, next: c.next, opener: k.dir, turn: k.dir, last: now}
	t.setIdle(c)
	return c
}

func (t *tracker) remove(k *trackKey) {
	t.set(k.hash, without(t.table[k.hash], func(c *connection) bool {
		if c.flow == k.flow {
			t.size--
		}
		return c.flow == k.flow
	}))
}

// sweep clears away what has idled out.
func (t *tracker) sweep(now time.Duration) {
	t.size, t.soonest = 0, never
	for hash, c := range t.table {
		t.set(hash, without(c, func(c *connection) bool {
			gone := c.expired(now)
			if !gone {
				t.size++
				t.soonest = min(t.soonest, c.last+c.idle)
			}
			return gone
		}))
	}
	t.sweepAt = max(2*t.size, smallestSweep)
}

// never is later than anything.
const never = time.Duration(math.MaxInt64)

// live returns how many connections have not idled out.
func (t *tracker) live(now time.Duration) (n int) {
	if now < t.soonest {
		return t.size
	}
	for _, head := range t.table {
		for c := head; c != nil; c = c.next {
			if !c.expired(now) {
				n++
			}
		}
	}
	return n
}

func (t *tracker) set(hash uint64, head *connection) {
	if head == nil {
		delete(t.table, hash)
		return
	}
	t.table[hash] = head
}

// without returns the chain without the connections that drop names.
func without(c *connection, drop func(*connection) bool) *connection {
	if c == nil {
		return nil
	}
	c.next = without(c.next, drop)
	if drop(c) {
		return c.next
	}
	return c
}

// observe takes note of a packet of the connection that has passed.
func (t *tracker) observe(c *connection, dir netfake.Direction, tcpFlags uint8, now time.Duration) {
	c.last = now
	if dir != c.turn {
		c.turn = dir
		c.turns = min(c.turns+1, enoughTurns)
	}
	if c.flow.Proto == netfake.TCP {
		c.reset = c.reset || tcpFlags&flagRST != 0
		if tcpFlags&flagFIN != 0 {
			c.fins |= 1 << dir
		}
	}
	t.setIdle(c)
}

// setIdle works out anew how long a connection may be idle.
func (t *tracker) setIdle(c *connection) {
	c.idle = t.idle(c)
	t.soonest = min(t.soonest, c.last+c.idle)
}

// idle returns how long the connection may be idle in its state.
func (t *tracker) idle(c *connection) time.Duration {
	switch {
	case c.flow.Proto == netfake.UDP && c.turns >= udpTurns:
		return t.timeouts.UDPStream
	case c.flow.Proto == netfake.UDP:
		return t.timeouts.UDPSingle
	case c.flow.Proto != netfake.TCP:
		return otherTimeout
	case c.reset:
		return tcpReset
	case c.ended():
		return tcpClosed
	case c.turns < tcpTurns:
		return tcpOpening
	}
	return t.timeouts.TCPEstablished
}

// expired reports whether the connection has idled out: its timer goes off at the
// instant when it has been idle for as long as it may be.
func (c *connection) expired(now time.Duration) bool { return now-c.last >= c.idle }

// ended reports whether a TCP connection has closed or was reset.
func (c *connection) ended() bool {
	const both = 1<<netfake.Egress | 1<<netfake.Ingress
	return c.reset || c.fins == both
}

// save returns how to put the connection back into the state that it is in now: for
// a probe, before observe.
func (c *connection) save() (undo func()) {
	was := *c
	return func() {
		next := c.next
		*c = was
		c.next = next
	}
}

// trackKeyOf returns the key under which a packet's connection is tracked.
func trackKeyOf(p *netfake.Packet, dir netfake.Direction) trackKey {
	switch {
	case isICMP(p.Flow.Proto):
		return keyFor(dir, echoFlow(p))
	case dir == netfake.Egress:
		return trackKey{flow: p.Flow, hash: p.FlowHash(), dir: dir}
	}
	return keyFor(dir, p.Flow)
}

// echoFlow returns the flow under which a packet of ICMP is tracked. Of an echo only the
// side that asks has the identifier, so that a request of the other side, with the same
// identifier, is not taken for an answer.
func echoFlow(p *netfake.Packet) netfake.Flow {
	flow := p.Flow
	request, reply := wire.ICMPEchoRequest, wire.ICMPEchoReply
	if flow.Proto == netfake.ICMPv6 {
		request, reply = wire.ICMPv6EchoRequest, wire.ICMPv6EchoReply
	}
	switch typ, _ := p.ICMPType(); typ {
	case request:
		flow.Dst = netip.AddrPortFrom(flow.Dst.Addr(), 0)
	case reply:
		flow.Src = netip.AddrPortFrom(flow.Src.Addr(), 0)
	}
	return flow
}

// isICMP reports whether a protocol is ICMP of either family.
func isICMP(proto netfake.Protocol) bool { return proto == netfake.ICMP || proto == netfake.ICMPv6 }
