package netfake

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// inbox is what arrives at a UDP socket: "0@10ms 1@20ms", the first byte and when.
type inbox struct {
	mu  sync.Mutex
	got []string
}

func watch9(t *testing.T, h *Host) *inbox {
	t.Helper()
	in, u := &inbox{}, openUDP(t, h, 9)
	w := h.world
	w.Go(func(context.Context) {
		b := make([]byte, 2000)
		for {
			if _, _, err := u.ReadFromUDPAddrPort(b); err != nil {
				return
			}
			in.mu.Lock()
			in.got = append(in.got, fmt.Sprintf("%d@%v", b[0], w.Now()))
			in.mu.Unlock()
		}
	})
	return in
}

// want lets everything arrive that is under way, and compares what has come since it
// was last asked.
func (in *inbox) want(t *testing.T, why, want string) {
	t.Helper()
	synctest.Wait()
	in.mu.Lock()
	defer in.mu.Unlock()
	if got := strings.Join(in.got, " "); got != want {
		t.Errorf("%s: got %q, want %q", why, got, want)
	}
	in.got = nil
}

// duo is two hosts on the internet, a millisecond of last mile each and nothing between,
// with an inbox each and a socket towards it.
type duo struct {
	w        *World
	a, b     *Host
	inA, inB *inbox
	toA, toB net.Conn
}

func newDuo(t *testing.T, w *World) *duo {
	p := &duo{w: w, a: w.Internet().Host("a", "203.0.113.1"), b: w.Internet().Host("b", "203.0.113.2")}
	p.inA, p.inB = watch9(t, p.a), watch9(t, p.b)
	var err error
	if p.toB, err = p.a.Dial("udp", "203.0.113.2:9"); err != nil {
		t.Fatal(err)
	}
	if p.toA, err = p.b.Dial("udp", "203.0.113.1:9"); err != nil {
		t.Fatal(err)
	}
	return p
}

// at waits until a time since the world's beginning.
func (p *duo) at(ms int) { p.w.Sleep(time.Duration(ms)*time.Millisecond - p.w.Now()) }

// send sends a datagram with a number in both directions.
func (p *duo) send(n byte) {
	p.toB.Write([]byte{n})
	p.toA.Write([]byte{n})
}

// Faults are undone one by one, in whatever order: each takes away its own and leaves
// what the others set.
func TestUndoOutOfOrder(t *testing.T) {
	type setting = func(l *Link) *Fault
	loss := func(share float64) setting { return func(l *Link) *Fault { return l.SetLoss(share) } }
	faults := func(f Faults) setting { return func(l *Link) *Fault { return l.SetFaults(f) } }
	for _, row := range []struct {
		name     string
		settings []setting
		undo     []int
		want     []Faults // at first, and after each undoing
	}{
		{"the first first", []setting{loss(0.1), loss(0.2)}, []int{0, 1},
			[]Faults{{Loss: 0.2}, {Loss: 0.2}, {}}},
		{"the last first", []setting{loss(0.1), loss(0.2)}, []int{1, 0},
			[]Faults{{Loss: 0.2}, {Loss: 0.1}, {}}},
		{"the middle first", []setting{loss(0.1), loss(0.2), loss(0.3)}, []int{1, 2, 0},
			[]Faults{{Loss: 0.3}, {Loss: 0.3}, {Loss: 0.1}, {}}},
		{"twice", []setting{loss(0.1), loss(0.2)}, []int{1, 1, 0},
			[]Faults{{Loss: 0.2}, {Loss: 0.1}, {Loss: 0.1}, {}}},
		{"loss over others", []setting{faults(Faults{Jitter: 5, Loss: 0.5, Burst: 3}), loss(0.2)}, []int{1, 0},
			[]Faults{{Jitter: 5, Loss: 0.2}, {Jitter: 5, Loss: 0.5, Burst: 3}, {}}},
		{"the others first", []setting{faults(Faults{Jitter: 5}), loss(0.2)}, []int{0, 1},
			[]Faults{{Jitter: 5, Loss: 0.2}, {Loss: 0.2}, {}}},
		{"others over loss", []setting{loss(0.2), faults(Faults{Jitter: 5})}, []int{1, 0},
			[]Faults{{Jitter: 5}, {Loss: 0.2}, {}}},
	} {
		t.Run(row.name, func(t *testing.T) {
			Run(t, func(t *testing.T, w *World) {
				l := w.NewLink("wire", 0)
				var set []*Fault
				for _, s := range row.settings {
					set = append(set, s(l))
				}
				for i, want := range row.want {
					if i > 0 {
						set[row.undo[i-1]].Undo()
					}
					if l.forth.faults != want || l.back.faults != want {
						t.Errorf("after %d: %+v and %+v, want %+v", i, l.forth.faults, l.back.faults, want)
					}
				}
			})
		})
	}
}

