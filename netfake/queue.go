package netfake

import (
	"slices"
	"time"

	"github.com/netspec-go/netspec/internal/sched"
)

// Bandwidth is how much a link carries in one direction, and how much waits in front of
// it while it is busy. The zero Bandwidth is unlimited.
//
// What counts is IP packets, with their headers and with what encapsulates them, and
// without the frames of the wire below. A packet arrives when its last bit has crossed.
// The queue is one, first in first out; a packet that finds it full is dropped.
type Bandwidth struct {
	// Bits is how many bits cross in a second. If 0, any number does at once.
	Bits int64

	// QueueBytes is how many bytes wait behind the packet that is being sent. If 0,
	// as many as cross in DefaultQueue, and no less than ten packets of InternetMTU;
	// if QueuePackets says something, no limit.
	QueueBytes int

	// QueuePackets is how many packets wait. If 0, any number.
	QueuePackets int
}

// DefaultQueue is how long the last packet of a full queue waits, where a test does not
// size it: the round trip of 250 ms for which router buffers are sized by the rule of
// thumb (Appenzeller, Keslassy and McKeown, "Sizing Router Buffers", SIGCOMM 2004).
const DefaultQueue = 250 * time.Millisecond

// SetBandwidth limits each direction of the link to a bandwidth of its own. Packets that
// wait keep their time. A TCP sender, of whatever age, controls congestion (NewReno) from
// its first packet on that crosses a limited link; one that never meets a limit sends
// what its peer's window allows. Negative numbers fail the test.
func (l *Link) SetBandwidth(b Bandwidth) {
	l.world.tb.Helper()
	l.forth.SetBandwidth(b)
	l.back.SetBandwidth(b)
}

// SetBandwidth limits one direction of the link, as Link.SetBandwidth does both.
func (y *Way) SetBandwidth(b Bandwidth) {
	w := y.link.world
	w.tb.Helper()
	if b.Bits < 0 || b.QueueBytes < 0 || b.QueuePackets < 0 {
		w.tb.Fatalf("netfake: link %v: a negative number in %+v", y, b)
	}
	if b.Bits > 0 && b.QueueBytes == 0 && b.QueuePackets == 0 {
		b.QueueBytes = max(int(b.Bits/8/int64(time.Second/DefaultQueue)), 10*InternetMTU)
	}
	w.Do(func(time.Duration) { y.queue.bandwidth = b })
}

// queue is what waits in front of one direction of a link.
//
// What enters at an instant is looked at one nanosecond later, in the order of its keys,
// so that it does not show which of two goroutines sent first. The times are those of the
// instant itself.
type queue struct {
	bandwidth Bandwidth
	entered   waiting // packets of the present instant
	event     sched.Event
	idle      time.Duration // when the last bit of all that was taken has left
	line      []departure   // of the packets that wait, the first that leaves first
	gone      int           // how many of the line have begun to leave
	bytes     int           // that wait
}

// departure is when a packet that waits begins to leave.
type departure struct {
	at   time.Duration
	size int
}

// limited reports whether packets have to queue: there is a bandwidth, or there are
// still some in front from when there was.
func (q *queue) limited(now time.Duration) bool {
	return q.bandwidth.Bits > 0 || len(q.entered) > 0 || q.idle > now
}

// enter takes p from its sender.
func (q *queue) enter(y *Way, p *Packet) {
	w := y.link.world
	if p.conn != nil {
		p.conn.machine.ControlCongestion()
	}
	p.at = w.now
	q.entered = append(q.entered, p)
	queued := q.event.Queued()
	q.event.Idle = p.event.Idle && (q.event.Idle || !queued)
	if !queued {
		q.event.At = w.now + 1
		w.queue.Push(&q.event)
	}
}

// queueTask is the queue's place in the world's.
type queueTask Way

// Fire looks at the packets of the instant that has just passed.
func (t *queueTask) Fire(now time.Duration) {
	y := (*Way)(t)
	q := &y.queue
	all := q.entered
	slices.SortStableFunc(all, comparePackets)
	n := 0
	for n < len(all) && all[n].at < now {
		y.admit(all[n])
		n++
	}
	rest := copy(all, all[n:])
	clear(all[rest:])
	if q.entered = all[:rest]; rest > 0 {
		q.event.At = now + 1
		y.link.world.queue.Push(&q.event)
	}
}

// admit puts p into the queue, or drops it if that is full.
func (y *Way) admit(p *Packet) {
	q := &y.queue
	q.forget(p.at)
	starts := max(p.at, q.idle)
	if starts > p.at {
		if q.full(p.Len()) {
			y.stats.Overflowed++
			p.drop(Hop{Place: y.link.name, By: y.link, Rule: "the queue is full"})
			y.link.world.packets.put(p)
			return
		}
		y.stats.Waited++
		q.line = append(q.line, departure{starts, p.Len()})
		q.bytes += p.Len()
	}
	q.idle = starts + q.bandwidth.time(p.Len())
	takes, what := y.carry(p, q.idle)
	y.proceed(p, takes, what)
}

// forget takes out of the line what has begun to leave by now.
func (q *queue) forget(now time.Duration) {
	for q.gone < len(q.line) && q.line[q.gone].at <= now {
		q.bytes -= q.line[q.gone].size
		q.gone++
	}
	if q.gone > len(q.line)/2 {
		q.line = append(q.line[:0], q.line[q.gone:]...)
		q.gone = 0
	}
}

// full reports whether a packet of a size finds no room.
func (q *queue) full(size int) bool {
	b := &q.bandwidth
	return (b.QueueBytes > 0 && q.bytes+size > b.QueueBytes) || (b.QueuePackets > 0 && len(q.line)-q.gone >= b.QueuePackets)
}

// time returns how long a packet takes to leave, rounded up to a nanosecond.
func (b *Bandwidth) time(size int) time.Duration {
	if b.Bits == 0 {
		return 0
	}
	bits := int64(size) * 8
	return time.Duration((bits*int64(time.Second) + b.Bits - 1) / b.Bits)
}
