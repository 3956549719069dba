package netfake

import (
	"fmt"
	"io"
	"time"

	"github.com/netspec-go/netspec/internal/pcapng"
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
	err    error
}

// Capture starts to write what passes the world's taps to out, until it is stopped or
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
		err = c.err
	})
	if err != nil {
		return fmt.Errorf("netfake: capture: %w", err)
	}
	return nil
}

func (c *Capture) write(t *Tap, p *Packet) {
	if c.err != nil || (c.wanted != nil && !c.wanted(t.name)) {
		return
	}
	id, ok := c.ifaces[t]
	if !ok {
		id, c.err = c.out.AddInterface(t.name)
		c.ifaces[t] = id
	}
	if c.err == nil {
		c.err = c.out.WritePacket(id, c.world.Time(p.at), p.Bytes(), "")
	}
}
