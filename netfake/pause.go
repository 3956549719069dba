package netfake

// ringSize is how many packets wait in the receive ring of a paused host: the
// descriptors that QEMU gives a virtio-net device (rx_queue_size).
const ringSize = 256

// Pause stops the host as a hypervisor does a virtual machine: its stack takes nothing
// in, sends nothing out and runs no timer. What comes to it waits in the ring of its
// interface, which takes 256 packets and drops what is more. When every pause is over the
// host takes them in, sends what it has to send, and then its timers go off that would
// have gone off meanwhile.
//
// Goroutines cannot be stopped. What the host's applications do meanwhile with its
// sockets is sent when the host goes on: a Write is taken, a Dial waits. Their deadlines
// pass, and what had come before the pause can be read.
func (h *Host) Pause() *Fault { return Hosts{h}.Pause() }

// Resume lets a host go on that is paused, however often, by itself or with others: those
// stay paused. One that runs is left alone.
func (h *Host) Resume() { Hosts{h}.Resume() }

// pause is the beginning of a pause of the host.
func (h *Host) pause(f *Fault) {
	f.join(h.ring)
	f.join(h.outbox)
	h.pauses = append(h.pauses, f)
}

// resume is the end of a pause of the host.
func (h *Host) resume(f *Fault) {
	h.pauses = without(h.pauses, f)
	h.wakeUp()
}

// park puts a packet into the ring of the paused host.
func (h *Host) park(p *Packet) Next {
	hop := h.hop("the host is paused", "")
	hop.By = h.pauses[0]
	h.hit(h.pauses, p)
	switch {
	case p.probe != nil:
		hop.Code = "BAD_STATE"
		return p.Drop(hop)
	case len(h.ring) >= ringSize:
		hop.Rule = "the host is paused, and its receive ring is full"
		return p.Drop(hop)
	}
	h.ring.hold(p, hop)
	return Next{fate: wayEndsKept}
}

// wakeUp lets the host go on unless another pause keeps it.
func (h *Host) wakeUp() {
	if len(h.pauses) > 0 {
		return
	}
	for _, p := range h.ring.take() {
		h.world.Send(p, h)
	}
	for _, p := range h.outbox.take() {
		h.leave(p)
	}
	for _, first := range h.conns {
		for c := first; c != nil; c = c.next {
			c.sync() // its timer
		}
	}
}
