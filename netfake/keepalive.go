package netfake

import (
	"net"
	"syscall"
	"time"

	"github.com/netspec-go/netspec/internal/tcp"
)

// keepAlive is how a connection asks the other end whether it is still there.
type keepAlive struct {
	on bool
	tcp.KeepAlive
}

// kernelKeepAlive is what a socket has before net sets it: net.ipv4.tcp_keepalive_time,
// tcp_keepalive_intvl and tcp_keepalive_probes.
var kernelKeepAlive = keepAlive{KeepAlive: tcp.KeepAlive{Idle: 2 * time.Hour, Interval: 75 * time.Second, Count: 9}}

// defaultKeepAlive is what net sets where nobody says otherwise.
var defaultKeepAlive = tcp.KeepAlive{Idle: 15 * time.Second, Interval: 15 * time.Second, Count: 9}

// What the kernel takes at most: MAX_TCP_KEEPIDLE, MAX_TCP_KEEPINTVL and MAX_TCP_KEEPCNT.
const (
	maxKeepAlive       = 32767 * time.Second
	maxKeepAliveProbes = 127
)

// SetKeepAlive turns on or off that an idle connection asks the other end whether it is
// still there. As with net it is on to begin with, see Config.KeepAlive. Who does not
// answer 9 times, which takes 150 s, is given up: reads return ETIMEDOUT.
func (c *TCPConn) SetKeepAlive(on bool) error {
	return c.changeKeepAlive(func(k *keepAlive) error { k.on = on; return nil })
}

// SetKeepAlivePeriod sets after how much silence an idle connection asks for the first
// time, in whole seconds, rounded up. If 0, 15 s. It turns nothing on. As with Linux
// more than 32767 s is EINVAL.
func (c *TCPConn) SetKeepAlivePeriod(d time.Duration) error {
	return c.changeKeepAlive(func(k *keepAlive) error { return setSeconds(&k.Idle, d, defaultKeepAlive.Idle) })
}

// SetKeepAliveConfig sets when an idle connection asks. The zero fields of cfg are net's:
// 15 s idle, 15 s between probes, 9 probes. Negative ones leave what is set. As with
// Linux more than 32767 s or 127 probes is EINVAL.
func (c *TCPConn) SetKeepAliveConfig(cfg net.KeepAliveConfig) error {
	return c.changeKeepAlive(func(k *keepAlive) error { return k.configure(cfg) })
}

func (c *TCPConn) changeKeepAlive(change func(*keepAlive) error) error {
	return c.do("set", func(time.Duration) error {
		err := change(&c.keepAlive)
		c.applyKeepAlive()
		return err
	})
}

// configure does what net does, one socket option after the other until one is refused.
func (k *keepAlive) configure(cfg net.KeepAliveConfig) error {
	k.on = cfg.Enable
	if err := setSeconds(&k.Idle, cfg.Idle, defaultKeepAlive.Idle); err != nil {
		return err
	}
	if err := setSeconds(&k.Interval, cfg.Interval, defaultKeepAlive.Interval); err != nil {
		return err
	}
	switch {
	case cfg.Count > maxKeepAliveProbes:
		return sysError("setsockopt", syscall.EINVAL)
	case cfg.Count == 0:
		k.Count = defaultKeepAlive.Count
	case cfg.Count > 0:
		k.Count = cfg.Count
	}
	return nil
}

// setSeconds sets a time as net does: kernels count it in seconds.
func setSeconds(to *time.Duration, d, zero time.Duration) error {
	switch {
	case d > maxKeepAlive:
		return sysError("setsockopt", syscall.EINVAL)
	case d == 0:
		*to = zero
	case d > 0:
		*to = (d + time.Second - 1).Truncate(time.Second)
	}
	return nil
}

// startKeepAlive is what net does to a new connection with the KeepAlive and the
// KeepAliveConfig of its dialer or listener. As with net nobody hears of what the kernel
// refuses.
func (c *TCPConn) startKeepAlive(idle time.Duration, cfg net.KeepAliveConfig) {
	if !cfg.Enable && idle >= 0 {
		cfg = net.KeepAliveConfig{Enable: true, Idle: idle}
	}
	c.keepAlive = kernelKeepAlive
	if cfg.Enable {
		_ = c.keepAlive.configure(cfg)
	}
	c.applyKeepAlive()
	c.sync()
}

func (c *TCPConn) applyKeepAlive() {
	w, k := c.host.world, tcp.KeepAlive{}
	if c.keepAlive.on {
		k = c.keepAlive.KeepAlive
		w.rest.after = max(w.rest.after, restAfter+k.Idle+time.Duration(k.Count)*k.Interval)
	}
	c.machine.SetKeepAlive(k, w.now)
}
