package tcp

import (
	"time"

	"github.com/netspec-go/netspec/internal/wire"
)

// haste is what is needed to go back to how it was before a retransmission timeout, in
// case that came too early.
type haste struct {
	stamp          uint32 // what our timestamps said when it came
	cwnd, ssthresh uint32 // before it; 0 if there is nothing to go back to
}

// hasten remembers how it was before the first of several timeouts.
func (c *Conn) hasten(now time.Duration) {
	if c.ts.on && !c.recovering && c.haste.cwnd == 0 {
		c.haste = haste{c.clock(now), c.cwnd, c.ssthresh}
	}
}

// regret looks at the first acknowledgement after a timeout. If by its timestamp it
// answers what was sent before, nothing was lost but patience: all is as it was (RFC 3522
// and RFC 4015; Linux's tcp_try_undo_loss).
func (c *Conn) regret(h *wire.TCP) {
	was := c.haste
	if was.cwnd == 0 {
		return
	}
	c.haste = haste{}
	if h.HasTimestamp && before(h.TSEcr, was.stamp) {
		c.cwnd, c.ssthresh = was.cwnd, was.ssthresh
		c.nxt, c.recover = c.top, c.una-1
	}
}
