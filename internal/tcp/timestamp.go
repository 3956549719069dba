package tcp

import (
	"time"

	"github.com/netspec-go/netspec/internal/wire"
)

// Of the timestamps option.
const (
	timestampLen = 12                  // what it takes of every segment, with its padding
	pawsWindow   = 1                   // ticks that a timestamp may be behind: Linux's TCP_PAWS_WINDOW
	pawsForgets  = 24 * 24 * time.Hour // half a turn of the clock: RFC 7323, 5.5
)

// timestamps is what a connection keeps of the option (RFC 7323). Its clock ticks in
// milliseconds, as Linux's does, from Config.TSOffset.
type timestamps struct {
	on     bool          // both SYNs had the option
	recent uint32        // TS.Recent: what is echoed to the peer
	at     time.Duration // when recent came
}

// clock returns what our timestamps say at now.
func (c *Conn) clock(now time.Duration) uint32 {
	return c.cfg.TSOffset + uint32(now/time.Millisecond)
}

// stamp puts the option on a segment, if both ends want it.
func (c *Conn) stamp(h *wire.TCP, now time.Duration) {
	if c.ts.on {
		h.HasTimestamp, h.TSVal, h.TSEcr = true, c.clock(now), c.ts.recent
	}
}

// optionsLen returns how much of each segment options take.
func (c *Conn) optionsLen() int {
	if c.ts.on {
		return timestampLen
	}
	return 0
}

// outdated is PAWS (RFC 7323, 5.3): it reports whether a segment is an old duplicate by
// its timestamp, whatever its sequence number. As in Linux one that lacks the option
// passes, and so does an acknowledgement that was merely overtaken.
func (c *Conn) outdated(h *wire.TCP, dataLen int, now time.Duration) bool {
	behind := int32(c.ts.recent - h.TSVal)
	if !c.ts.on || !h.HasTimestamp || behind <= pawsWindow || now-c.ts.at >= pawsForgets {
		return false
	}
	overtaken := segmentLen(h, dataLen) == 0 && h.Seq == c.rcvNxt && h.Ack == c.una &&
		!before(c.wl1, h.Seq) && c.scaled(h) <= c.window
	return !overtaken || time.Duration(behind)*time.Millisecond > c.rtt.timeout()*12/10
}

// notePeerClock remembers the timestamp to echo: the one of the earliest segment that
// the next acknowledgement will be about (RFC 7323, 4.3).
func (c *Conn) notePeerClock(h *wire.TCP, now time.Duration) {
	if c.ts.on && h.HasTimestamp && !before(c.lastACK, h.Seq) && !before(h.TSVal, c.ts.recent) {
		c.ts.recent, c.ts.at = h.TSVal, now
	}
}

// measure takes what an acknowledgement of something new says about the round trip. Our
// own clock is the finer one, so that as in Linux the echo counts only where something
// was sent twice and Karn forbids to measure.
func (c *Conn) measure(h *wire.TCP, now time.Duration) {
	if c.rtt.running || !c.ts.on || !h.HasTimestamp || h.TSEcr == 0 {
		c.rtt.acked(h.Ack, c.nxt, now)
		return
	}
	if ticks := int32(c.clock(now) - h.TSEcr); ticks >= 0 {
		c.rtt.sample(max(time.Duration(ticks), 1)*time.Millisecond, h.Ack, c.nxt)
	}
}
