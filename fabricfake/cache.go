package fabricfake

import (
	"fmt"
	"slices"
	"time"

	"github.com/netspec-go/netspec/netfake"
)

// cache is what a device knows of the region's mappings. As long as the device has been
// told of everything that is what the service knows, and nothing is copied: a cache keeps
// only where it differs, and where it has to ask, whom it has asked.
//
// What a host can see for itself it knows at once: which addresses are on it, and that one
// is not any more.
type cache struct {
	device  *device
	service *MappingService
	own     bool          // delay holds, and not that of the service
	delay   time.Duration // of pushes

	behind map[mappingKey]belief
	pushes []push         // on their way, in the order in which they arrive
	timer  *netfake.Timer // nil as long as there have been no pushes

	asked map[mappingKey]bool          // what was answered, under MissAsk
	asks  map[mappingKey]time.Duration // when the answer comes
}

// belief is what a device still takes for true of an address.
type belief struct {
	mapping *mapping // nil for nothing
	pushes  int      // that are on their way
}

// push is a change on its way to a device.
type push struct {
	due time.Duration
	key mappingKey
	to  *mapping
}

// outdated reports whether the device has yet to be told of a change.
func (c *cache) outdated(key mappingKey) bool {
	return len(c.behind) > 0 && c.told(key) != c.service.entries[key]
}

// missed reports whether the service would have told the device of a change, and is down.
func (c *cache) missed(key mappingKey) bool {
	return len(c.service.outages) > 0 && c.outdated(key)
}

// lag says in a trace that the device has yet to be told of a change.
func (c *cache) lag(key mappingKey) string {
	if !c.outdated(key) {
		return ""
	}
	return fmt.Sprintf("%s has yet to be told where %v is now", c.device.name, key.addr)
}

// told returns what the device has been told of an address, nil for nothing. Of one that
// nobody has any more that is what there is no longer.
func (c *cache) told(key mappingKey) *mapping {
	if len(c.behind) > 0 {
		if b, ok := c.behind[key]; ok {
			return b.mapping
		}
	}
	return c.service.entries[key]
}

// lookup is told for a packet that needs the answer. It reports whether the device has to
// ask for it.
func (c *cache) lookup(p *netfake.Packet, key mappingKey) (e *mapping, ask bool) {
	if e = c.told(key); !e.live() {
		e = nil
	}
	if c.service.misses == MissAsk && (e == nil || e.device != c.device && !c.asked[key]) {
		return nil, true
	}
	if c.missed(key) {
		c.service.hit(p)
	}
	return e, false
}

// describe returns an entry as traces print it.
func (c *cache) describe(key mappingKey, e *mapping) string {
	text := fmt.Sprintf("%v is %s on %s (%v), vni %d", key.addr, e.iface.name, e.device.name, e.device.addr, key.vni)
	if lag := c.lag(key); lag != "" {
		text += "; " + lag
	}
	return text
}

// ask has a packet wait for the service's answer, with those that wait for it already, and
// then go on.
func (c *cache) ask(p *netfake.Packet, key mappingKey, then func(p *netfake.Packet, e *mapping) netfake.Next) netfake.Next {
	due, waiting := c.asks[key]
	if !waiting {
		due = p.At() + c.service.latency
		c.undoFor(p, key)
		put(&c.asks, key, due)
	}
	if p.Traced() {
		p.Passed(netfake.Hop{Place: c.device.name, By: c.service, Rule: "asks where " + key.addr.String() + " is"})
	}
	return p.After(due-p.At(), &pendingAnswer{c, key, then})
}

// answer returns what the service says about an address, which the device remembers, and
// false if the service says nothing.
func (c *cache) answer(p *netfake.Packet, key mappingKey) (e *mapping, ok bool) {
	c.undoFor(p, key)
	delete(c.asks, key)
	if len(c.service.outages) > 0 {
		c.service.hit(p)
		return nil, false
	}
	if e = c.service.entries[key]; !e.live() {
		return nil, true
	}
	put(&c.asked, key, true)
	if c.settle(key) && !p.Probing() {
		p.World().Changed() // for what was decided before the answer to be decided anew
	}
	return e, true
}

