package netfake

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/netspec-go/netspec/internal/wire"
)

// anyAddrPort draws ports of addresses of one family.
type anyAddrPort struct{ ipv6 bool }

func (a anyAddrPort) Draw(t *rapid.T, label string) netip.AddrPort {
	var b [16]byte
	b[0] = 0x20 // nothing that IPv4 is mapped to
	binary.BigEndian.PutUint64(b[8:], rapid.Uint64().Draw(t, label))
	addr := netip.AddrFrom16(b)
	if !a.ipv6 {
		addr = netip.AddrFrom4([4]byte(b[12:]))
	}
	return netip.AddrPortFrom(addr, rapid.Uint16().Draw(t, label+" port"))
}

// anyPacket draws a packet that a host could send.
func anyPacket(t *rapid.T, w *World, addrs anyAddrPort) *Packet {
	data := rapid.SliceOfN(rapid.Byte(), 0, 64).Draw(t, "data")
	f := Flow{Src: addrs.Draw(t, "src"), Dst: addrs.Draw(t, "dst")}
	switch rapid.SampledFrom([]Protocol{TCP, UDP, ICMP}).Draw(t, "proto") {
	case TCP:
		f.Proto = TCP
		return w.tcpPacket(f, &wire.TCP{Flags: wire.ACK, Seq: rapid.Uint32().Draw(t, "seq"), Window: 9}, data, 1)
	case UDP:
		f.Proto = UDP
		p := (&Host{world: w}).udpPacket(f, data, 1)
		if !addrs.ipv6 && rapid.Bool().Draw(t, "without checksum") {
			clear(p.Payload()[6:8])
		}
		return p
	}
	echo := wire.ICMP{Type: icmpFor(f.Dst.Addr()).echoRequest, ID: f.Src.Port(), Seq: 1}
	h := &Host{world: w}
	return h.echoPacket(f.Src.Addr(), f.Dst.Addr(), echo, data, 1)
}

// A packet of either family whose addresses were rewritten, on whichever side and however
// often, has right checksums, and its bytes say what its Flow says.
func TestRewriteKeepsChecksums(t *testing.T) {
	w := New(t, Config{})
	rapid.Check(t, func(t *rapid.T) {
		w.Do(func(time.Duration) {
			addrs := anyAddrPort{rapid.Bool().Draw(t, "IPv6")}
			p := anyPacket(t, w, addrs)
			bare := p.Flow.Proto == UDP && p.Payload()[6] == 0 && p.Payload()[7] == 0
			for range rapid.IntRange(1, 4).Draw(t, "rewrites") {
				if rapid.Bool().Draw(t, "source") {
					p.SetSrc(addrs.Draw(t, "new source"))
				} else {
					p.SetDst(addrs.Draw(t, "new destination"))
				}
			}
			if !addrs.ipv6 && wire.Checksum(p.Bytes()[:wire.IPv4HeaderLen]) != 0 {
				t.Errorf("%v: the IP header's checksum is wrong", p.Flow)
			}
			if !wire.VerifyTransport(uint8(p.Flow.Proto), p.Flow.Src.Addr(), p.Flow.Dst.Addr(), p.Payload()) {
				t.Errorf("%v: the transport checksum is wrong", p.Flow)
			}
			if bare && (p.Payload()[6] != 0 || p.Payload()[7] != 0) {
				t.Errorf("%v: a UDP checksum appeared where there was none", p.Flow)
			}
			said := p.Flow
			if err := p.Decode(); err != nil || p.Flow != said {
				t.Errorf("the bytes say %v (%v), Flow said %v", p.Flow, err, said)
			}
			w.packets.put(p)
		})
	})
}

// Push and Pull are each other's inverse, beyond the room that a packet was made with
// too.
func TestPushPull(t *testing.T) {
	w := New(t, Config{})
	w.Do(func(time.Duration) {
		f := Flow{UDP, netip.MustParseAddrPort("10.0.0.1:1"), netip.MustParseAddrPort("10.0.0.2:2")}
		p := (&Host{world: w}).udpPacket(f, []byte("hello"), 1)
		before := bytes.Clone(p.Bytes())
		for range 5 { // 5 * 44 is more than the headroom
			for i, head := 0, p.Push(44); i < len(head); i++ {
				head[i] = 0xee
			}
		}
		if p.Len() != len(before)+5*44 || !bytes.Equal(p.Payload(), before[20:]) {
			t.Errorf("after Push: %d bytes, payload %q", p.Len(), p.Payload())
		}
		p.Pull(5 * 44)
		if !bytes.Equal(p.Bytes(), before) {
			t.Errorf("after Pull: %x, want %x", p.Bytes(), before)
		}
	})
}

