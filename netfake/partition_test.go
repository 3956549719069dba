package netfake

import "testing"

// A partition takes what enters after it began and before it is undone, and only in its
// own direction.
func TestPartitionWays(t *testing.T) {
	for _, row := range []struct {
		name     string
		cut      func(p *duo) *Fault
		toA, toB string // what arrives of 0 at 0 ms, 1 at 10 ms and 2 at 20 ms
		hits     uint64
	}{
		{"both ways of a last mile", func(p *duo) *Fault { return p.a.Uplink().Link().Partition() }, "0@4ms 2@24ms", "0@4ms 2@24ms", 2},
		{"up", func(p *duo) *Fault { return p.a.Uplink().Link().Forth().Partition() }, "0@4ms 1@14ms 2@24ms", "0@4ms 2@24ms", 1},
		{"down", func(p *duo) *Fault { return p.a.Uplink().Link().Back().Partition() }, "0@4ms 2@24ms", "0@4ms 1@14ms 2@24ms", 1},
		{"the long distance", func(p *duo) *Fault { return p.w.Internet().Between(Place{}, Place{}).Partition() }, "0@4ms 2@24ms", "0@4ms 2@24ms", 2},
		{"the long distance, one way", func(p *duo) *Fault { return p.w.Internet().Way(Place{}, Place{}).Partition() }, "0@4ms 1@14ms 2@24ms", "0@4ms 2@24ms", 1},
		{"of another place", func(p *duo) *Fault { return p.w.Internet().Between(Sydney, Place{}).Partition() },
			"0@4ms 1@14ms 2@24ms", "0@4ms 1@14ms 2@24ms", 0},
	} {
		t.Run(row.name, func(t *testing.T) {
			Run(t, func(t *testing.T, w *World) {
				p := newDuo(t, w)
				p.a.Uplink().Link().SetLatency(LastMile * 3)
				p.send(0)
				p.at(10)
				f := row.cut(p)
				p.send(1)
				p.at(20)
				f.Undo()
				p.send(2)
				p.at(40)
				p.inA.want(t, "at a", row.toA)
				p.inB.want(t, "at b", row.toB)
				if f.Hits() != row.hits {
					t.Errorf("%v: %d hits, want %d", f, f.Hits(), row.hits)
				}
			})
		})
	}
}

// What is on its way when a link is cut arrives.
func TestPartitionLeavesWhatFlies(t *testing.T) {
	Run(t, func(t *testing.T, w *World) {
		p := newDuo(t, w)
		p.send(0)
		p.a.Uplink().Link().Partition()
		p.at(10)
		p.inB.want(t, "at b", "0@2ms")
		p.inA.want(t, "at a", "") // had not come to the last mile yet
	})
}

// A way between two places is one direction of the link between them, whoever asks.
func TestInternetWay(t *testing.T) {
	Run(t, func(t *testing.T, w *World) {
		n := w.Internet()
		there, back := n.Way(Sydney, Melbourne), n.Way(Melbourne, Sydney)
		if there == back || there.Link() != n.Between(Melbourne, Sydney) || back.Link() != there.Link() {
			t.Errorf("%v and %v are not the two ways of one link", there, back)
		}
		if there.String() != "internet Sydney → Melbourne" || back.String() != "internet Melbourne → Sydney" {
			t.Errorf("they are called %v and %v", there, back)
		}
	})
}
