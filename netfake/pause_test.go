package netfake

import (
	"errors"
	"fmt"
	"os"
	"testing"
	"time"
)

// A paused host takes nothing in and sends nothing out; when it goes on, all of that
// happens at once.
func TestPause(t *testing.T) { Run(t, testPause) }

func testPause(t *testing.T, w *World) {
	p := newDuo(t, w)
	first, second := p.b.Pause(), p.b.Pause()
	p.send(0)
	p.at(10)
	p.send(1)
	p.at(20)
	p.inA.want(t, "from a paused host", "")
	p.inB.want(t, "at a paused host", "")
	first.Undo()
	p.at(30)
	p.inB.want(t, "one of two pauses is left", "")
	p.b.Resume()
	p.at(40)
	p.inB.want(t, "resumed", "0@30ms 1@30ms")
	p.inA.want(t, "resumed", "0@32ms 1@32ms")
	p.send(2)
	p.at(50)
	p.inB.want(t, "as before", "2@42ms")
	if first.Hits() != 4 || second.Hits() != 4 {
		t.Errorf("%d and %d hits", first.Hits(), second.Hits())
	}
}

// The ring of a paused host takes so many packets and drops the rest.
func TestPauseRing(t *testing.T) { Run(t, testPauseRing) }

func testPauseRing(t *testing.T, w *World) {
	p := newDuo(t, w)
	p.b.Pause()
	for range ringSize + 10 {
		p.toB.Write([]byte{0})
	}
	p.at(10)
	dropped := 0
	for _, d := range w.Drops() {
		if d.Hop.Rule == "the host is paused, and its receive ring is full" {
			dropped++
		}
	}
	p.b.Resume()
	p.at(20)
	want := ""
	for range ringSize {
		want += " 0@10ms"
	}
	p.inB.want(t, "resumed", want[1:])
	if dropped != 10 {
		t.Errorf("%d were dropped, want 10", dropped)
	}
}

// A peer sends again to a paused host, and to a crashed one in vain; the paused one
// answers when it goes on, and the connection is as before.
func TestPauseOutlasted(t *testing.T) { Run(t, testPauseOutlasted) }

func testPauseOutlasted(t *testing.T, w *World) {
	server, client := twoHosts(w)
	echoServer(t, server, ":7")
	c, err := client.Dial("tcp", "203.0.113.10:7")
	if err != nil {
		t.Fatal(err)
	}
	server.Pause()
	resume := w.Now() + 5*time.Second
	time.AfterFunc(5*time.Second, server.Resume)
	c.Write([]byte("x"))
	c.SetReadDeadline(w.Time(resume - 1))
	if _, err := c.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("a paused host: %v", err)
	}
	c.SetReadDeadline(time.Time{})
	if _, err := c.Read(make([]byte, 1)); err != nil || w.Now() != resume+oneWay {
		t.Errorf("it answered at %v, want %v after %v: %v", w.Now(), oneWay, resume, err)
	}
}

// The timers of a paused host do not go off before it goes on: what it has sent, and
// what was lost, is sent again then and not earlier.
func TestPauseStopsTimers(t *testing.T) { Run(t, testPauseStopsTimers) }

func testPauseStopsTimers(t *testing.T, w *World) {
	server, client := twoHosts(w)
	echoServer(t, server, ":7")
	c, err := client.Dial("tcp", "203.0.113.10:7")
	if err != nil {
		t.Fatal(err)
	}
	link := client.Uplink().Link()
	lost := link.SetLoss(1)
	c.Write([]byte("x"))
	lost.Undo()
	client.Pause()
	rec := w.Record(nil)
	began := w.Now()
	w.Sleep(10 * time.Second)
	if n := len(rec.Traces()); n != 0 {
		t.Errorf("%d packets while the host is paused", n)
	}
	client.Resume()
	if _, err := c.Read(make([]byte, 1)); err != nil || w.Now() != began+10*time.Second+2*oneWay {
		t.Errorf("answered at %v, want a round trip after %v: %v", w.Now(), began+10*time.Second, err)
	}
}

// A host that crashes while it is paused loses its ring, and goes on when both are over.
func TestPauseThenCrash(t *testing.T) { Run(t, testPauseThenCrash) }

func testPauseThenCrash(t *testing.T, w *World) {
	p := newDuo(t, w)
	pause := p.b.Pause()
	p.toB.Write([]byte{0})
	p.at(10)
	crash := p.b.Crash()
	p.toB.Write([]byte{1})
	p.at(20)
	p.b.Restart()
	in := watch9(t, p.b)
	p.toB.Write([]byte{2})
	p.at(30)
	in.want(t, "restarted, and still paused", "")
	pause.Undo()
	p.at(40)
	in.want(t, "resumed", "2@30ms")
	if got := fmt.Sprint(pause.Hits(), crash.Hits()); got != "2 1" {
		t.Errorf("the pause and the crash hit %s", got)
	}
}

// What waits in a host that crashes is lost with it, as its sockets are: what it would have
// sent when it goes on, or when a hold of it is released. What has left it is not, and neither
// is what others have sent through the same hold.
func TestCrashLosesWhatWaits(t *testing.T) {
	for _, row := range []struct {
		name string
		keep func(p *duo) *Fault
		toB  string // what arrives of 0, from before the crash, and 1, after it
		toA  string
	}{
		{"a pause", func(p *duo) *Fault { return p.a.Pause() }, "1@22ms", ""},
		{"a hold of the host", func(p *duo) *Fault { return p.a.Hold() }, "1@22ms", "0@20ms"},
		{"a hold of both from the rest", func(p *duo) *Fault { return p.w.Between(nil, Hosts{p.a}).Hold() }, "1@22ms", "0@20ms"},
		{"a hold where it arrives", func(p *duo) *Fault { return p.w.Toward(Hosts{p.a}, Hosts{p.b}).Hold() }, "0@20ms 1@22ms", ""},
		{"a hold of the link", func(p *duo) *Fault { return p.a.Uplink().Link().Forth().Hold() }, "1@22ms 0@22ms", ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			Run(t, func(t *testing.T, w *World) {
				p := newDuo(t, w)
				fault := row.keep(p)
				p.send(0)
				p.at(10)
				p.a.Crash()
				p.at(12)
				p.a.Restart()
				in := watch9(t, p.a)
				again, err := p.a.Dial("udp", "203.0.113.2:9")
				if err != nil {
					t.Fatal(err)
				}
				p.at(20)
				fault.Undo()
				again.Write([]byte{1})
				p.at(40)
				p.inB.want(t, "from a", row.toB)
				in.want(t, "to a", row.toA)
			})
		})
	}
}