// Repair undoes what was done to its object and nothing else; the world's undoes all.
func TestRepair(t *testing.T) { Run(t, testRepair) }

func testRepair(t *testing.T, w *World) {
	p := newDuo(t, w)
	link := p.a.Uplink().Link()
	breakAll := func() {
		link.Partition()
		link.SetLoss(1)
		link.Forth().Hold()
		link.Back().Delay(time.Second)
		p.a.Partition()
		p.a.Pause()
		w.Partition(Hosts{p.a}, Hosts{p.b})
	}
	left := func(why string, want ...string) {
		t.Helper()
		var got []string
		for _, f := range w.Faults() {
			got = append(got, f.String())
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: left are\n%q, want\n%q", why, got, want)
		}
	}
	breakAll()
	left("all", "partition of a last mile", "loss of 1 on a last mile", "hold on a last mile up",
		"delay of 1s on a last mile down", "partition of a ↔ everybody", "pause of a", "partition of a ↔ b")
	link.Back().Repair()
	left("one way's", "partition of a last mile", "loss of 1 on a last mile", "hold on a last mile up",
		"partition of a ↔ everybody", "pause of a", "partition of a ↔ b")
	link.Repair()
	left("the link's", "partition of a ↔ everybody", "pause of a", "partition of a ↔ b")
	p.a.Repair()
	left("the host's", "partition of a ↔ b")
	p.a.Crash()
	p.a.Crash()
	w.Repair()
	left("the world's")
	if rtt, err := p.b.Ping(t.Context(), p.a.Addr()); rtt != 4*LastMile || err != nil {
		t.Errorf("after the repairs a ping takes %v: %v", rtt, err)
	}
}

// A room's own fault counts what it is told, and ends once.
func TestNewFault(t *testing.T) {
	Run(t, func(t *testing.T, w *World) {
		var story []string
		f := w.NewFault(nil, "flood", func(*Fault, time.Duration) { story = append(story, "begin") },
			func(*Fault, time.Duration) { story = append(story, "end") })
		w.Do(func(time.Duration) { f.Hit(w.NewPacket(20, 0, 0)) })
		f.Undo()
		f.Undo()
		if got := strings.Join(story, " "); got != "begin end" || f.Hits() != 1 || f.String() != "flood" {
			t.Errorf("%v: %s, %d hits", f, got, f.Hits())
		}
	})
}

// A fault counts a packet once, wherever it meets it, and so for each part that the packet is
// taken into on its way; every fault counts for itself.
func TestHitOnce(t *testing.T) {
	Run(t, func(t *testing.T, w *World) {
		none := func(*Fault, time.Duration) {}
		flood, fire := w.NewFault(nil, "flood", none, none), w.NewFault(nil, "fire", none, none)
		hit := func(packets ...*Packet) {
			for range 2 {
				for _, p := range packets {
					flood.Hit(p)
					fire.Hit(p)
				}
			}
		}
		want := func(what string, n uint64) {
			t.Helper()
			if flood.hits != n || fire.hits != n {
				t.Errorf("%s: %d and %d hits, want %d each", what, flood.hits, fire.hits, n)
			}
		}
		w.Do(func(time.Duration) {
			train := trainPacket(w, 1000, 2500)
			hit(train)
			want("a train of three", 3)
			hit(train.segment(0), train.segment(1), train.segment(2))
			want("its segments", 3)
			late := trainPacket(w, 1000, 2500)
			first, rest := late.segment(0), late.segment(1)
			hit(first)
			want("one of another's", 4)
			hit(rest)
			want("and the next", 5)

			whole := trainPacket(w, 0, 2500)
			hit(whole)
			want("a packet", 6)
			hit(whole.cut(1000, 1, Hop{})...)
			want("its fragments", 6)
			w.packets.put(whole)
			hit(trainPacket(w, 0, 2500))
			want("the next packet in its place", 7)
		})
	})
}

