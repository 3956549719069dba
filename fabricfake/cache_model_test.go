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
	switch {
	case to != nil && to.device == y.device, to == nil && was != nil && was.device == y.device:
		var others []push
		for _, p := range y.pending {
			if p.key != key {
				others = append(others, p)
			}
		}
		y.pending, y.known[key] = others, to
		return
	case was != nil && was.device == y.device:
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

// compare tells where the device's cache differs from the diary, and counts how often it
// lags behind the service.
func (y *diary) compare(keys []mappingKey, late *int) string {
	c := &y.device.cache
	for _, key := range keys {
		if got, want := c.told(key), y.known[key]; got != want {
			return fmt.Sprintf("%v believes of %v %+v, and has been told %+v", y.device, key.addr, got, want)
		}
		if c.outdated(key) {
			*late++
		}
	}
	if len(y.pending) == 0 && len(c.behind) > 0 {
		return fmt.Sprintf("%v has been told of everything, and remembers %v", y.device, c.behind)
	}
	return ""
}

// Whatever changes, and however long that takes to get about, a cache knows what it has been
// told: no more, and no less.
func TestCachesKnowWhatTheyWereTold(t *testing.T) {
	late := 0
	rapid.Check(t, func(t *rapid.T) {
		rapid.SyncTest(t, func(t *rapid.T) {
			w := netfake.New(t, netfake.Config{Seed: 1})
			v := NewVPC(w, "prod", "10.0.0.0/16")
			s, m := v.Subnet("app", "10.0.0.0/24", "a"), v.region.mapping
			var at []*Interface
			var diaries []*diary
			for i := range 3 {
				f := s.Instance(fmt.Sprint("i", i), InstanceConfig{}).Interface()
				at = append(at, f)
				diaries = append(diaries, &diary{device: f.device, known: map[mappingKey]*mapping{}})
			}
			var keys []mappingKey
			for i := range 3 {
				keys = append(keys, mappingKey{v.vni, netip.AddrFrom4([4]byte{10, 0, 0, byte(100 + i)})})
			}
			var failure *netfake.Fault
			for range rapid.IntRange(1, 30).Draw(t, "steps") {
				delay := time.Duration(rapid.IntRange(0, 3).Draw(t, "seconds")) * time.Second
				who, key := rapid.IntRange(0, 2).Draw(t, "who"), keys[rapid.IntRange(0, 2).Draw(t, "address")]
				switch rapid.SampledFrom([]string{"add", "add", "add", "remove", "all", "one", "fail", "sleep", "sleep"}).Draw(t, "what") {
				case "add", "remove":
					which := at[who]
					if delay == 0 {
						which = nil
					}
					w.Do(func(now time.Duration) {
						was := m.entries[key]
						if which != nil {
							m.add(key.vni, key.addr, which)
						} else {
							m.remove(key.vni, key.addr)
						}
						for _, y := range diaries {
							takes := m.delay
							if y.own {
								takes = y.delay
							}
							y.note(key, was, m.entries[key], now+takes)
						}
					})
				case "all":
					m.SetDelay(delay)
				case "one":
					at[who].PhysicalHost().SetMappingDelay(delay)
					diaries[who].own, diaries[who].delay = true, delay
				case "fail":
					if failure == nil {
						failure = m.Fail()
					} else {
						failure.Undo()
						failure = nil
					}
				case "sleep":
					w.Sleep(delay)
				}
				wrong := ""
				w.Do(func(now time.Duration) {
					for _, y := range diaries {
						if failure == nil {
							y.advance(now)
						}
						if problem := y.compare(keys, &late); problem != "" {
							wrong = problem
						}
					}
				})
				if wrong != "" {
					t.Fatal(wrong)
				}
			}
		})
	})
	if late == 0 {
		t.Error("no cache was ever late")
	}
}
