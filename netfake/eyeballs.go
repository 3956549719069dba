package netfake

import (
	"cmp"
	"context"
	"errors"
	"net"
	"net/netip"
	"sync"
	"time"
)

// race connects to the first of several addresses that answers: Happy Eyeballs (RFC
// 8305) as net.Dialer does them. One lane tries the addresses of the first one's family
// in series; a second lane does the same with the other family's, from the fallback delay
// on or as soon as the first lane has failed. Both run in one goroutine inside the
// scheduler, so that neither ports nor a dead heat are left to chance: at one instant the
// first lane wins.
type race struct {
	dialer  *Dialer
	network string
	trace   dialTrace
	told    bool      // the lock was free for a hook: things may have changed
	until   time.Time // the context's deadline, zero if it has none
	over    error     // why the context has ended

	changed             sync.Cond // a connection, a deadline or the context
	primaries, fallback lane
	headStart           deadline
}

func newRace(d *Dialer, network string, peers []netip.AddrPort) *race {
	r := &race{dialer: d, network: network}
	r.changed.L = &d.Host.world.mu
	primaries, fallbacks := peers, []netip.AddrPort(nil)
	if network == "tcp" && d.FallbackDelay >= 0 {
		primaries, fallbacks = byFamily(peers)
	}
	r.primaries.init(r, primaries)
	r.fallback.init(r, fallbacks)
	r.headStart.init(d.Host.world, d.Host.key, &r.changed)
	return r
}

// run returns the winner's connection, or the error of the primaries.
func (r *race) run(ctx context.Context) (*TCPConn, error) {
	w := r.dialer.Host.world
	r.trace = r.dialer.trace(ctx)
	r.until, _ = ctx.Deadline()
	r.over = contextError(ctx.Err())
	if ctx.Done() != nil {
		stop := context.AfterFunc(ctx, func() { r.interrupt(ctx) })
		defer stop()
	}
	w.lock()
	defer w.unlock()
	defer r.end()
	if !r.fallback.failed {
		r.headStart.set(w.Time(w.now + r.delay()))
	}
	for {
		r.primaries.advance()
		if r.primaries.won || r.primaries.failed && r.fallback.failed {
			return r.primaries.result()
		}
		if r.headStart.passed || r.primaries.failed {
			r.fallback.advance()
		}
		switch {
		case r.fallback.won:
			return r.fallback.result()
		case r.primaries.failed && r.fallback.failed:
			return r.primaries.result()
		}
		if !r.told {
			w.wait(&r.changed)
		}
		r.told = false
	}
}

// connect is a race without a rival, a clock or spectators: it connects to the one address
// that there is, however long it takes.
func (d *Dialer) connect(network string, peer netip.AddrPort) (net.Conn, error) {
	w := d.Host.world
	w.lock()
	defer w.unlock()
	c, err := d.Host.openTCP(network, reach(network, peer), d.LocalAddr, nil)
	if err != nil {
		return nil, d.opError(network, peer, err)
	}
	w.settleHeld() // the answer may come at once
	for {
		over, err := c.opened()
		switch {
		case !over:
			c.opener = &c.waiters().writable
			w.wait(c.opener)
			continue
		case err != nil:
			c.closed, c.opener = true, nil
			return nil, d.opError(network, peer, err)
		}
		c.opener = nil
		c.startKeepAlive(cmp.Or(d.KeepAlive, w.cfg.KeepAlive), d.KeepAliveConfig)
		return c, nil
	}
}

func (r *race) delay() time.Duration {
	if r.dialer.FallbackDelay > 0 {
		return r.dialer.FallbackDelay
	}
	return defaultFallbackDelay
}

// interrupt ends the race when its context has ended.
func (r *race) interrupt(ctx context.Context) {
	w := r.dialer.Host.world
	w.lock()
	r.over = contextError(ctx.Err())
	w.wake(&r.changed)
	w.unlock()
}

// end closes what the race has opened and nobody was given.
func (r *race) end() {
	r.headStart.stop()
	r.primaries.lose()
	r.fallback.lose()
}

// begins and ends tell of an attempt to reach a peer. The lock is free meanwhile.
func (r *race) begins(peer netip.AddrPort) {
	r.tell(func() { r.trace.connectBegins(r.network, peer) })
}