// What a node was told of a packet's bytes is forgotten as soon as somebody may have changed
// them, and does not go to packets that are made of this one.
func TestTold(t *testing.T) {
	other := netip.MustParseAddrPort("10.0.0.9:9")
	for _, row := range []struct {
		name string
		act  func(p *Packet) *Packet // which packet is asked then
		kept bool
	}{
		{"nothing", func(p *Packet) *Packet { return p }, true},
		{"looks at what was read", func(p *Packet) *Packet { p.FlowHash(); p.TCPFlags(); p.Len(); return p }, true},
		{"Bytes", func(p *Packet) *Packet { p.Bytes(); return p }, false},
		{"Payload", func(p *Packet) *Packet { p.Payload(); return p }, false},
		{"Push", func(p *Packet) *Packet { p.Push(4); return p }, false},
		{"Pull", func(p *Packet) *Packet { p.Pull(4); return p }, false},
		{"SetSrc", func(p *Packet) *Packet { p.SetSrc(other); return p }, false},
		{"SetDst", func(p *Packet) *Packet { p.SetDst(other); return p }, false},
		{"CountDown", func(p *Packet) *Packet { p.CountDown(); return p }, false},
		{"Decode", func(p *Packet) *Packet { p.Decode(); return p }, false},
		{"a copy", (*Packet).clone, false},
	} {
		t.Run(row.name, func(t *testing.T) {
			w, what := New(t, Config{}), new(int)
			w.Do(func(time.Duration) {
				f := Flow{TCP, netip.MustParseAddrPort("10.0.0.1:1"), netip.MustParseAddrPort("10.0.0.2:2")}
				p := w.tcpPacket(f, &wire.TCP{Flags: wire.ACK}, nil, 1)
				p.Tell(what)
				if told := row.act(p).Told(); (told == any(what)) != row.kept || !row.kept && told != nil {
					t.Errorf("told %v", told)
				}
			})
		})
	}
}

// Decode reads the flow that there is, whatever it was before.
func TestDecodeAnew(t *testing.T) {
	flow := Flow{TCP, netip.MustParseAddrPort("10.0.0.1:1"), netip.MustParseAddrPort("10.0.0.2:2")}
	for _, row := range []struct {
		name   string
		change func(b []byte)
		want   Flow
	}{
		{"the same", func([]byte) {}, flow},
		{"another source", func(b []byte) { b[15] = 9 }, Flow{TCP, netip.MustParseAddrPort("10.0.0.9:1"), flow.Dst}},
		{"another destination", func(b []byte) { b[19] = 9 }, Flow{TCP, flow.Src, netip.MustParseAddrPort("10.0.0.9:2")}},
		{"another source port", func(b []byte) { b[21] = 9 }, Flow{TCP, netip.MustParseAddrPort("10.0.0.1:9"), flow.Dst}},
		{"another destination port", func(b []byte) { b[23] = 9 }, Flow{TCP, flow.Src, netip.MustParseAddrPort("10.0.0.2:9")}},
		{"another protocol", func(b []byte) { b[9] = uint8(UDP) }, Flow{UDP, flow.Src, flow.Dst}},
		{"a first fragment", func(b []byte) { b[6] = 0x20 }, flow},
		{"a later fragment", func(b []byte) { b[6], b[7] = 0, 1 }, addrFlow(TCP, flow.Src.Addr(), flow.Dst.Addr())},
	} {
		t.Run(row.name, func(t *testing.T) {
			w := New(t, Config{})
			w.Do(func(time.Duration) {
				p := w.tcpPacket(flow, &wire.TCP{Flags: wire.ACK}, nil, 1)
				row.change(p.Bytes())
				p.buf[p.head+10], p.buf[p.head+11] = 0, 0
				binary.BigEndian.PutUint16(p.buf[p.head+10:], wire.Checksum(p.buf[p.head:p.head+20]))
				if err := p.Decode(); err != nil || p.Flow != row.want || p.FlowHash() != row.want.Hash() {
					t.Errorf("%v, hash %x, %v; want %v, hash %x", p.Flow, p.FlowHash(), err, row.want, row.want.Hash())
				}
				if fragment := row.want.Src.Port() == 0 || row.name == "a first fragment"; p.IsFragment() != fragment {
					t.Errorf("fragment: %t", p.IsFragment())
				}
			})
		})
	}
}

