package fabricfake

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/netspec-go/netspec/netfake"
)

// diary is what a device knows, kept the long way: a copy of everything, and what is on its
// way to it.
type diary struct {
	device  *device
	own     bool
	delay   time.Duration
	known   map[mappingKey]*mapping
	pending []push
}

// note has a change reach the device, as MappingService documents it.
func (y *diary) note(key mappingKey, was, to *mapping, at time.Duration) {
	here := func(m *mapping) bool { return m.live() && m.device == y.device }
	switch {
	case here(to), here(was) && !to.live():
		var others []push
		for _, p := range y.pending {
			if p.key != key {
				others = append(others, p)
			}
		}
		y.pending, y.known[key] = others, to
		return
	case here(was):
		y.known[key] = nil
	}
	if n := len(y.pending); n > 0 && y.pending[n-1].due > at {
		at = y.pending[n-1].due
	}
	y.pending = append(y.pending, push{at, key, to})
}

// advance takes what has arrived by now.
func (y *diary) advance(now time.Duration) {
	for len(y.pending) > 0 && y.pending[0].due <= now {
		y.known[y.pending[0].key] = y.pending[0].to
		y.pending = y.pending[1:]
	}
}

// compare tells where the device's cache differs from the diary, and reports whether it lags
// behind the service.
func (y *diary) compare(keys []mappingKey) (problem string, late bool) {
	c := &y.device.cache
	for _, key := range keys {
		if got, want := c.told(key), y.known[key]; got != want && (got.live() || want.live()) {
			return fmt.Sprintf("%v believes of %v %+v, and has been told %+v", y.device, key.addr, got, want), late
		}
		late = late || c.outdated(key)
	}
	if len(y.pending) == 0 && len(c.behind) > 0 {
		return fmt.Sprintf("%v has been told of everything, and remembers %v", y.device, c.behind), late
	}
	return "", late
}

// shelf is three instances between which three addresses move, with a diary of each host.
type shelf struct {
	w       *netfake.World
	mapping *MappingService
	at      []*Interface
	diaries []*diary
	keys    []mappingKey
	failure *netfake.Fault
	late    bool // a cache was late
}

func newShelf(w *netfake.World) *shelf {
	v := NewVPC(w, "prod", "10.0.0.0/16")
	s, x := v.Subnet("app", "10.0.0.0/24", "a"), &shelf{w: w, mapping: v.region.mapping}
	for i := range 3 {
		f := s.Instance(fmt.Sprint("i", i), InstanceConfig{}).Interface()
		x.at = append(x.at, f)
		x.diaries = append(x.diaries, &diary{device: f.device, known: map[mappingKey]*mapping{}})
		x.keys = append(x.keys, mappingKey{v.vni, netip.AddrFrom4([4]byte{10, 0, 0, byte(100 + i)})})
	}
	return x
}

// give has an instance get an address, or nobody.
func (x *shelf) give(address int, to *Interface) {
	key, m := x.keys[address], x.mapping
	x.w.Do(func(now time.Duration) {
		was := m.entries[key]
		if to != nil {
			m.add(key.vni, key.addr, to)
		} else {
			m.remove(key.vni, key.addr)
		}
		for _, y := range x.diaries {
			takes := m.delay
			if y.own {
				takes = y.delay
			}
			y.note(key, was, m.entries[key], now+takes)
		}
	})
}

// setDelay gives a host a time of its own.
func (x *shelf) setDelay(who int, d time.Duration) {
	x.at[who].PhysicalHost().SetMappingDelay(d)
	x.diaries[who].own, x.diaries[who].delay = true, d
}

// toggle has the service fail, or recover.
func (x *shelf) toggle() {
	if x.failure == nil {
		x.failure = x.mapping.Fail()
		return
	}
	x.failure.Undo()
	x.failure = nil
}

// problem compares all caches with their diaries.
func (x *shelf) problem() (wrong string) {
	x.w.Do(func(now time.Duration) {
		for _, y := range x.diaries {
			if x.failure == nil {
				y.advance(now)
			}
			problem, late := y.compare(x.keys)
			if problem != "" {
				wrong = problem
			}
			x.late = x.late || late
		}
	})
	return wrong
}

// Whatever changes, and however long that takes to get about, a cache knows what it has been
// told: no more, and no less.
func TestCachesKnowWhatTheyWereTold(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rapid.SyncTest(t, func(t *rapid.T) {
			x := newShelf(netfake.New(t, netfake.Config{Seed: 1}))
			for range rapid.IntRange(1, 30).Draw(t, "steps") {
				delay := time.Duration(rapid.IntRange(0, 3).Draw(t, "seconds")) * time.Second
				who, address := rapid.IntRange(0, 2).Draw(t, "who"), rapid.IntRange(0, 2).Draw(t, "address")
				switch rapid.SampledFrom([]string{"add", "add", "add", "remove", "all", "one", "fail", "sleep", "sleep"}).Draw(t, "what") {
				case "add":
					x.give(address, x.at[who])
				case "remove":
					x.give(address, nil)
				case "all":
					x.mapping.SetDelay(delay)
				case "one":
					x.setDelay(who, delay)
				case "fail":
					x.toggle()
				case "sleep":
					x.w.Sleep(delay)
				}
				if wrong := x.problem(); wrong != "" {
					t.Fatal(wrong)
				}
			}
		})
	})
}

// That caches lag behind is no matter of luck: the property sees them late in a life in which
// they must be, after a delay and while the service is down, and not a nanosecond longer.
func TestCachesAreLate(t *testing.T) {
	netfake.Run(t, func(t *testing.T, w *netfake.World) {
		x := newShelf(w)
		for _, step := range []struct {
			what string
			do   func()
			late bool
		}{
			{"at once", func() { x.give(0, x.at[0]) }, false},
			{"a second to come", func() { x.mapping.SetDelay(time.Second); x.give(0, x.at[1]) }, true},
			{"still", func() { x.w.Sleep(time.Second - 1) }, true},
			{"it has come", func() { x.w.Sleep(1) }, false},
			{"the service is down", func() { x.mapping.SetDelay(0); x.toggle(); x.give(0, nil) }, true},
			{"and up", x.toggle, false},
		} {
			x.late = false
			step.do()
			if wrong := x.problem(); wrong != "" || x.late != step.late {
				t.Errorf("%s: %s, late %v", step.what, wrong, x.late)
			}
		}
	})
}