func (r *race) ends(peer netip.AddrPort, err error) {
	if err != nil {
		err = r.dialer.opError(r.network, peer, err)
	}
	r.tell(func() { r.trace.connectEnds(r.network, peer, err) })
}

func (r *race) tell(f func()) {
	if r.trace.hooks == nil {
		return
	}
	w := r.dialer.Host.world
	w.unlock()
	defer w.lock()
	f()
	r.told = true
}

// timedOut reports whether the context's time is up, which its own timer may tell a
// little later.
func (r *race) timedOut(now time.Time) bool {
	var timeout net.Error
	return errors.As(r.over, &timeout) || !r.until.IsZero() && !now.Before(r.until)
}

// lane tries addresses one after another.
type lane struct {
	race  *race
	peers []netip.AddrPort // that are left; the first is being tried while conn is set
	conn  *TCPConn
	share deadline // of the attempt under way
	first error    // of the first attempt

	won, failed bool
}

func (l *lane) init(r *race, peers []netip.AddrPort) {
	l.race, l.peers = r, peers
	l.failed = len(peers) == 0
	l.share.init(r.dialer.Host.world, r.dialer.Host.key, &r.changed)
}

// advance takes the lane as far as it gets without waiting.
func (l *lane) advance() {
	for !l.won && !l.failed {
		if l.conn == nil {
			l.open()
			continue
		}
		over, err := l.conn.opened()
		switch {
		case over && err == nil:
			l.won = true
			l.race.ends(l.peers[0], nil)
			return
		case over:
		case l.race.over != nil:
			err = l.race.over
		case l.share.passed:
			err = timeoutError{}
		default:
			return
		}
		l.giveUp()
		l.race.ends(l.peers[0], err)
		l.next(err)
	}
}

// open begins the next attempt, if there is an address and time for it.
func (l *lane) open() {
	r, w := l.race, l.race.dialer.Host.world
	now := w.Time(w.now)
	switch {
	case len(l.peers) == 0:
		l.failed = true
		return
	case r.timedOut(now):
		l.next(timeoutError{})
		l.failed = true
		return
	case r.over != nil: // net says at which address it was
		l.first = nil
		l.next(r.over)
		l.failed = true
		return
	}
	r.begins(l.peers[0])
	conn, err := r.dialer.Host.openTCP(r.network, reach(r.network, l.peers[0]), r.dialer.LocalAddr, &r.changed)
	if err != nil {
		r.ends(l.peers[0], err)
		l.next(err)
		return
	}
	l.conn = conn
	if !r.until.IsZero() {
		l.share.set(share(now, r.until, len(l.peers)))
	}
}

// next goes on to the next address, for the reason given.
func (l *lane) next(err error) {
	if l.first == nil {
		l.first = l.race.dialer.opError(l.race.network, l.peers[0], err)
	}
	l.peers = l.peers[1:]
}

// result returns the connection, or why there is none.
func (l *lane) result() (*TCPConn, error) {
	if !l.won {
		return nil, l.first
	}
	c := l.conn
	c.opener, l.conn = nil, nil
	l.share.stop()
	d := l.race.dialer
	c.startKeepAlive(cmp.Or(d.KeepAlive, d.Host.world.cfg.KeepAlive), d.KeepAliveConfig)
	return c, nil
}

// lose ends the attempt of a lane that others have outrun.
func (l *lane) lose() {
	if l.conn == nil {
		return
	}
	over, err := l.conn.opened()
	if !over {
		err = canceledError{}
	}
	l.giveUp()
	l.race.ends(l.peers[0], err)
}

// giveUp closes the connection under way: with FIN if it came about all the same, without
// a word if not.
func (l *lane) giveUp() {
	c := l.conn
	l.conn = nil
	l.share.stop()
	c.opener, c.closed = nil, true
	over, err := c.opened()
	switch now := c.host.world.now; {
	case err != nil:
		return
	case over:
		c.machine.Close(now)
	default:
		c.machine.Abort(now)
	}
	c.sync()
}

// leastShare is the least time that net.Dialer gives an address, if there is that much.
const leastShare = 2 * time.Second

// share returns until when one of several remaining addresses may be tried: all get the
// same, but not less than leastShare, which the last ones pay for.
func share(now, until time.Time, remaining int) time.Time {
	left := until.Sub(now)
	return now.Add(max(left/time.Duration(remaining), min(left, leastShare)))
}
