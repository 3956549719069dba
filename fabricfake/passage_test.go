package fabricfake

import (
	"bytes"
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/netspec-go/netspec/internal/talk"
	"github.com/netspec-go/netspec/internal/wire"
	"github.com/netspec-go/netspec/netfake"
)

// Whatever happens, in whichever setting, with passages all comes as it does when every packet
// goes through the stages, which those do that are recorded.
func TestPassagesAreInvisible(t *testing.T) {
	talk.Invisible(t, talk.Kinds{N: kinds, Quiet: quietKinds}, func(t *rapid.T, acts []talk.Act, recorded bool) string {
		l := settings[acts[0].Which%len(settings)].life(t, netfake.New(t, netfake.Config{Seed: 1}), recorded)
		defer l.w.Close()
		for _, a := range acts {
			l.do(a)
		}
		if n := len(remembered(l)); recorded && n > 0 && !l.duplicates {
			t.Fatalf("%d passages of recorded packets", n)
		}
		return l.name + "\n" + l.seen()
	})
}

// Of what that property compares passages are taken: of what is said each host remembers one
// on the way out and one on the way in, and of what is recorded none.
// A router remembers one in for each, and one out.
func TestPassagesAreTaken(t *testing.T) {
	for _, setting := range settings {
		for _, recorded := range []bool{false, true} {
			netfake.RunConfig(t, netfake.Config{Seed: 1}, func(t *testing.T, w *netfake.World) {
				l := setting.life(t, w, recorded)
				for _, a := range []talk.Act{{Kind: 0, Which: 0}, {Kind: 4, Which: 0}, {Kind: 4, Which: 1}} {
					l.do(a)
				}
				places := map[string]int{}
				for _, m := range remembered(l) {
					places[fmt.Sprint(m.flow.Proto, " from ", m.from, " to ", m.to)]++
				}
				want := map[string]bool{"from ha to <nil>": true, "from <nil> to hb": true, "from hb to <nil>": true, "from <nil> to ha": true}
				want["from router to <nil>"], want["from <nil> to router"] = setting.routed, setting.routed
				for place, there := range want {
					for _, proto := range []string{"tcp ", "udp "} {
						if got := places[proto+place] > 0; got != (there && !recorded) {
							t.Errorf("%s, recorded %v: passages %v", setting.name, recorded, places)
						}
					}
				}
			})
		}
	}
}

// remembered returns the passages of all hosts.
func remembered(l *life) (all []*passage) {
	for _, h := range []*Instance{l.hosts[0], l.hosts[1], l.router} {
		if h == nil {
			continue
		}
		for _, cache := range []*passages{&h.iface.sent, &h.iface.device.came} {
			for _, m := range slices.Concat(cache.of[:], cache.precedents.openings[:], cache.precedents.answers[:]) {
				if m != nil {
					all = append(all, m)
				}
			}
		}
	}
	return all
}

// movable is a target that can be taken away and lead elsewhere.
type movable struct {
	gone bool
	next NextHop
}

func (m *movable) String() string   { return "movable" }
func (m *movable) Attached() bool   { return !m.gone }
func (m *movable) NextHop() NextHop { return m.next }

