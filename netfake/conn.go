package netfake

import (
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"time"

	"github.com/netspec-go/netspec/internal/tcp"
)

// errHostDown is what the calls of a crashed host's applications return.
var errHostDown = net.ErrClosed

func sysError(call string, errno syscall.Errno) error { return os.NewSyscallError(call, errno) }

// machineError turns the reason for which a connection died into what the kernel
// would say.
func machineError(call string, err error) error {
	switch {
	case errors.Is(err, tcp.ErrRefused):
		return sysError(call, syscall.ECONNREFUSED)
	case errors.Is(err, tcp.ErrReset):
		return sysError(call, syscall.ECONNRESET)
	case errors.Is(err, tcp.ErrTimeout):
		return sysError(call, syscall.ETIMEDOUT)
	}
	return err
}

// opError wraps err as net does. io.EOF stays as it is.
func (c *TCPConn) opError(op string, err error) error {
	if err == nil || err == io.EOF {
		return err
	}
	return &net.OpError{Op: op, Net: "tcp", Source: c.LocalAddr(), Addr: c.RemoteAddr(), Err: err}
}

// LocalAddr returns the *net.TCPAddr of our end.
func (c *TCPConn) LocalAddr() net.Addr { return net.TCPAddrFromAddrPort(c.flow.Src) }

// RemoteAddr returns the *net.TCPAddr of the other end.
func (c *TCPConn) RemoteAddr() net.Addr { return net.TCPAddrFromAddrPort(c.flow.Dst) }

// Read reads what has come, and waits if nothing has. After the other end's FIN it
// returns io.EOF; after a RST, ECONNRESET once and io.EOF from then on, as Linux does.
func (c *TCPConn) Read(b []byte) (int, error) {
	var chunks [8]tcp.Chunk
	w := c.host.world
	w.lock()
	taken, n, err := c.read(b, chunks[:])
	w.unlock()
	at := 0
	for _, chunk := range chunks[:taken] { // the largest copies, outside of the lock
		at += copy(b[at:], chunk.Data)
		chunk.Parcel.Release()
	}
	return n, c.opError("read", err)
}

// read takes n bytes: those at the beginning in chunks that are still to be copied to b,
// the rest it has copied behind them.
func (c *TCPConn) read(b []byte, chunks []tcp.Chunk) (taken, n int, err error) {
	w, m := c.host.world, c.machine
	for {
		switch {
		case c.closed, c.killed:
			return 0, 0, net.ErrClosed
		case c.readBy.passed:
			return 0, 0, os.ErrDeadlineExceeded
		case len(b) == 0:
			return 0, 0, nil
		case m.Buffered() > 0:
			taken = m.Take(chunks, len(b), w.now)
			for _, chunk := range chunks[:taken] {
				n += len(chunk.Data)
			}
			n += m.Read(b[n:], w.now)
			c.sync()
			return taken, n, nil
		case m.EOF():
			return 0, 0, io.EOF
		case m.Err() != nil:
			if c.failed {
				return 0, 0, io.EOF
			}
			c.failed = true
			return 0, 0, machineError("read", m.Err())
		}
		c.readers++
		w.wait(&c.readable)
		c.readers--
	}
}

// Write takes all of b, and waits for room only where Config.SendBuffer sets a limit.
// That b was taken does not mean that it arrived.
func (c *TCPConn) Write(b []byte) (int, error) {
	w := c.host.world
	w.lock()
	n, err := c.write(b)
	w.unlock()
	return n, c.opError("write", err)
}

func (c *TCPConn) write(b []byte) (int, error) {
	w, m := c.host.world, c.machine
	taken := 0
	for {
		switch {
		case c.closed, c.killed:
			return taken, net.ErrClosed
		case c.writeBy.passed:
			return taken, os.ErrDeadlineExceeded
		case m.Err() != nil && !c.failed && !c.refusedAfterEnd():
			c.failed = true
			return taken, machineError("write", m.Err())
		case m.Err() != nil || !m.CanSend():
			return taken, sysError("write", syscall.EPIPE)
		}
		n := m.Lend(b[taken:], w.now)
		if n == 0 && len(b) > 0 {
			c.writers++
			w.wait(&c.writable)
			c.writers--
			continue
		}
		w.drain() // what is acknowledged at once need not be copied
		m.Keep()
		c.sync()
		if taken += n; taken == len(b) {
			return taken, nil
		}
	}
}

