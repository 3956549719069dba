package netfake

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
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
	if w := t.world; (len(w.captures) != 0 || w.box != nil) && p.probe == nil {
		w.capture(t, p, "")
	}
}

// capture hands a packet at a tap, with a comment if there is something to say, to all who
// listen: of a train, its segments.
func (w *World) capture(t *Tap, p *Packet, comment string) {
	if p.train > 0 {
		for i := range p.Segments() {
			q := p.segment(i)
			w.capture(t, q, comment)
			w.packets.put(q)
		}
		return
	}
	flow := p.Flow
	if p.IsFragment() { // the first has ports, and is to stay with the others
		flow = addrFlow(flow.Proto, flow.Src.Addr(), flow.Dst.Addr())
	}
	key := mix(uint64(p.network()), flow.Hash()^flow.Reverse().Hash())
	seen := captured{p.at, t, key, bytes.Clone(p.Bytes()), comment}
	for _, c := range w.captures {
		c.note(seen)
	}
	if w.box != nil {
		w.box.add(seen)
	}
}

// DroppedTap is the name of the tap at which every packet passes that is dropped, as it
// was there, with a comment: "DROP sg db ingress: no rule matches
// (ENI_SG_RULES_MISMATCH)". Wireshark's filter frame.comment finds them.
const DroppedTap = "dropped"

// captureDrop records a packet that h drops.
func (w *World) captureDrop(p *Packet, h *Hop) {
	if len(w.captures) == 0 && w.box == nil {
		return
	}
	if w.dropped == nil {
		w.dropped = &Tap{world: w, name: DroppedTap}
	}
	w.capture(w.dropped, p, h.reason())
}

// reason returns why a hop dropped a packet: the component, the rule and the code.
func (h *Hop) reason() string {
	s := strings.TrimSpace("DROP "+h.what()+" "+h.Direction.String()) + ": " + h.Rule
	if h.Code != "" {
		s += " (" + string(h.Code) + ")"
	}
	return s
}

// Capture writes packets to a pcapng file, one interface for each tap. It is safe for
// concurrent use.
type Capture struct {
	world  *World
	file   *pcapng.Writer // into full
	wanted func(tap string) bool
	ifaces map[*Tap]int
	moment []captured // what passed at the latest instant, not in full yet

	out     io.Writer
	full    bytes.Buffer // what is still to be written to out
	changed sync.Cond    // full has grown, or the writer is done
	stopped bool
	written bool // the writer has ended
	err     error
}

// captured is a packet that waits to be written.
type captured struct {
	at      time.Duration
	tap     *Tap
	key     uint64 // of the conversation, the same in both directions
	data    []byte
	comment string
}

// captureChunk is how many bytes of a capture are written at a time.
const captureChunk = 64 << 10

// Capture starts to write what passes the world's taps to out: a piece whenever there is
// enough of it, and the rest when the capture stops or the world closes. A goroutine of the
// capture's own writes, so that out may block and may call the world. A nil tap func wants
// every tap; another runs inside the scheduler and must not lock the world. Packets that
// are dropped appear at the tap DroppedTap too, with the reason as a comment. Wireshark
// reads the file.
func (w *World) Capture(out io.Writer, tap func(name string) bool) *Capture {
	w.tb.Helper()
	if out == nil {
		w.tb.Fatalf("netfake: Capture: there is no writer")
	}
	c := w.newCapture(out, tap)
	w.Do(func(time.Duration) {
		if c.stopped = w.closed; !c.stopped {
			w.captures = append(w.captures, c)
		}
	})
	go c.run()
	return c
}

func (w *World) newCapture(out io.Writer, tap func(name string) bool) *Capture {
	c := &Capture{world: w, wanted: tap, ifaces: map[*Tap]int{}, out: out}
	c.changed.L = &w.mu
	c.file, c.err = pcapng.NewWriter(&c.full)
	return c
}

// Stop ends the capture, waits until everything is written, and returns the first error
// in writing it.
func (c *Capture) Stop() error {
	w := c.world
	w.lock()
	w.captures = slices.DeleteFunc(w.captures, func(other *Capture) bool { return other == c })
	err := c.finish()
	w.unlock()
	if err != nil {
		return fmt.Errorf("netfake: capture: %w", err)
	}
	return nil
}

// finish lets the writer write the rest and waits for it.
func (c *Capture) finish() error {
	c.flush()
	c.stopped = true
	c.world.wake(&c.changed)
	for !c.written {
		c.world.wait(&c.changed)
	}
	return c.err
}

// run writes what there is, outside of the world's lock: a writer that takes its time
// holds up nobody but Stop.
func (c *Capture) run() {
	w := c.world
	w.lock()
	defer w.unlock()
	for {
		for !c.stopped && c.full.Len() < captureChunk {
			w.wait(&c.changed)
		}
		last, piece := c.stopped, bytes.Clone(c.full.Bytes())
		c.full.Reset()
		if err := c.err; err == nil && len(piece) > 0 {
			w.unlock()
			_, err = c.out.Write(piece)
			w.lock()
			c.err = cmp.Or(c.err, err)
		}
		if last {
			c.written = true
			w.wake(&c.changed)
			return
		}
	}
}

// note keeps a packet. What passes at one instant is written once the instant is over,
// in an order that does not depend on which goroutine sent first.
func (c *Capture) note(seen captured) {
	if c.err != nil || c.stopped || (c.wanted != nil && !c.wanted(seen.tap.name)) {
		return
	}
	if len(c.moment) > 0 && c.moment[0].at != seen.at {
		c.flush()
	}
	c.moment = append(c.moment, seen)
}

// network returns the number of the network that an encapsulated packet belongs to, 0 for
// one that is not encapsulated: two networks may have equal addresses.
func (p *Packet) network() uint32 {
	const vni = wire.IPv4HeaderLen + wire.UDPHeaderLen + 4 // in GENEVE's third and fourth word
	if b := p.Bytes(); p.l4-p.head > vni+4+wire.IPv4HeaderLen && b[0]>>4 == 4 {
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
			id, c.err = c.file.AddInterface(p.tap.name)
			c.ifaces[p.tap] = id
		}
		if c.err == nil {
			c.err = c.file.WritePacket(id, c.world.Time(p.at), p.data, p.comment)
		}
	}
	c.moment = c.moment[:0]
	if c.full.Len() >= captureChunk {
		c.world.wake(&c.changed)
	}
}
