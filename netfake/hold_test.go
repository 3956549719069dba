package netfake

import (
	"testing"
	"time"
)

// What a hold keeps goes on when the last hold of the link is released, in order.
func TestHold(t *testing.T) { Run(t, testHold) }

func testHold(t *testing.T, w *World) {
	p := newDuo(t, w)
	link := p.a.Uplink().Link()
	first, second := link.Hold(), link.Hold()
	for n := range byte(3) {
		p.send(n)
		p.at(10 * (int(n) + 1))
	}
	first.Undo()
	p.at(40)
	p.inB.want(t, "while one of two holds is in force", "")
	second.Undo()
	p.at(50)
	p.inB.want(t, "released", "0@42ms 1@42ms 2@42ms")
	p.inA.want(t, "released", "0@41ms 1@41ms 2@41ms") // they had crossed the other last mile
	p.send(3)
	p.at(60)
	p.inB.want(t, "after the holds", "3@52ms")
	if first.Hits() != 6 || second.Hits() != 6 || link.Stats().Held != 6 {
		t.Errorf("%d and %d hits; %+v", first.Hits(), second.Hits(), link.Stats())
	}
}

// Release ends holds and nothing else; one way is held alone.
func TestRelease(t *testing.T) { Run(t, testRelease) }

func testRelease(t *testing.T, w *World) {
	p := newDuo(t, w)
	up := p.a.Uplink().Link().Forth()
	up.Hold()
	slow := up.Delay(5 * time.Millisecond)
	p.send(0)
	p.at(10)
	p.inA.want(t, "the other way", "0@2ms")
	p.inB.want(t, "held", "")
	up.Release()
	p.at(20)
	p.inB.want(t, "released, and still slow", "0@17ms")
	if slow.Hits() != 1 {
		t.Errorf("%v: %d hits", slow, slow.Hits())
	}
}

// What is held when the link is cut is swallowed if the cut outlasts the hold.
func TestHoldThenPartition(t *testing.T) { Run(t, testHoldThenPartition) }

func testHoldThenPartition(t *testing.T, w *World) {
	p := newDuo(t, w)
	link := p.a.Uplink().Link()
	hold := link.Hold()
	p.toB.Write([]byte{0})
	cut := link.Partition()
	p.toB.Write([]byte{1})
	hold.Undo()
	cut.Undo()
	p.toB.Write([]byte{2})
	p.at(10)
	p.inB.want(t, "both were in force", "2@2ms")
	if hold.Hits() != 1 || cut.Hits() != 2 {
		t.Errorf("the hold hit %d, the partition %d", hold.Hits(), cut.Hits())
	}
}

// A probe asks what would happen now: what is held does not arrive.
func TestHoldProbe(t *testing.T) { Run(t, testHoldProbe) }

func testHoldProbe(t *testing.T, w *World) {
	p := newDuo(t, w)
	link := p.b.Uplink().Link()
	hold := link.Hold()
	if r := p.a.Probe(p.b.UDP(9)); r.Outcome != Silence || r.Blocker() == nil || r.Blocker().By != Component(link) {
		t.Errorf("while the link is held:\n%v", r)
	}
	hold.Undo()
	if r := p.a.Probe(p.b.UDP(9)); r.Outcome != Answered || hold.Hits() != 0 {
		t.Errorf("released, with %d hits:\n%v", hold.Hits(), r)
	}
}

// Delays add up, each goes by itself, and SetLatency is another matter.
func TestDelay(t *testing.T) { Run(t, testDelay) }

func testDelay(t *testing.T, w *World) {
	p := newDuo(t, w)
	link := p.a.Uplink().Link()
	first, second := link.Delay(10*time.Millisecond), link.Delay(20*time.Millisecond)
	link.SetLatency(2 * time.Millisecond)
	p.toB.Write([]byte{0}) // 33 ms
	first.Undo()
	p.toB.Write([]byte{1}) // 23 ms
	second.Undo()
	p.toB.Write([]byte{2}) // 3 ms
	p.at(100)
	p.inB.want(t, "each in its time", "2@3ms 1@23ms 0@33ms")
	if first.Hits() != 1 || second.Hits() != 2 || link.Latency() != 2*time.Millisecond {
		t.Errorf("%d and %d hits, latency %v", first.Hits(), second.Hits(), link.Latency())
	}
	if text := fatal(t, func(tb TB) { New(tb, Config{}).NewLink("wire", 0).Delay(-1) }); text == "" {
		t.Error("a negative delay did not fail the test")
	}
}
