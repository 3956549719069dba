package netfake

import (
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"runtime"
	"syscall"
	"time"

	"github.com/netspec-go/netspec/internal/tcp"
)

// errHostDown is what the calls of a crashed host's applications return.
var errHostDown = net.ErrClosed

func sysError(call string, errno syscall.Errno) error { return os.NewSyscallError(call, errno) }

// zoneError refuses an address with a zone: there are no link-local addresses.
func zoneError(addr netip.Addr) error {
	return &net.AddrError{Err: "zones are not modelled", Addr: addr.String()}
}

// machineError turns the reason for which a connection died into what the kernel
// would say.
func machineError(call string, err error) error {
	var told syscall.Errno // by an ICMP error
	switch {
	case errors.As(err, &told):
		return sysError(call, told)
	case errors.Is(err, tcp.ErrRefused):
		return sysError(call, syscall.ECONNREFUSED)
	case errors.Is(err, tcp.ErrPipe):
		return sysError(call, syscall.EPIPE)
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
	return &net.OpError{Op: op, Net: c.network, Source: c.LocalAddr(), Addr: c.RemoteAddr(), Err: err}
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
	if !c.news.Load() {
		runtime.Gosched() // who has asked something often finds the answer there afterwards, and need not sleep
	}
	w.lockToTake()
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
		case len(b) == 0:
			return 0, 0, nil
		case c.readBy.over():
			return 0, 0, os.ErrDeadlineExceeded
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
		q := c.waiters()
		q.readers++
		w.wait(&q.readable)
		q.readers--
	}
}

// Write takes all of b, and waits for room only where Config.SendBuffer sets a limit.
// That b was taken does not mean that it arrived. Writes at one time go one after the
// other.
func (c *TCPConn) Write(b []byte) (int, error) {
	w := c.host.world
	w.lock()
	for c.writing {
		c.awaitWritable()
	}
	n, err := c.write(b)
	if q := c.queue; q != nil && q.writers > 0 {
		w.wake(&q.writable)
	}
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
		case c.writeBy.over():
			return taken, os.ErrDeadlineExceeded
		case m.Err() != nil && !c.failed:
			c.failed = true
			return taken, machineError("write", m.Err())
		case m.Err() != nil || !m.CanSend():
			return taken, sysError("write", syscall.EPIPE)
		}
		c.followPath()
		n := m.Lend(b[taken:], w.now)
		if n == 0 && len(b) > 0 {
			c.writing = true
			c.awaitWritable()
			c.writing = false
			continue
		}
		w.settle() // what is acknowledged at once need not be copied
		m.Keep()
		c.sync()
		if taken += n; taken == len(b) {
			return taken, nil
		}
	}
}

// awaitWritable waits for what lets a Write go on or makes it fail.
func (c *TCPConn) awaitWritable() {
	q := c.waiters()
	q.writers++
	c.host.world.wait(&q.writable)
	q.writers--
}

// Close ends the connection: what was written is still delivered, what arrives from
// now on is answered with RST. If something that had come was not read, the other end
// sees a reset, as with Linux.
func (c *TCPConn) Close() error {
	return c.do("close", func(now time.Duration) error {
		c.end(now)
		if c.linger > 0 {
			c.sync()
			c.awaitEnd()
		}
		return nil
	})
}

// end is Close inside the scheduler, without the wait for the other end.
func (c *TCPConn) end(now time.Duration) {
	c.closed = true
	c.readBy.stop()
	c.writeBy.stop()
	if c.linger == 0 {
		c.machine.Abort(now)
	} else {
		c.machine.Close(now)
	}
	c.wakeAll()
}

// awaitEnd waits until the other end has acknowledged all and the FIN, or the time to
// linger is over.
func (c *TCPConn) awaitEnd() {
	c.writeUntil(c.host.world.Time(c.host.world.now + c.linger))
	for c.machine.Closing() && !c.writeBy.over() && !c.killed {
		c.awaitWritable()
	}
	c.writeBy.stop()
}

// CloseWrite sends FIN once everything is sent. Reading goes on.
func (c *TCPConn) CloseWrite() error {
	return c.do("close", func(now time.Duration) error {
		if c.over() {
			return sysError("shutdown", syscall.ENOTCONN)
		}
		c.machine.CloseWrite(now)
		return nil
	})
}

// CloseRead makes reads return io.EOF whenever all that has come is read. As with Linux
// the other end is told nothing, and what it sends can still be read, until CloseWrite:
// from then on it resets the connection.
func (c *TCPConn) CloseRead() error {
	return c.do("close", func(now time.Duration) error {
		if c.over() {
			return sysError("shutdown", syscall.ENOTCONN)
		}
		c.machine.CloseRead(now)
		c.wakeAll()
		return nil
	})
}

// over reports whether neither end has anything to say any more.
func (c *TCPConn) over() bool { return c.machine.Done() || c.machine.State() == tcp.TimeWait }

// SetDeadline sets when reads and writes give up with os.ErrDeadlineExceeded.
func (c *TCPConn) SetDeadline(t time.Time) error {
	return c.set(func() { c.readUntil(t); c.writeUntil(t) })
}

// SetReadDeadline sets when reads give up. The zero time is never.
func (c *TCPConn) SetReadDeadline(t time.Time) error {
	return c.set(func() { c.readUntil(t) })
}

// SetWriteDeadline sets when writes give up. The zero time is never.
func (c *TCPConn) SetWriteDeadline(t time.Time) error {
	return c.set(func() { c.writeUntil(t) })
}

// do runs f inside the scheduler on a connection that the application holds.
func (c *TCPConn) do(op string, f func(now time.Duration) error) error {
	return c.opError(op, c.held(f))
}

func (c *TCPConn) held(f func(now time.Duration) error) error {
	w := c.host.world
	w.lock()
	defer w.unlock() // f may wait for what it has set going
	if c.closed || c.killed {
		return net.ErrClosed
	}
	err := f(w.now)
	c.sync()
	return err
}

// set is do for the methods whose errors name only our own end, as with net.
func (c *TCPConn) set(f func()) error {
	w := c.host.world
	w.lock()
	defer w.unlock()
	if c.closed || c.killed {
		return &net.OpError{Op: "set", Net: c.network, Addr: c.LocalAddr(), Err: net.ErrClosed}
	}
	f()
	return nil
}
