package netfake

import (
	"net"
	"syscall"
	"time"

	"github.com/netspec-go/netspec/internal/tcp"
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

// What SetKeepAliveConfig makes of zero fields: net's defaults.
const (
	keepAliveIdle     = 15 * time.Second
	keepAliveInterval = 15 * time.Second
	keepAliveCount    = 9
)

// What Linux takes at most: MAX_TCP_KEEPIDLE, MAX_TCP_KEEPINTVL and MAX_TCP_KEEPCNT.
const (
	maxKeepAlive      = 32767 * time.Second
	maxKeepAliveCount = 127
)

// SetKeepAlive turns the probes of an idle connection on or off. Unlike with net they
// are off to begin with: a world in which nobody speaks is silent.
func (c *TCPConn) SetKeepAlive(keepalive bool) error {
	return c.do("set", func(now time.Duration) error {
		c.keepAlive(func(k *net.KeepAliveConfig) { k.Enable = keepalive }, now)
		return nil
	})
}

// SetKeepAlivePeriod sets how long the connection is idle before it is probed; 0 is net's
// 15 s, a negative d changes nothing. It does not turn the probes on.
func (c *TCPConn) SetKeepAlivePeriod(d time.Duration) error {
	return c.do("set", func(now time.Duration) error {
		if wholeSeconds(d) > maxKeepAlive {
			return sysError("setsockopt", syscall.EINVAL)
		}
		c.keepAlive(func(k *net.KeepAliveConfig) { k.Idle = orDefault(d, k.Idle, keepAliveIdle) }, now)
		return nil
	})
}

// SetKeepAliveConfig sets when an idle connection is probed. The zero fields of cfg
// are net's: 15 s idle, 15 s between probes, 9 probes; negative ones change nothing. Times
// are rounded up to whole seconds, as Linux takes them.
func (c *TCPConn) SetKeepAliveConfig(cfg net.KeepAliveConfig) error {
	return c.do("set", func(now time.Duration) error {
		if wholeSeconds(cfg.Idle) > maxKeepAlive || wholeSeconds(cfg.Interval) > maxKeepAlive || cfg.Count > maxKeepAliveCount {
			return sysError("setsockopt", syscall.EINVAL)
		}
		c.keepAlive(func(k *net.KeepAliveConfig) {
			k.Enable = cfg.Enable
			k.Idle = orDefault(cfg.Idle, k.Idle, keepAliveIdle)
			k.Interval = orDefault(cfg.Interval, k.Interval, keepAliveInterval)
			if cfg.Count >= 0 {
				k.Count = max(cfg.Count, 0)
			}
		}, now)
		return nil
	})
}

// orDefault is what an option becomes: its old value where d is negative.
func orDefault(d, old, standard time.Duration) time.Duration {
	switch {
	case d < 0:
		return old
	case d == 0:
		return standard
	}
	return wholeSeconds(d)
}

func wholeSeconds(d time.Duration) time.Duration {
	return (d + time.Second - 1).Truncate(time.Second)
}

// keepAlive changes what the machine knows of probes. What was never set is net's.
func (c *TCPConn) keepAlive(change func(*net.KeepAliveConfig), now time.Duration) {
	if c.probes == nil {
		c.probes = &net.KeepAliveConfig{Idle: keepAliveIdle, Interval: keepAliveInterval}
	}
	k := c.probes
	change(k)
	if k.Count == 0 {
		k.Count = keepAliveCount
	}
	if !k.Enable {
		c.machine.SetKeepAlive(tcp.KeepAlive{}, now)
		return
	}
	c.machine.SetKeepAlive(tcp.KeepAlive{Idle: k.Idle, Interval: k.Interval, Count: k.Count}, now)
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
