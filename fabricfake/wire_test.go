package fabricfake_test

import (
	"bytes"
	"io"
	"slices"
	"testing"
	"time"

	"github.com/netspec-go/netspec/fabricfake"
	"github.com/netspec-go/netspec/internal/wire"
	"github.com/netspec-go/netspec/netfake"
)

// wireOwner is a node on a wire, made of a function.
type wireOwner func(p *netfake.Packet) netfake.Next

func (*wireOwner) String() string                        { return "owner" }
func (o *wireOwner) Step(p *netfake.Packet) netfake.Next { return (*o)(p) }

// own inserts a function into a host's wire.
func own(h *fabricfake.PhysicalHost, f wireOwner) (remove func()) { return h.Wire().Insert(&f) }

// Who owns a wire may do with its frames what he likes, and what he cannot hide is found
// out. Once he is gone all is as it was.
func TestWireIsOwned(t *testing.T) {
	for _, row := range []struct {
		name   string
		owner  wireOwner
		want   []string // what arrives of "one" at 0 and "two" 1 ms later
		alarms int
		drops  string // the rule of the first drop
	}{
		{"passes", func(p *netfake.Packet) netfake.Next { return p.Onward() }, []string{"server0 one 100µs", "server0 two 1.1ms"}, 0, ""},
		{"drops", func(p *netfake.Packet) netfake.Next {
			return p.Drop(netfake.Hop{Place: "wire", Rule: "cut"})
		}, nil, 0, "cut"},
		{"delays one", func(p *netfake.Packet) netfake.Next {
			if bytes.HasSuffix(p.Bytes(), []byte("one")) {
				return p.OnwardAfter(2 * time.Millisecond)
			}
			return p.Onward()
		}, []string{"server0 two 1.1ms", "server0 one 2.1ms"}, 0, ""},
		{"repeats", func(p *netfake.Packet) netfake.Next { p.Repeat(); return p.Onward() },
			[]string{"server0 one 100µs", "server0 one 100µs", "server0 two 1.1ms", "server0 two 1.1ms"}, 0, ""},
		{"alters the VNI", func(p *netfake.Packet) netfake.Next {
			p.Bytes()[outerLen+6] ^= 1
			return p.Onward()
		}, nil, 2, "a frame of vni 0 for interface 2, which is not here"},
		{"alters who sends", func(p *netfake.Packet) netfake.Next {
			p.Bytes()[outerLen+geneveLen+11] ^= 8
			return p.Onward()
		}, nil, 2, "a frame of vni 1 from 192.168.0.3 in the name of interface 9, which is not there"},
		{"alters where it comes from", func(p *netfake.Packet) netfake.Next {
			p.Bytes()[15]++
			return p.Onward()
		}, nil, 2, "a frame from 192.168.0.4, which is another's address"},
		{"alters the data", func(p *netfake.Packet) netfake.Next {
			p.Payload()[wire.UDPHeaderLen] ^= 1
			return p.Onward()
		}, nil, 0, "the checksum is wrong"},
		{"alters the data and the checksum", func(p *netfake.Packet) netfake.Next {
			p.Payload()[wire.UDPHeaderLen] ^= 0x20
			p.Seal()
			return p.Onward()
		}, []string{"server0 One 100µs", "server0 Two 1.1ms"}, 0, ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			netfake.Run(t, func(t *testing.T, w *netfake.World) {
				f := newFlock(t, w)
				remove := own(f.client.Interface().PhysicalHost(), row.owner)
				c := f.dial(t, f.client, f.servers[0].Addr().String())
				f.until(0, c, "one")
				f.until(time.Millisecond, c, "two")
				f.want(t, row.want...)
				if n := len(w.Alarms()); n != row.alarms {
					t.Errorf("alarms: %v", w.Alarms())
				}
				if d := w.Drops(); row.drops != "" && (len(d) != 2 || d[0].Hop.Rule != row.drops) || row.drops == "" && len(d) > 0 {
					t.Errorf("drops: %v", d)
				}
				remove()
				f.until(time.Second, c, "three")
				f.want(t, "server0 three 1.0001s")
			})
		})
	}
}

// A wire carries what its host sends and gets, and nothing that stays on the host or passes
// between others; a stream crosses it whole, in packets as an interface sends them.
func TestWireSeesFrames(t *testing.T) { netfake.Run(t, testWireSeesFrames) }