// The table of verbs in the package's documentation: what somebody sees who dials while
// a fault is in force that ends after two seconds. SYNs go out after 0, 1 and 3 s.
func TestVerbs(t *testing.T) {
	const heals = 2 * time.Second
	toServer := oneWay - LastMile // from the client to the server's last mile
	for _, row := range []struct {
		verb  string
		begin func(server *Host, l *Link) *Fault
		took  time.Duration
		err   string // "" if the connection was made
		hits  uint64
	}{
		{"nothing", func(_ *Host, l *Link) *Fault { return l.Delay(0) }, 2 * oneWay, "", 3},
		{"Partition of a link", func(_ *Host, l *Link) *Fault { return l.Partition() }, 3*time.Second + 2*oneWay, "", 2},
		{"Partition of a host", func(h *Host, _ *Link) *Fault { return h.Partition() }, 3*time.Second + 2*oneWay, "", 2},
		{"SetLoss", func(_ *Host, l *Link) *Fault { return l.SetLoss(1) }, 3*time.Second + 2*oneWay, "", 2},
		{"SetFaults", func(_ *Host, l *Link) *Fault {
			return l.Forth().SetFaults(Faults{Reorder: 1, ReorderBy: time.Second / 2})
		},
			2*oneWay + time.Second/2, "", 1},
		{"Hold of a link", func(_ *Host, l *Link) *Fault { return l.Hold() }, heals + 2*oneWay - toServer, "", 2},
		{"Hold of a host", func(h *Host, _ *Link) *Fault { return h.Hold() }, heals + oneWay, "", 2},
		{"Pause", func(h *Host, _ *Link) *Fault { return h.Pause() }, heals + oneWay, "", 2},
		{"Delay", func(_ *Host, l *Link) *Fault { return l.Delay(time.Second / 5) }, 2*oneWay + 2*time.Second/5, "", 3},
		{"Crash, and nobody listens after the restart", func(h *Host, _ *Link) *Fault { return h.Crash() },
			3*time.Second + 2*oneWay, "connect: connection refused", 2},
		{"Refuse", func(_ *Host, l *Link) *Fault { return l.Refuse(HostUnreachable) }, 2 * toServer, "connect: no route to host", 1},
	} {
		t.Run(row.verb, func(t *testing.T) {
			Run(t, func(t *testing.T, w *World) {
				server, client := twoHosts(w)
				if _, err := server.Listen("tcp", ":80"); err != nil {
					t.Fatal(err)
				}
				f := row.begin(server, server.Uplink().Link())
				time.AfterFunc(heals, f.Undo)
				began := w.Now()
				_, err := client.Dial("tcp", "203.0.113.10:80")
				if took := w.Now() - began; took != row.took {
					t.Errorf("it took %v, want %v", took, row.took)
				}
				if (err == nil) != (row.err == "") || (err != nil && !strings.HasSuffix(err.Error(), row.err)) {
					t.Errorf("got %v, want %q", err, row.err)
				}
				w.Sleep(10 * time.Second)
				if f.Hits() != row.hits {
					t.Errorf("%v: %d hits, want %d", f, f.Hits(), row.hits)
				}
			})
		})
	}
}

// A failed test's report names the faults that are in force, and none that is over.
func TestReportFaults(t *testing.T) {
	Run(t, func(t *testing.T, w *World) {
		p := newDuo(t, w)
		p.a.Uplink().Link().Partition()
		p.b.Pause().Undo()
		p.toB.Write([]byte{1})
		want := "\nin force: partition of a last mile, hits: 1\nseed "
		if got := w.Report(); !strings.Contains(got, want) || strings.Contains(got, "pause") {
			t.Errorf("the report is\n%s\nwant %q in it, and no pause", got, want)
		}
	})
}