// refusedAfterEnd reports whether the connection was reset when the peer's FIN had been
// seen: Linux then says EPIPE and not ECONNRESET.
func (c *TCPConn) refusedAfterEnd() bool {
	return c.machine.EOF() && errors.Is(c.machine.Err(), tcp.ErrReset)
}

// Close ends the connection: what was written is still delivered, what arrives from
// now on is answered with RST. If something that had come was not read, the other end
// sees a reset, as with Linux.
func (c *TCPConn) Close() error {
	return c.do("close", func(now time.Duration) error {
		c.closed = true
		c.readBy.stop()
		c.writeBy.stop()
		if c.linger0 {
			c.machine.Abort(now)
		} else {
			c.machine.Close(now)
		}
		c.host.world.wake(&c.readable)
		c.host.world.wake(&c.writable)
		return nil
	})
}

// CloseWrite sends FIN once everything is sent. Reading goes on.
func (c *TCPConn) CloseWrite() error {
	return c.do("close", func(now time.Duration) error {
		if !c.machine.CanSend() {
			return sysError("shutdown", syscall.ENOTCONN)
		}
		c.machine.CloseWrite(now)
		return nil
	})
}

// CloseRead makes reads return io.EOF once what has come is read.
func (c *TCPConn) CloseRead() error {
	return c.do("close", func(now time.Duration) error {
		c.machine.CloseRead(now)
		c.host.world.wake(&c.readable)
		return nil
	})
}

// SetLinger(0) makes Close send RST and drop what was not sent. Other values are
// taken and do as the default does: Close returns at once and the rest is sent.
func (c *TCPConn) SetLinger(sec int) error {
	return c.do("set", func(time.Duration) error { c.linger0 = sec == 0; return nil })
}

// SetNoDelay(false) turns Nagle's algorithm on; as with net, it is off to begin with.
func (c *TCPConn) SetNoDelay(noDelay bool) error {
	return c.do("set", func(time.Duration) error { c.machine.SetNagle(!noDelay); return nil })
}

// SetKeepAliveConfig sets when an idle connection is probed. The zero fields of cfg
// are net's: 15 s idle, 15 s between probes, 9 probes.
func (c *TCPConn) SetKeepAliveConfig(cfg net.KeepAliveConfig) error {
	return c.do("set", func(now time.Duration) error {
		k := tcp.KeepAlive{}
		if cfg.Enable {
			k = tcp.KeepAlive{Idle: 15 * time.Second, Interval: 15 * time.Second, Count: 9}
			if cfg.Idle > 0 {
				k.Idle = cfg.Idle
			}
			if cfg.Interval > 0 {
				k.Interval = cfg.Interval
			}
			if cfg.Count > 0 {
				k.Count = cfg.Count
			}
		}
		c.machine.SetKeepAlive(k, now)
		return nil
	})
}

// SetDeadline sets when reads and writes give up with os.ErrDeadlineExceeded.
func (c *TCPConn) SetDeadline(t time.Time) error {
	return c.do("set", func(time.Duration) error { c.readBy.set(t); c.writeBy.set(t); return nil })
}

// SetReadDeadline sets when reads give up. The zero time is never.
func (c *TCPConn) SetReadDeadline(t time.Time) error {
	return c.do("set", func(time.Duration) error { c.readBy.set(t); return nil })
}

// SetWriteDeadline sets when writes give up. The zero time is never.
func (c *TCPConn) SetWriteDeadline(t time.Time) error {
	return c.do("set", func(time.Duration) error { c.writeBy.set(t); return nil })
}

// do runs f inside the scheduler on a connection that the application holds.
func (c *TCPConn) do(op string, f func(now time.Duration) error) error {
	w := c.host.world
	w.lock()
	err := net.ErrClosed
	if !c.closed && !c.killed {
		err = f(w.now)
		c.sync()
	}
	w.unlock()
	return c.opError(op, err)
}
