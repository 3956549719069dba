package netfake

import (
	"time"
)

// SetLinger(0) makes Close send RST and drop what was not sent. Other values are
// taken and do as the default does: Close returns at once and the rest is sent.
func (c *TCPConn) SetLinger(sec int) error {
	return c.do("set", func(time.Duration) error { c.linger0 = sec == 0; return nil })
}

// SetNoDelay(false) turns Nagle's algorithm on; as with net, it is off to begin with.
func (c *TCPConn) SetNoDelay(noDelay bool) error {
	return c.do("set", func(time.Duration) error { c.machine.SetNagle(!noDelay); return nil })
}

// SetReadBuffer is taken and changes nothing: the receive buffer holds what it does by
// default.
func (c *TCPConn) SetReadBuffer(bytes int) error {
	return c.set(func() {})
}

// SetWriteBuffer is taken and changes nothing: Config.SendBuffer says how much a Write
// takes before it waits, so that no library makes a bubble stand still.
func (c *TCPConn) SetWriteBuffer(bytes int) error {
	return c.set(func() {})
}
