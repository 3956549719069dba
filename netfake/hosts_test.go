package netfake

import (
	"testing"
	"time"
)

// A fault of traffic takes what it names, in the direction that it names, and what is
// on its way when it begins.
func TestTrafficPartition(t *testing.T) {
	for _, row := range []struct {
		name     string
		cut      func(p *duo) *Fault
		toA, toB string // what arrives of 0 at 0 ms, 1 at 10 ms and 2 at 20 ms
		hits     uint64
	}{
		{"two hosts", func(p *duo) *Fault { return p.w.Partition(Hosts{p.a}, Hosts{p.b}) }, "0@2ms 2@22ms", "0@2ms 2@22ms", 2},
		{"the other order", func(p *duo) *Fault { return p.w.Partition(Hosts{p.b}, Hosts{p.a}) }, "0@2ms 2@22ms", "0@2ms 2@22ms", 2},
		{"one way", func(p *duo) *Fault { return p.w.Toward(Hosts{p.a}, Hosts{p.b}).Partition() }, "0@2ms 1@12ms 2@22ms", "0@2ms 2@22ms", 1},
		{"from everybody", func(p *duo) *Fault { return p.w.Toward(nil, Hosts{p.b}).Partition() }, "0@2ms 1@12ms 2@22ms", "0@2ms 2@22ms", 1},
		{"to everybody", func(p *duo) *Fault { return p.w.Toward(Hosts{p.b}, nil).Partition() }, "0@2ms 2@22ms", "0@2ms 1@12ms 2@22ms", 1},
		{"the whole host", func(p *duo) *Fault { return p.b.Partition() }, "0@2ms 2@22ms", "0@2ms 2@22ms", 2},
		{"everybody", func(p *duo) *Fault { return p.w.Partition(nil, nil) }, "0@2ms 2@22ms", "0@2ms 2@22ms", 2},
		{"others", func(p *duo) *Fault {
			return p.w.Partition(Hosts{p.a}, Hosts{p.w.Internet().Host("c", "203.0.113.3")})
		}, "0@2ms 1@12ms 2@22ms", "0@2ms 1@12ms 2@22ms", 0},
	} {
		t.Run(row.name, func(t *testing.T) {
			Run(t, func(t *testing.T, w *World) {
				p := newDuo(t, w)
				p.send(0)
				p.at(10)
				f := row.cut(p)
				p.send(1)
				p.at(20)
				f.Undo()
				p.send(2)
				p.at(30)
				p.inA.want(t, "at a", row.toA)
				p.inB.want(t, "at b", row.toB)
				if f.Hits() != row.hits {
					t.Errorf("%v: %d hits, want %d", f, f.Hits(), row.hits)
				}
			})
		})
	}
}

// A probe sees a partition of hosts, from both of its sides, and names it.
func TestTrafficProbe(t *testing.T) { Run(t, testTrafficProbe) }

func testTrafficProbe(t *testing.T, w *World) {
	p := newDuo(t, w)
	for _, cut := range []func() *Fault{
		func() *Fault { return w.Toward(Hosts{p.a}, Hosts{p.b}).Partition() },
		func() *Fault { return w.Toward(Hosts{p.b}, Hosts{p.a}).Partition() }, // the answer
		p.a.Partition, p.b.Partition, p.a.Hold, p.b.Hold, p.a.Pause, p.b.Pause,
	} {
		f := cut()
		if r := p.a.Probe(p.b.UDP(9)); r.Outcome != Silence || r.Blocker() == nil || r.Blocker().By != Component(f) {
			t.Errorf("%v:\n%v", f, r)
		}
		f.Undo()
		if r := p.a.Probe(p.b.UDP(9)); r.Outcome != Answered || f.Hits() != 0 {
			t.Errorf("%v is undone, with %d hits:\n%v", f, f.Hits(), r)
		}
	}
}

// What a hold of hosts keeps goes on in order when it is released; a host still talks
// with itself.
func TestTrafficHold(t *testing.T) { Run(t, testTrafficHold) }

func testTrafficHold(t *testing.T, w *World) {
	p := newDuo(t, w)
	pairs, whole := w.Between(Hosts{p.a}, Hosts{p.b}).Hold(), p.a.Hold()
	for n := range byte(2) {
		p.send(n)
		p.at(10 * (int(n) + 1))
	}
	if rtt, err := p.a.Ping(t.Context(), p.a.Addr()); rtt != 0 || err != nil {
		t.Errorf("a pings itself in %v: %v", rtt, err)
	}
	pairs.Undo()
	p.at(30)
	p.inA.want(t, "one hold is left", "")
	p.inB.want(t, "one hold is left", "")
	p.a.Release()
	p.at(40)
	p.inA.want(t, "released where it had come to", "0@30ms 1@30ms")
	p.inB.want(t, "released where it leaves", "0@32ms 1@32ms")
	if pairs.Hits() != 2 || whole.Hits() != 4 {
		t.Errorf("%v: %d hits; %v: %d hits", pairs, pairs.Hits(), whole, whole.Hits())
	}
}

// A connection outlasts a partition of its hosts: what is lost comes again.
func TestTrafficPartitionHeals(t *testing.T) { Run(t, testTrafficPartitionHeals) }

func testTrafficPartitionHeals(t *testing.T, w *World) {
	server, client := twoHosts(w)
	echoServer(t, server, ":7")
	c, err := client.Dial("tcp", "203.0.113.10:7")
	if err != nil {
		t.Fatal(err)
	}
	cut := w.Partition(Hosts{server}, Hosts{client})
	c.Write([]byte("x"))
	w.Sleep(time.Second)
	cut.Undo()
	if _, err := c.Read(make([]byte, 1)); err != nil {
		t.Error(err)
	}
	if cut.Hits() < 2 {
		t.Errorf("%v: %d hits", cut, cut.Hits())
	}
}
