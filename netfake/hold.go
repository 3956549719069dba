package netfake

import "time"

// Hold keeps every packet that enters the link, in both directions, until every hold is
// released. Then they go on at that instant, each flow's in the order in which they
// came; a partition that is in force by then swallows them. How many are kept has no
// limit.
func (l *Link) Hold() *Fault { return hold(l, &l.forth, &l.back) }

// Hold keeps every packet that enters the way, as Link.Hold does; the other direction
// still carries.
func (y *Way) Hold() *Fault { return hold(y, y) }

// Release ends every hold that was made on the link or on one of its ways.
func (l *Link) Release() {
	l.world.repair(func(f *Fault) bool { return f.kind == holdFault && l.has(f) })
}

// Release ends every hold that was made on this way alone.
func (y *Way) Release() {
	y.link.world.repair(func(f *Fault) bool { return f.kind == holdFault && f.on == Component(y) })
}

func hold(on Component, ways ...*Way) *Fault {
	f := &Fault{world: ways[0].link.world, what: "hold on " + on.String(), on: on, kind: holdFault}
	f.end = func(time.Duration) {
		for _, y := range ways {
			y.holds = without(y.holds, f)
			y.release()
		}
	}
	return f.begin(func(time.Duration) {
		for _, y := range ways {
			f.join(y.held)
			y.holds = append(y.holds, f)
		}
	})
}

// hold keeps p.
func (y *Way) hold(p *Packet) {
	y.stats.Held++
	for _, f := range y.holds {
		f.Hit(p)
	}
	y.held.hold(p, Hop{Place: y.link.name, By: y.holds[0], Rule: "held"})
}

// release lets what was held enter the way again, unless another hold keeps it.
func (y *Way) release() {
	if len(y.holds) > 0 {
		return
	}
	for _, p := range y.held.take() {
		p.at = y.link.world.now
		takes, what := y.enter(p)
		y.proceed(p, takes, what)
	}
}

// delay is a fault that makes packets take longer.
type delay struct {
	*Fault
	by time.Duration
}

// Delay makes every packet that enters the link take longer, in both directions. Delays
// add up. A negative one fails the test.
func (l *Link) Delay(by time.Duration) *Fault {
	l.world.tb.Helper()
	return slow(l, by, &l.forth, &l.back)
}

// Delay makes every packet that enters the way take longer, as Link.Delay does.
func (y *Way) Delay(by time.Duration) *Fault {
	y.link.world.tb.Helper()
	return slow(y, by, y)
}

func slow(on Component, by time.Duration, ways ...*Way) *Fault {
	w := ways[0].link.world
	w.tb.Helper()
	if by < 0 {
		w.tb.Fatalf("netfake: %v: a delay of %v is negative", on, by)
	}
	f := &Fault{world: w, what: "delay of " + by.String() + " on " + on.String(), on: on}
	f.end = func(time.Duration) {
		for _, y := range ways {
			for i := range y.delays {
				if y.delays[i].Fault == f {
					y.delays = append(y.delays[:i:i], y.delays[i+1:]...)
					break
				}
			}
		}
	}
	return f.begin(func(time.Duration) {
		for _, y := range ways {
			y.delays = append(y.delays, delay{f, by})
		}
	})
}

// latency returns how long a packet takes to cross: the link's time and what delays add.
func (y *Way) latency() time.Duration {
	d := y.link.latency
	for i := range y.delays {
		d += y.delays[i].by
	}
	return d
}

func (y *Way) countDelay(p *Packet) {
	y.stats.Delayed += uint64(p.Segments())
	for _, d := range y.delays {
		d.Hit(p)
	}
}
