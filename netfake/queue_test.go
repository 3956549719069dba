package netfake

import (
	"testing"
	"time"
)

// full makes a datagram of a thousand bytes with its headers.
func full(n byte) []byte { return append([]byte{n}, make([]byte, 1000-28-1)...) }

// Packets leave one after the other, each in the time of its bits: 8 ms for a thousand
// bytes at a megabit per second. Both directions have a line of their own.
func TestBandwidth(t *testing.T) {
	for _, row := range []struct {
		name     string
		limit    func(l *Link)
		toA, toB string
		waited   uint64
	}{
		{"unlimited", func(*Link) {}, "0@2ms 1@2ms 2@2ms", "0@2ms 1@2ms 2@2ms", 0},
		{"both ways", func(l *Link) { l.SetBandwidth(Bandwidth{Bits: 1e6}) }, "0@10ms 1@18ms 2@26ms", "0@10ms 1@18ms 2@26ms", 4},
		{"up", func(l *Link) { l.Forth().SetBandwidth(Bandwidth{Bits: 1e6}) }, "0@2ms 1@2ms 2@2ms", "0@10ms 1@18ms 2@26ms", 2},
		{"asymmetric", func(l *Link) {
			l.Forth().SetBandwidth(Bandwidth{Bits: 1e6})
			l.Back().SetBandwidth(Bandwidth{Bits: 4e6})
		}, "0@4ms 1@6ms 2@8ms", "0@10ms 1@18ms 2@26ms", 4},
		{"lifted again", func(l *Link) {
			l.SetBandwidth(Bandwidth{Bits: 1e6})
			l.SetBandwidth(Bandwidth{})
		}, "0@2ms 1@2ms 2@2ms", "0@2ms 1@2ms 2@2ms", 0},
		{"rounded up to a nanosecond", func(l *Link) { l.SetBandwidth(Bandwidth{Bits: 3e9}) },
			"0@2.002667ms 1@2.005334ms 2@2.008001ms", "0@2.002667ms 1@2.005334ms 2@2.008001ms", 4},
	} {
		t.Run(row.name, func(t *testing.T) {
			Run(t, func(t *testing.T, w *World) {
				p := newDuo(t, w)
				link := p.a.Uplink().Link()
				row.limit(link)
				for n := range byte(3) {
					p.toB.Write(full(n))
					p.toA.Write(full(n))
				}
				p.at(100)
				p.inA.want(t, "at a", row.toA)
				p.inB.want(t, "at b", row.toB)
				if s := link.Stats(); s != (LinkStats{Carried: 6, Waited: row.waited}) {
					t.Errorf("stats: %+v", s)
				}
			})
		})
	}
}

// A queue takes what it has room for behind the packet that is being sent, and drops the
// rest, for a reason that can be read; as it empties there is room again.
func TestQueueOverflows(t *testing.T) {
	for _, row := range []struct {
		name  string
		limit Bandwidth
		want  string
	}{
		{"two packets", Bandwidth{Bits: 1e6, QueuePackets: 2}, "0@10ms 1@18ms 2@26ms 9@34ms"},
		{"two packets' bytes", Bandwidth{Bits: 1e6, QueueBytes: 2000}, "0@10ms 1@18ms 2@26ms 9@34ms"},
		{"a byte less", Bandwidth{Bits: 1e6, QueueBytes: 1999}, "0@10ms 1@18ms 9@26ms"},
		{"whichever is full first", Bandwidth{Bits: 1e6, QueueBytes: 5000, QueuePackets: 1}, "0@10ms 1@18ms 9@26ms"},
		{"the default", Bandwidth{Bits: 1e6}, "0@10ms 1@18ms 2@26ms 3@34ms 4@42ms 9@50ms"},
	} {
		t.Run(row.name, func(t *testing.T) {
			Run(t, func(t *testing.T, w *World) {
				p := newDuo(t, w)
				link := p.a.Uplink().Link()
				link.SetBandwidth(row.limit)
				for n := range byte(5) {
					p.toB.Write(full(n))
				}
				p.at(9) // the first has left, the second is being sent
				p.toB.Write(full(9))
				p.at(100)
				p.inB.want(t, "at b", row.want)
				s := link.Stats()
				if s.Carried+s.Overflowed != 6 || link.Hits() != s.Overflowed || len(w.Drops()) != int(s.Overflowed) {
					t.Errorf("%+v, %d hits, %d drops", s, link.Hits(), len(w.Drops()))
				}
				for _, d := range w.Drops() {
					if d.Hop.Rule != "the queue is full" || d.Hop.By != Component(link) || d.At != 0 {
						t.Errorf("dropped: %v", d)
					}
				}
			})
		})
	}
}

// The default queue holds what crosses in DefaultQueue, and ten large packets at least.
func TestDefaultQueue(t *testing.T) {
	Run(t, func(t *testing.T, w *World) {
		l := w.NewLink("wire", 0)
		for bits, want := range map[int64]int{10e6: 312500, 1e9: 31250000, 64e3: 15000, 0: 0} {
			l.SetBandwidth(Bandwidth{Bits: bits})
			if got := l.forth.queue.bandwidth.QueueBytes; got != want {
				t.Errorf("at %d bit/s: %d bytes, want %d", bits, got, want)
			}
		}
	})
	for _, b := range []Bandwidth{{Bits: -1}, {Bits: 1, QueueBytes: -1}, {Bits: 1, QueuePackets: -1}} {
		if text := fatal(t, func(tb TB) { New(tb, Config{}).NewLink("wire", 0).SetBandwidth(b) }); text == "" {
			t.Errorf("%+v did not fail the test", b)
		}
	}
}

// Who sends at one instant queues in an order that the seed decides and no goroutine.
func TestQueueOrder(t *testing.T) {
	CheckDeterministic(t, 1, func(t *testing.T, w *World) {
		server := w.Internet().Host("server", "203.0.113.9")
		openUDP(t, server, 9)
		link := w.NewLink("wire", 0)
		link.SetBandwidth(Bandwidth{Bits: 1e6, QueuePackets: 3})
		for i := range 6 {
			h := w.Internet().Host(string(rune('a'+i)), "203.0.113."+string(rune('1'+i)))
			h.nics[0].out = &shared{link, h.uplink}
			go func() {
				c, err := h.Dial("udp", "203.0.113.9:9")
				if err != nil {
					t.Error(err)
					return
				}
				c.Write(full(byte(i)))
			}()
		}
		w.Sleep(time.Second)
		if s := link.Stats(); s.Carried != 4 || s.Overflowed != 2 {
			t.Errorf("stats: %+v", s)
		}
	})
}

// shared is a wire on the way to an uplink.
type shared struct {
	link *Link
	to   Node
}

func (s *shared) String() string      { return "shared" }
func (s *shared) Step(p *Packet) Next { return p.Over(s.link, s.to) }
