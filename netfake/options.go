package netfake

import (
	"math"
	"net"
	"syscall"
	"time"
)

// SetLinger says what Close does with data that is not sent or acknowledged. As with Linux,
// 0 drops it and sends RST; a positive number has Close wait until it is acknowledged, and
// the FIN behind it, but no longer than that many seconds; with a negative one, as by
// default, Close returns at once. In the last two cases the data goes on being sent.
func (c *TCPConn) SetLinger(sec int) error {
	w := c.host.world
	w.lockToTake() // it has nothing to do with time
	defer w.unlock()
	if c.closed || c.killed {
		return c.opError("set", net.ErrClosed)
	}
	c.linger = time.Duration(min(sec, math.MaxInt32)) * time.Second
	return nil
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

// SetTTL sets the TTL, or over IPv6 the hop limit, of all that the connection sends from
// now on, also of what it sends again: IP_TTL. It begins at 64. Outside of 1 to 255 it
// gives EINVAL.
func (c *TCPConn) SetTTL(ttl int) error {
	return c.do("set", func(time.Duration) error {
		if err := checkTTL(ttl); err != nil {
			return err
		}
		c.ttl = uint8(ttl)
		return nil
	})
}

// SetTTL sets the TTL, or over IPv6 the hop limit, of all datagrams that the socket sends
// from now on, as TCPConn.SetTTL does of segments. A router that has counted it down says
// time exceeded, of which Linux tells no application: the datagram is lost.
func (u *UDPConn) SetTTL(ttl int) error {
	if err := checkTTL(ttl); err != nil {
		return &net.OpError{Op: "set", Net: u.network, Addr: u.LocalAddr(), Err: err}
	}
	return u.set(func() { u.ttl = uint8(ttl) })
}

func checkTTL(ttl int) error {
	if ttl < 1 || ttl > 255 {
		return sysError("setsockopt", syscall.EINVAL)
	}
	return nil
}
