package netfake

import (
	"cmp"
	"slices"
	"time"
)

// power is how far a machine is switched on. The zero power is on.
type power uint8

const (
	powerOn     power = iota
	powerEnding       // its programs have ended, its stack still answers
	powerOff
)

// EndPrograms ends every program of the host, as an operating system does that shuts down:
// their sockets are closed, so that peers get what was written and a FIN, or a RST where
// something was not read. The stack goes on until PowerOff, and no socket can be opened. It
// may be called only inside the scheduler.
func (h *Host) EndPrograms() {
	if h.power != powerOn || h.down() {
		return
	}
	h.power = powerEnding
	for _, l := range h.allListeners() {
		l.end(h.world.now)
	}
	for _, c := range h.allConns() {
		c.endProgram(h.world.now)
	}
	for _, u := range h.udp {
		u.closeLocked()
	}
	for _, e := range h.echoes {
		e.failed = true
	}
	clear(h.listeners)
	clear(h.udp)
	h.world.wake(&h.changed)
}

// PowerOff switches the host off: it answers nothing, as if it had crashed, until PowerOn.
// It may be called only inside the scheduler.
func (h *Host) PowerOff() {
	h.power = powerOff
	h.shutdown()
}

// PowerOn switches the host on, with its interfaces and no sockets. It may be called only
// inside the scheduler.
func (h *Host) PowerOn() { h.power = powerOn }

// endProgram closes the connection unless its application has. One that is being opened
// fails.
func (c *TCPConn) endProgram(now time.Duration) {
	switch {
	case c.closed || c.listener != nil: // its listener's end is its own
	case c.opener != nil:
		c.kill()
		c.forget()
	default:
		c.end(now)
		c.sync()
	}
}

// allListeners and allConns return the host's sockets in an order that every run has.
func (h *Host) allListeners() (all []*Listener) {
	for _, l := range h.listeners {
		all = append(all, l)
	}
	slices.SortFunc(all, func(a, b *Listener) int { return a.at.Compare(b.at) })
	return all
}

func (h *Host) allConns() (all []*TCPConn) {
	for _, first := range h.conns {
		for c := first; c != nil; c = c.next {
			all = append(all, c)
		}
	}
	slices.SortFunc(all, func(a, b *TCPConn) int {
		return cmp.Or(a.flow.Src.Compare(b.flow.Src), a.flow.Dst.Compare(b.flow.Dst))
	})
	return all
}

// whyDown says why nothing is answered.
func (h *Host) whyDown() string {
	if len(h.crashes) > 0 {
		return "the host is down"
	}
	return "the host is switched off"
}
