package netfake

import (
	"sync"
	"time"
)

// waiters are who waits at a connection, to read and to write.
type waiters struct {
	readable, writable sync.Cond
	readers, writers   int
}

// waiters returns the place to wait at the connection.
func (c *TCPConn) waiters() *waiters {
	if c.queue == nil {
		c.queue = &waiters{}
		c.queue.readable.L, c.queue.writable.L = &c.host.world.mu, &c.host.world.mu
	}
	return c.queue
}

// wakeAll has all who wait look again.
func (c *TCPConn) wakeAll() {
	if c.queue != nil {
		c.host.world.wake(&c.queue.readable)
		c.host.world.wake(&c.queue.writable)
	}
}

// readUntil and writeUntil set the connection's deadlines.
func (c *TCPConn) readUntil(t time.Time) {
	if c.readBy != nil || !t.IsZero() {
		c.until(&c.readBy, &c.waiters().readable, t)
	}
}

func (c *TCPConn) writeUntil(t time.Time) {
	if c.writeBy != nil || !t.IsZero() {
		c.until(&c.writeBy, &c.waiters().writable, t)
	}
}

func (c *TCPConn) until(d **deadline, cond *sync.Cond, t time.Time) {
	if *d == nil {
		*d = new(deadline)
		(*d).init(c.host.world, mix(c.host.key, c.hash), cond)
	}
	(*d).set(t)
}
