package netfake

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/netspec-go/netspec/internal/pcapng"
	"github.com/netspec-go/netspec/internal/wire"
)

// Tap is a place where packets can be captured: a physical host's wire, an uplink.
type Tap struct {
	world *World
	name  string
}

// Tap makes a tap. Nodes call Record for what passes.
func (w *World) Tap(name string) *Tap {
	t := &Tap{world: w, name: name}
	w.Do(func(time.Duration) { w.taps = append(w.taps, t) })
	return t
}

// Record captures p as it is now, if anybody listens. It may be called only inside
// the scheduler.
func (t *Tap) Record(p *Packet) { t.record(p) }

func (t *Tap) record(p *Packet) {
	if len(t.world.captures) == 0 || p.probe != nil {
		return
	}
	if p.train == 0 {
		t.write(p)
		return
	}
	for i := range p.Segments() {
		q := p.segment(i)
		t.write(q)
		t.world.packets.put(q)
	}
}

func (t *Tap) write(p *Packet) {
	for _, c := range t.world.captures {
		c.write(t, p)
	}
}

// Capture writes packets to a pcapng file, one interface for each tap. It is safe for
// concurrent use.
type Capture struct {
	world  *World
	out    *pcapng.Writer
	wanted func(tap string) bool
	ifaces map[*Tap]int
	moment []captured // what passed at the latest instant, not written yet
	err    error
}

// captured is a packet that waits to be written.
type captured struct {
	at   time.Duration
	tap  *Tap
	key  uint64 // of the conversation, the same in both directions
	data []byte
}

// Capture starts to write what passes the world's taps to out, which must not block and
// must not call the world: writing is part of the scheduler. It goes on until it is stopped or
// the world closes; a nil tap func wants every tap. Wireshark reads it.
func (w *World) Capture(out io.Writer, tap func(name string) bool) *Capture {
	c := &Capture{world: w, wanted: tap, ifaces: map[*Tap]int{}}
	c.out, c.err = pcapng.NewWriter(out)
	w.Do(func(time.Duration) { w.captures = append(w.captures, c) })
	return c
}

// Stop ends the capture and returns the first error in writing it.
func (c *Capture) Stop() error {
	var err error
	c.world.Do(func(time.Duration) {
		for i, other := range c.world.captures {
			if other == c {
				c.world.captures = append(c.world.captures[:i:i], c.world.captures[i+1:]...)
				break
			}
		}
		c.flush()
		err = c.err
	})
	if err != nil {
		return fmt.Errorf("netfake: capture: %w", err)
	}
	return nil
}

// write notes a packet. What passes at one instant is written once the instant is over,
// in an order that does not depend on which goroutine sent first.
func (c *Capture) write(t *Tap, p *Packet) {
	if c.err != nil || (c.wanted != nil && !c.wanted(t.name)) {
		return
	}
	if len(c.moment) > 0 && c.moment[0].at != p.at {
		c.flush()
	}
	key := mix(uint64(p.network()), p.Flow.Hash()^p.Flow.Reverse().Hash())
	c.moment = append(c.moment, captured{p.at, t, key, bytes.Clone(p.Bytes())})
}

// network returns the number of the network that an encapsulated packet belongs to, 0 for
// one that is not encapsulated: two networks may have equal addresses.
func (p *Packet) network() uint32 {
	const vni = wire.IPv4HeaderLen + wire.UDPHeaderLen + 4 // in GENEVE's third and fourth word
	if b := p.Bytes(); p.l4-p.head > vni+4+wire.IPv4HeaderLen {
		return binary.BigEndian.Uint32(b[vni:]) >> 8
	}
	return 0
}

// flush writes the packets of the latest instant: tap by tap and conversation by
// conversation. Inside a conversation they stay in their order, in which an answer comes
// after what it answers.
func (c *Capture) flush() {
	slices.SortStableFunc(c.moment, func(a, b captured) int {
		return cmp.Or(cmp.Compare(a.tap.name, b.tap.name), cmp.Compare(a.key, b.key))
	})
	for _, p := range c.moment {
		id, ok := c.ifaces[p.tap]
		if !ok && c.err == nil {
			id, c.err = c.out.AddInterface(p.tap.name)
			c.ifaces[p.tap] = id
		}
		if c.err == nil {
			c.err = c.out.WritePacket(id, c.world.Time(p.at), p.data, "")
		}
	}
	c.moment = c.moment[:0]
}