// undoFor has a probe leave the cache as it is.
func (c *cache) undoFor(p *netfake.Packet, key mappingKey) {
	if !p.Probing() {
		return
	}
	b, differs := c.behind[key]
	due, waiting := c.asks[key]
	asked, pushes := c.asked[key], slices.Clone(c.pushes)
	p.Undo(func() {
		restore(&c.behind, key, b, differs)
		restore(&c.asks, key, due, waiting)
		restore(&c.asked, key, asked, asked)
		c.pushes = pushes
	})
}

// put is an assignment to a map that is made when it is first needed.
func put[K comparable, T any](m *map[K]T, key K, v T) {
	if *m == nil {
		*m = map[K]T{}
	}
	(*m)[key] = v
}

func restore[K comparable, T any](m *map[K]T, key K, v T, was bool) {
	if was {
		put(m, key, v)
		return
	}
	delete(*m, key)
}

// pendingAnswer is where a packet waits until the service has answered.
type pendingAnswer struct {
	cache *cache
	key   mappingKey
	then  func(p *netfake.Packet, e *mapping) netfake.Next
}

// String returns "mapping".
func (a *pendingAnswer) String() string { return a.cache.service.String() }

// TakesTrains implements netfake.TrainNode.
func (a *pendingAnswer) TakesTrains() bool { return true }

// Step has the packet go on with the answer.
func (a *pendingAnswer) Step(p *netfake.Packet) netfake.Next {
	e, ok := a.cache.answer(p, a.key)
	if !ok {
		return p.Drop(netfake.Hop{Place: a.cache.device.name, By: a.cache.service, Rule: "the mapping service does not answer", Code: codeBadState})
	}
	return a.then(p, e)
}

// expect has a change arrive at the device when its time has come.
func (c *cache) expect(key mappingKey, was, to *mapping, now time.Duration) {
	left := was.live() && was.device == c.device
	if to.live() && to.device == c.device || left && !to.live() {
		c.settle(key)
		return
	}
	due := now + c.latency()
	if n := len(c.pushes); n > 0 {
		due = max(due, c.pushes[n-1].due)
	} else if due == now && len(c.service.outages) == 0 {
		return
	}
	b, differs := c.behind[key]
	if !differs {
		b.mapping = was
	}
	if left {
		b.mapping = &mapping{since: now, before: was}
	}
	b.pushes++
	put(&c.behind, key, b)
	c.pushes = append(c.pushes, push{due, key, to})
	if c.timer == nil {
		c.timer = c.device.region.world.NewTimer("mapping pushes to "+c.device.addr.String()+" of "+c.device.region.name, c.arrive)
	}
	if len(c.pushes) == 1 { // it may have been set for one that was settled
		c.timer.Set(due)
	}
}

// setDelay gives the device a time of its own.
func (c *cache) setDelay(d time.Duration) {
	w := c.device.region.world
	w.TB().Helper()
	if d < 0 {
		w.TB().Fatalf("fabricfake: %s: a delay of %v is negative", c.device.name, d)
	}
	w.Do(func(time.Duration) {
		c.own, c.delay = true, d
		c.service.prompt = c.service.prompt && d == 0
	})
}

// latency is how long a push to the device takes.
func (c *cache) latency() time.Duration {
	if c.own {
		return c.delay
	}
	return c.service.delay
}

// arrive takes the pushes that are due, unless the service is down, which then has them
// arrive when it has recovered.
func (c *cache) arrive(now time.Duration) {
	if len(c.service.outages) > 0 {
		return
	}
	n := 0
	for ; n < len(c.pushes) && c.pushes[n].due <= now; n++ {
		p := &c.pushes[n]
		b := c.behind[p.key]
		b.mapping = p.to
		if b.pushes--; b.pushes > 0 {
			c.behind[p.key] = b
		} else {
			delete(c.behind, p.key)
		}
	}
	c.pushes = slices.Delete(c.pushes, 0, n)
	if len(c.pushes) > 0 {
		c.timer.Set(c.pushes[0].due)
	}
}

// settle has the device know of an address what the service knows: pushes that are on
// their way bring nothing new. It reports whether there were any.
func (c *cache) settle(key mappingKey) bool {
	if _, differs := c.behind[key]; !differs {
		return false
	}
	c.pushes = slices.DeleteFunc(c.pushes, func(p push) bool { return p.key == key })
	delete(c.behind, key)
	return true
}