// Decode takes whatever bytes there are: it fails, or gives a flow that a rewrite can
// handle.
func FuzzDecode(f *testing.F) {
	for _, seed := range packetSeeds(f) {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		w := New(t, Config{})
		h := w.NewHost("gateway", Place{})
		w.Do(func(time.Duration) {
			p := w.NewPacket(len(b), 0, 0)
			p.node = h
			copy(p.Bytes(), b)
			if p.Decode() == nil {
				checkDecoded(t, p, len(b))
			}
		})
	})
}

func packetSeeds(f *testing.F) (seeds [][]byte) {
	h := New(f, Config{}).NewHost("h", Place{})
	add := func(p *Packet) { seeds = append(seeds, bytes.Clone(p.Bytes())) }
	flow := Flow{TCP, netip.MustParseAddrPort("10.0.0.1:1"), netip.MustParseAddrPort("10.0.0.2:2")}
	h.world.Do(func(time.Duration) {
		add(h.world.tcpPacket(flow, &wire.TCP{Flags: wire.SYN, MSS: 1460}, []byte("x"), 1))
		flow.Proto = UDP
		add(h.udpPacket(flow, []byte("x"), 1))
		add(h.echoPacket(flow.Src.Addr(), flow.Dst.Addr(), wire.ICMP{Type: wire.ICMPEchoRequest}, nil, 1))
		flow = Flow{UDP, netip.MustParseAddrPort("[2001:db8::1]:1"), netip.MustParseAddrPort("[2001:db8::2]:2")}
		p := h.udpPacket(flow, []byte("x"), 1)
		add(p)
		add(extended(p, wire.ProtoHopByHop, 1))
		add(p.ICMPError(ICMPError{Kind: PortUnreachable}, flow.Dst.Addr()))
		flow.Proto = TCP
		add(h.world.tcpPacket(flow, &wire.TCP{Flags: wire.SYN, MSS: 1440}, []byte("x"), 1))
		add(h.echoPacket(flow.Src.Addr(), flow.Dst.Addr(), wire.ICMP{Type: wire.ICMPv6EchoRequest}, nil, 1))
		for _, p := range fragmentSeeds(h) {
			add(p)
		}
	})
	return append(seeds, seeds[0][:30])
}

// fragmentSeeds returns datagrams of both families in fragments.
func fragmentSeeds(h *Host) []*Packet {
	flow := Flow{UDP, netip.MustParseAddrPort("10.0.0.1:1"), netip.MustParseAddrPort("10.0.0.2:2")}
	flow6 := Flow{UDP, netip.MustParseAddrPort("[2001:db8::1]:1"), netip.MustParseAddrPort("[2001:db8::2]:2")}
	return append(h.udpPacket(flow, make([]byte, 40), 1).pieces(44, 7), h.udpPacket(flow6, make([]byte, 40), 1).pieces(72, 7)...)
}

func checkDecoded(t *testing.T, p *Packet, size int) {
	if p.Len() > size || len(p.Payload()) > p.Len() {
		t.Fatalf("%d bytes, payload %d, of %d", p.Len(), len(p.Payload()), size)
	}
	p.TCPFlags()
	p.ICMPType()
	if p.DataLen() > size || p.Summary() == "" {
		t.Errorf("%d bytes of data, summary %q", p.DataLen(), p.Summary())
	}
	if p.Flow.Proto == TCP {
		p.Reset()
	}
	p.IsFragment()
	p.Quoted()
	to := []netip.AddrPort{netip.MustParseAddrPort("192.0.2.1:7"), netip.MustParseAddrPort("192.0.2.2:8")}
	if !p.Flow.Src.Addr().Is4() {
		to = []netip.AddrPort{netip.MustParseAddrPort("[2001:db8::7]:7"), netip.MustParseAddrPort("[2001:db8::8]:8")}
	}
	p.SetSrc(to[0])
	p.SetDst(to[1])
	src, dst := p.Flow.Src.Addr(), p.Flow.Dst.Addr()
	if err := p.Decode(); err != nil || p.Flow.Src.Addr() != src || p.Flow.Dst.Addr() != dst {
		t.Errorf("after a rewrite: %v, %v", p.Flow, err)
	}
	if p.FlowHash() != p.Flow.Hash() {
		t.Errorf("after a rewrite the hash is another flow's")
	}
}