func testWireSeesFrames(t *testing.T, w *netfake.World) {
	f := newFlock(t, w)
	cfg := f.open()
	cfg.On = f.client.Interface().PhysicalHost()
	neighbour := f.subnet.Instance("neighbour", cfg)
	f.listen(t, neighbour)
	var frames []fabricfake.Frame
	tap := func(p *netfake.Packet) netfake.Next {
		frame, err := fabricfake.ParseFrame(p.Bytes())
		if err != nil {
			t.Error(err)
		}
		frame.Inner = slices.Clone(frame.Inner)
		frames = append(frames, frame)
		return p.Onward()
	}
	own(cfg.On, tap)
	f.until(0, f.dial(t, f.client, neighbour.Addr().String()), "inside")
	f.until(0, f.dial(t, f.servers[0], f.servers[1].Addr().String()), "between others")
	f.want(t, "neighbour inside 20µs", "server1 between others 100µs")
	if len(frames) != 0 {
		t.Errorf("the wire has seen %v", frames)
	}

	l, err := f.servers[0].Listen("tcp", ":80")
	if err != nil {
		t.Fatal(err)
	}
	c, err := f.client.Dial("tcp", f.servers[0].Addr().String()+":80")
	if err != nil {
		t.Fatal(err)
	}
	s, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	sent := bytes.Repeat([]byte("0123456789"), 20_000)
	c.Write(sent)
	c.Close()
	if got, err := io.ReadAll(s); err != nil || !bytes.Equal(got, sent) {
		t.Errorf("read %d bytes, %v", len(got), err)
	}
	out, in, full := 0, 0, 0
	for _, frame := range frames {
		switch frame.From {
		case cfg.On.Addr():
			out++
		case f.servers[0].Interface().PhysicalHost().Addr():
			in++
		}
		if len(frame.Inner) == fabricfake.MTU {
			full++
		}
	}
	if out+in != len(frames) || in < 2 || full != 22 {
		t.Errorf("%d frames out, %d in, %d of %d of full size", out, in, full, len(frames))
	}
	if len(w.Alarms()) != 0 || len(w.Drops()) != 0 {
		t.Errorf("alarms %v, drops %v", w.Alarms(), w.Drops())
	}
}

// A frame that was read off a wire is believed from there alone, and for as long as its
// sender is there.
func TestWireReplays(t *testing.T) { netfake.Run(t, testWireReplays) }

func testWireReplays(t *testing.T, w *netfake.World) {
	f := newFlock(t, w)
	victim, thief := f.client.Interface().PhysicalHost(), f.servers[1].Interface().PhysicalHost()
	var frame []byte
	own(victim, func(p *netfake.Packet) netfake.Next {
		frame = slices.Clone(p.Bytes())
		return p.Onward()
	})
	f.until(0, f.dial(t, f.client, f.servers[0].Addr().String()), "once")
	f.w.Sleep(time.Millisecond)
	thief.Inject(frame)
	victim.Inject(frame)
	forged, err := fabricfake.ParseFrame(frame)
	if err != nil {
		t.Fatal(err)
	}
	forged.From = thief.Addr()
	thief.Inject(forged.Marshal())
	f.want(t, "server0 once 100µs", "server0 once 1.1ms")
	if a := w.Alarms(); len(a) != 2 || a[0].By != netfake.Component(thief) || a[0].What != "a frame from 192.168.0.3, which is another's address" ||
		a[1].What != "a frame of vni 1 from 192.168.0.5 in the name of interface 1, which is not there" {
		t.Errorf("alarms: %v", a)
	}
}

// A wire has the faults of a link, which bite what goes through it in either direction.
func TestWireIsCut(t *testing.T) { netfake.Run(t, testWireIsCut) }

func testWireIsCut(t *testing.T, w *netfake.World) {
	f := newFlock(t, w)
	h := f.servers[0].Interface().PhysicalHost()
	to := f.servers[0].UDP(9)
	if r := f.client.Probe(to); r.Outcome != netfake.Answered {
		t.Errorf("before: %v", r)
	}
	for _, cut := range []func() *netfake.Fault{h.Wire().Partition, h.Wire().Forth().Partition, h.Wire().Back().Partition} {
		fault := cut()
		r := f.client.Probe(to)
		if b := r.Blocker(); r.Outcome != netfake.Silence || b == nil || b.By != netfake.Component(h.Wire()) {
			t.Errorf("%v: %v", fault, r)
		}
		if r := f.client.Probe(f.servers[1].UDP(9)); r.Outcome != netfake.Answered {
			t.Errorf("%v, the other server: %v", fault, r)
		}
		fault.Undo()
	}
	fault := h.Wire().Partition()
	f.until(0, f.dial(t, f.client, f.servers[0].Addr().String()), "lost")
	f.want(t)
	if fault.Hits() != 1 {
		t.Errorf("%v: %d hits", fault, fault.Hits())
	}
}
