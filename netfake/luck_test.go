package netfake

import "testing"

// Two links of one name, as those of two uplinks whose gateways are called the same, lose
// packets of their own, in every run the same.
func TestLinksOfOneName(t *testing.T) {
	fates := func() (all [4]string) {
		w := New(t, Config{Seed: 1})
		n, node := w.Internet(), &box{name: "box"}
		from, to := Place{City: "Springfield", Lat: 1}, Place{City: "Springfield", Lat: 2}
		for i, l := range []*Link{
			n.Attach("igw", Place{}, node).Link(), n.Attach("igw", Place{}, node).Link(),
			n.Between(from, Sydney), n.Between(to, Sydney),
		} {
			l.SetLoss(0.5)
			for seq := range uint64(64) {
				p := w.NewPacket(0, 1, seq)
				all[i] += map[bool]string{true: "-", false: "x"}[l.forth.loses(p)]
			}
		}
		return all
	}
	got := fates()
	if got[0] == got[1] || got[2] == got[3] {
		t.Errorf("two lose alike: %q", got)
	}
	if again := fates(); again != got {
		t.Errorf("another run loses %q, and this one %q", again, got)
	}
}

// A packet that crosses a link twice, there and back or in a circle, may be lost both times.
func TestCrossingTwice(t *testing.T) {
	for _, row := range []struct {
		name   string
		second func(l *Link) *Way
	}{
		{"there and back", (*Link).Back},
		{"in a circle", (*Link).Forth},
	} {
		Run(t, func(t *testing.T, w *World) {
			server, client := twoHosts(w)
			in := openUDP(t, server, 9)
			l := w.NewLink("substrate", 0)
			l.SetLoss(0.5)
			client.Uplink().Link().Insert(&box{"box", func(p *Packet) Next {
				return p.Over(l, &box{"far", func(p *Packet) Next {
					return p.Along(row.second(l), &box{"near", func(p *Packet) Next { return p.Onward() }})
				}})
			}})
			got := uint64(len(datagrams(t, client, 4000, in, 200)))
			s := l.Stats()
			if once := s.Carried - got; got < 30 || got > 70 || once < 80 || once > 120 || s.Lost != 200-got {
				t.Errorf("%s: %d of 200 have come, want about 50, and crossed it once, want about 100; %+v", row.name, got, s)
			}
		})
	}
}

// The copies of a packet have luck of their own: those that a link makes, and those that a
// middlebox does.
func TestLuckOfCopies(t *testing.T) {
	for _, row := range []struct {
		name   string
		double func(l *Link)
	}{
		{"a link's", func(l *Link) { l.SetFaults(Faults{Duplicate: 1}) }},
		{"a middlebox's", func(l *Link) {
			l.Insert(&box{"box", func(p *Packet) Next {
				p.Repeat()
				return p.Onward()
			}})
		}},
	} {
		Run(t, func(t *testing.T, w *World) {
			server, client := twoHosts(w)
			in := openUDP(t, server, 9)
			row.double(client.Uplink().Link())
			server.Uplink().Link().SetLoss(0.5)
			times := map[byte]int{}
			for _, n := range datagrams(t, client, 4000, in, 200) {
				times[n]++
			}
			var once int
			for _, n := range times {
				if n == 1 {
					once++
				}
			}
			if len(times) < 130 || len(times) > 170 || once < 80 || once > 120 {
				t.Errorf("%s: %d of 200 have come, want about 150; %d of them once, want about 100", row.name, len(times), once)
			}
		})
	}
}