// A passage holds until its connection has idled out or another one is opened.
func TestPassageIsCurrent(t *testing.T) {
	for _, tt := range []struct {
		name   string
		m      passage
		change func(f *Interface)
		want   bool
	}{
		{"nothing", passage{}, func(*Interface) {}, true},
		{"another connection", passage{}, func(f *Interface) { f.tracker.opened++ }, false},
		{"another connection, when its own is tracked", passage{tracked: &connection{idle: 11}}, func(f *Interface) { f.tracker.opened++ }, true},
		{"time", passage{tracked: &connection{idle: 10}}, func(*Interface) {}, false},
		{"not quite enough of it", passage{tracked: &connection{idle: 11}}, func(*Interface) {}, true},
	} {
		f := &Interface{tracker: newTracker(ConnectionTracking{})}
		tt.change(f)
		if got := tt.m.current(f, 10); got != tt.want {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
}

// counter counts what leaves a VPC through its edge.
type counter struct{ left int }

func (c *counter) String() string { return "counter" }

func (c *counter) Leave(p *netfake.Packet, _ *Interface) netfake.Next {
	c.left++
	return p.Delivered(netfake.Hop{})
}

// A conversation that goes through a route's target goes on as long as that leads there, and
// again when it does again.
func TestConversationFollowsTarget(t *testing.T) {
	for _, row := range []struct {
		name   string
		change func(target *movable, other NextHop)
	}{
		{"away", func(target *movable, _ NextHop) { target.gone = true }},
		{"elsewhere", func(target *movable, other NextHop) { target.next = other }},
	} {
		t.Run(row.name, func(t *testing.T) {
			netfake.RunConfig(t, netfake.Config{Instant: true}, func(t *testing.T, w *netfake.World) {
				v, here, there := NewVPC(w, "prod", "10.0.0.0/16"), &counter{}, &counter{}
				target := &movable{next: NextHop{Edge: NewEdge(v, "here", here)}}
				was, other := target.next, NextHop{Edge: NewEdge(v, "there", there)}
				web := v.Subnet("s", "10.0.1.0/24", "a").Route("0.0.0.0/0", target).Instance("web", InstanceConfig{})
				c, err := web.Dial("udp", "203.0.113.5:53")
				if err != nil {
					t.Fatal(err)
				}
				say := func(times, want int) {
					t.Helper()
					for range times {
						c.Write([]byte("something long enough"))
					}
					if here.left != want {
						t.Errorf("%d have come, want %d", here.left, want)
					}
				}
				say(3, 3)
				w.Do(func(time.Duration) { row.change(target, other) })
				say(3, 3)
				w.Do(func(time.Duration) { *target = movable{next: was} })
				say(3, 6)
			})
		})
	}
}

// Passages are for packets in the middle of a conversation that nobody watches.
func TestMemorable(t *testing.T) {
	const fragment = 0x80 // a flag of TCP that nobody looks at
	for _, tt := range []struct {
		name  string
		proto netfake.Protocol
		flags uint8
		want  bool
	}{
		{"data", netfake.TCP, flagACK, true},
		{"a fragment of it", netfake.TCP, flagACK | fragment, false},
		{"the end", netfake.TCP, flagACK | flagFIN, true},
		{"the beginning", netfake.TCP, flagSYN, false},
		{"its answer", netfake.TCP, flagSYN | flagACK, false},
		{"a datagram", netfake.UDP, 0, true},
		{"a fragment of one", netfake.UDP, fragment, false},
		{"a message", netfake.ICMP, 0, false},
	} {
		w := netfake.New(t, netfake.Config{})
		src, dst := netip.MustParseAddr("10.0.1.4"), netip.MustParseAddr("10.0.2.4")
		b := make([]byte, wire.IPv4HeaderLen+wire.TCPHeaderLen)
		ip := wire.IPv4{Proto: uint8(tt.proto), MF: tt.flags&fragment != 0, Src: src, Dst: dst}
		ip.Put(b, wire.TCPHeaderLen)
		b[wire.IPv4HeaderLen+12], b[wire.IPv4HeaderLen+13] = 5<<4, tt.flags
		w.Do(func(time.Duration) {
			p := w.NewPacket(len(b), 0, 0)
			copy(p.Bytes(), b)
			if err := p.Decode(); err != nil {
				t.Fatal(err)
			}
			if got := memorable(p); got != tt.want {
				t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
			}
		})
	}
}

// What a frame has put in front of one packet, its header puts in front of another as the
// frame itself would.
func TestHeader(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		number := rapid.Uint32()
		f := Frame{
			From: nthAddress(hostBlock, number.Draw(t, "from")%60000), To: nthAddress(hostBlock, number.Draw(t, "to")%60000),
			Entropy: uint16(number.Draw(t, "entropy")), VNI: number.Draw(t, "vni") % (1 << 24), Source: uint64(number.Draw(t, "source")),
			Inner: make([]byte, rapid.IntRange(1, 9001).Draw(t, "length")),
		}
		f.Inner[0] = rapid.SampledFrom([]byte{0x45, 0x60}).Draw(t, "version")
		h := header(f.Marshal())
		f.Inner = append(f.Inner[:1], make([]byte, rapid.IntRange(0, 9000).Draw(t, "other length"))...)
		want := f.Marshal()
		got := make([]byte, len(want))
		copy(got[frameHeaderLen:], f.Inner)
		h.put(got, len(f.Inner))
		if !bytes.Equal(got, want) {
			t.Fatalf("%x, want %x", got[:frameHeaderLen], want[:frameHeaderLen])
		}
	})
}

// Options say the same as hosts write them and behind one that nobody knows, which has them read
// one by one: whatever they are, and also where a bit of them is wrong.
func TestOptionsAreReadAlike(t *testing.T) {
	empty := []byte{0, 1, 1, 0} // of another class
	rapid.Check(t, func(t *rapid.T) {
		f := Frame{Source: rapid.Uint64().Draw(t, "source"), Receiver: rapid.Uint64().Draw(t, "receiver"), Inner: []byte{0x45}}
		f.From, f.To = nthAddress(hostBlock, 1), nthAddress(hostBlock, 2)
		options := f.Marshal()[frameHeaderLen-optionsLen : frameHeaderLen]
		if rapid.Bool().Draw(t, "turned") {
			options = append(options[interfaceOptionLen:], options[:interfaceOptionLen]...)
		}
		for range rapid.IntRange(0, 2).Draw(t, "wrong bits") {
			bit := rapid.IntRange(0, 8*wire.OptionHeaderLen-1).Draw(t, "bit")
			option := rapid.IntRange(0, 1).Draw(t, "option") * interfaceOptionLen
			options[option+bit/8] ^= 1 << (bit % 8)
		}
		options = options[:len(options)-rapid.SampledFrom([]int{0, 0, 1, 4, 12}).Draw(t, "cut")]
		if rapid.Bool().Draw(t, "more") {
			options = append(options, 0xff, 1, rapid.Byte().Draw(t, "type"), 0)
		}
		var got, want Frame
		err, wantErr := got.readOptions(options), want.readOptions(append(empty, options...))
		if err != wantErr || got.Source != want.Source || got.Receiver != want.Receiver {
			t.Fatalf("%x: %d to %d, %v, one by one %d to %d, %v", options, got.Source, got.Receiver, err, want.Source, want.Receiver, wantErr)
		}
	})
}

// The answer to somebody's question holds at once also for what others decide by it: not even
// at the same instant does a packet take an older decision. The client's packets go by a
// middlebox, so that its host never asks where the server is, and believes what it was told.
func TestAnswerEndsPassages(t *testing.T) {
	for _, traced := range []bool{false, true} {
		netfake.RunConfig(t, netfake.Config{Instant: true}, func(t *testing.T, w *netfake.World) {
			v := NewVPC(w, "prod", "10.0.0.0/16")
			members := v.SecurityGroup("members")
			open := v.SecurityGroup("open").AllowIngress("all", Anywhere)
			guarded := v.SecurityGroup("guarded").AllowIngress("all", Anywhere).RestrictEgress().
				AllowEgress("udp/9", members).AllowEgress("udp/9", Anywhere)
			one := v.Region().PhysicalHost("one", "a")
			client := v.Subnet("clients", "10.0.1.0/24", "a").Instance("client", InstanceConfig{Groups: Groups{guarded}, On: one})
			beside := v.Subnet("others", "10.0.2.0/24", "a").Instance("beside", InstanceConfig{Groups: Groups{open}, On: one})
			server := v.Subnet("servers", "10.0.3.0/24", "a").Instance("server", InstanceConfig{Groups: Groups{open}})
			middle := v.Subnet("middle", "10.0.4.0/24", "a").Instance("middle", InstanceConfig{Groups: Groups{open}, SourceDestCheck: SourceDestCheckOff})
			client.Interface().Subnet().Route("10.0.3.0/24", middle.Interface())
			v.Region().Mapping().SetDelay(time.Hour)
			v.Region().Mapping().SetMissPolicy(MissAsk)
			server.Interface().SetGroups(Groups{open, members})
			if traced {
				w.Record(nil)
			}
			to := server.UDP(9).Addr
			w.Do(func(time.Duration) {
				for _, i := range []*Instance{client, client, beside, client} {
					src := netip.AddrPortFrom(i.Addr(), 1)
					p := w.NewPacket(wire.IPv4HeaderLen+wire.UDPHeaderLen+1, 0, 0)
					ip := wire.IPv4{TTL: 64, Proto: wire.ProtoUDP, Src: src.Addr(), Dst: to.Addr()}
					ip.Put(p.Bytes(), wire.UDPHeaderLen+1)
					udp := wire.UDP{SrcPort: src.Port(), DstPort: to.Port()}
					udp.Put(p.Bytes()[wire.IPv4HeaderLen:], 1)
					if err := p.Decode(); err != nil {
						t.Error(err)
					}
					w.Trace(p, i.Name())
					w.Send(p, &i.Interface().out)
				}
			})
			rules := guarded.EgressRules()
			if rules[0].Hits != 1 || rules[1].Hits != 2 {
				t.Errorf("traced %v: of the client's three packets %d are for a member, want the last alone", traced, rules[0].Hits)
			}
		})
	}
}

// A connection that was reset is tracked for a while, and what follows the SYN of an untracked
// one between the same ports belongs to it: no rule is hit, with passages or without.
func TestPassagesOfAConnectionThatLingers(t *testing.T) {
	for _, row := range []struct {
		name             string
		recorded, before bool   // a precedent
		lingers          bool   // one that was reset
		want             uint64 // hits of the rule
	}{
		{"no other", false, false, false, 2}, // by the SYN and by what completes the handshake
		{"no other, recorded", true, false, false, 2},
		{"one that lingers", false, false, true, 1},
		{"one that lingers, recorded", true, false, true, 1},
		{"one that lingers, with a precedent", false, true, true, 1},
		{"one that lingers, with a precedent, recorded", true, true, true, 1},
	} {
		netfake.RunConfig(t, netfake.Config{Seed: 1}, func(t *testing.T, w *netfake.World) {
			l := newLife(t, w, row.recorded)
			from, to := netip.AddrPortFrom(l.hosts[0].Addr(), 80), netip.AddrPortFrom(l.hosts[1].Addr(), 41000)
			if row.before {
				l.Call(1)
			}
			if row.lingers {
				l.say(prompt{from: l.hosts[0].Interface(), proto: netfake.TCP, flags: flagSYN, src: from, dst: to})
			}
			w.Sleep(20 * time.Millisecond) // the SYN is answered with a RST
			hits := func() uint64 { return l.groups[0].ingress.rules[0].Hits }
			before := hits()
			d := netfake.Dialer{Host: l.hosts[1].Host, LocalAddr: to}
			if _, err := d.Dial("tcp", from.String()); err != nil {
				t.Fatalf("%s: %v", row.name, err)
			}
			w.Sleep(20 * time.Millisecond)
			if got := hits() - before; got != row.want {
				t.Errorf("%s: %d hits, want %d", row.name, got, row.want)
			}
		})
	}
}
