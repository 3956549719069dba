package wire

import (
	"bytes"
	"errors"
	"net/netip"
	"testing"

	"pgregory.net/rapid"
)

var (
	client4, server4 = netip.MustParseAddr("198.51.100.20"), netip.MustParseAddr("203.0.113.10")
	client6, server6 = netip.MustParseAddr("2001:db8::20"), netip.MustParseAddr("2001:db8::10")
)

// packet4 and packet6 are packets from the client to the server.
func packet4(proto uint8, payload []byte, change func(*IPv4)) []byte {
	h := IPv4{TTL: 64, Proto: proto, DF: true, Src: client4, Dst: server4}
	if change != nil {
		change(&h)
	}
	b := make([]byte, IPv4HeaderLen, IPv4HeaderLen+len(payload))
	h.Put(b, len(payload))
	return append(b, payload...)
}

func packet6(proto uint8, payload []byte, change func(*IPv6)) []byte {
	h := IPv6{HopLimit: 64, NextHeader: proto, Src: client6, Dst: server6}
	if change != nil {
		change(&h)
	}
	b := make([]byte, IPv6HeaderLen, IPv6HeaderLen+len(payload))
	h.Put(b, len(payload))
	return append(b, payload...)
}

// icmpBytes is an ICMP message of a type.
func icmpBytes(typ uint8) []byte { return []byte{typ, 0, 0, 0, 0, 7, 0, 1} }

func TestQuote(t *testing.T) {
	for _, row := range []struct {
		name   string
		packet []byte
		want   int
	}{
		{"a small packet is quoted whole", packet4(ProtoUDP, make([]byte, 8), nil), 28},
		// RFC 1812 section 4.3.2.3: the error is 576 bytes at most.
		{"IPv4 that just fits", packet4(ProtoUDP, make([]byte, 528), nil), 548},
		{"IPv4 that does not", packet4(ProtoUDP, make([]byte, 1480), nil), 548},
		// RFC 4443 section 2.4 (c): 1280.
		{"IPv6 that just fits", packet6(ProtoUDP, make([]byte, 1192), nil), 1232},
		{"IPv6 that does not", packet6(ProtoUDP, make([]byte, 1460), nil), 1232},
	} {
		q := Quote(row.packet)
		if len(q) != row.want || !bytes.HasPrefix(row.packet, q) {
			t.Errorf("%s: %d bytes, want %d", row.name, len(q), row.want)
		}
	}
}

// fragment6 is a later fragment of IPv6.
func fragment6(proto uint8) []byte {
	b := make([]byte, FragmentHeaderLen+8)
	f := FragmentHeader{NextHeader: proto, Offset: 1448, MF: true, ID: 1}
	f.Put(b)
	return packet6(ProtoFragment, b, nil)
}

func TestMayComplain(t *testing.T) {
	udp := make([]byte, 8)
	to4 := func(a string) func(*IPv4) { return func(h *IPv4) { h.Dst = netip.MustParseAddr(a) } }
	from4 := func(a string) func(*IPv4) { return func(h *IPv4) { h.Src = netip.MustParseAddr(a) } }
	for _, row := range []struct {
		name   string
		packet []byte
		want   bool
	}{
		{"a datagram", packet4(ProtoUDP, udp, nil), true},
		{"an echo request", packet4(ProtoICMP, icmpBytes(ICMPEchoRequest), nil), true},
		{"an unknown protocol", packet4(50, udp, nil), true},
		{"a first fragment", packet4(ProtoUDP, udp, func(h *IPv4) { h.MF = true }), true},

		// RFC 1122 section 3.2.2: never in answer to these.
		{"destination unreachable", packet4(ProtoICMP, icmpBytes(ICMPUnreachable), nil), false},
		{"source quench", packet4(ProtoICMP, icmpBytes(4), nil), false},
		{"redirect", packet4(ProtoICMP, icmpBytes(5), nil), false},
		{"time exceeded", packet4(ProtoICMP, icmpBytes(ICMPTimeExceeded), nil), false},
		{"parameter problem", packet4(ProtoICMP, icmpBytes(ICMPParameterProblem), nil), false},
		{"a broadcast", packet4(ProtoUDP, udp, to4("255.255.255.255")), false},
		{"a multicast", packet4(ProtoUDP, udp, to4("224.0.0.251")), false},
		{"from a multicast", packet4(ProtoUDP, udp, from4("224.0.0.251")), false},
		{"from nobody", packet4(ProtoUDP, udp, from4("0.0.0.0")), false},
		{"a later fragment", packet4(ProtoUDP, udp, func(h *IPv4) { h.FragOffset = 8 }), false},

		// RFC 4443 section 2.4 (e).
		{"a datagram of IPv6", packet6(ProtoUDP, udp, nil), true},
		{"an echo request of IPv6", packet6(ProtoICMPv6, icmpBytes(ICMPv6EchoRequest), nil), true},
		{"packet too big", packet6(ProtoICMPv6, icmpBytes(ICMPv6PacketTooBig), nil), false},
		{"an error that is not known", packet6(ProtoICMPv6, icmpBytes(100), nil), false},
		{"a multicast of IPv6", packet6(ProtoUDP, udp, func(h *IPv6) { h.Dst = netip.MustParseAddr("ff02::1") }), false},
		{"from nobody of IPv6", packet6(ProtoUDP, udp, func(h *IPv6) { h.Src = netip.IPv6Unspecified() }), false},

		{"a later fragment of IPv6", fragment6(ProtoUDP), true},
		{"one of ICMP, which may be an error", fragment6(ProtoICMPv6), false},

		{"nothing", nil, false},
		{"half a header", packet4(ProtoUDP, udp, nil)[:12], false},
		{"no transport header", packet4(ProtoUDP, nil, nil), false},
	} {
		if _, got := MayComplain(row.packet); got != row.want {
			t.Errorf("%s: %t, want %t", row.name, got, row.want)
		}
	}
}

func TestParseQuote(t *testing.T) {
	tcp := make([]byte, TCPHeaderLen)
	(&TCP{SrcPort: 40000, DstPort: 443, Seq: 0xdeadbeef, Flags: SYN}).Put(tcp)
	for _, row := range []struct {
		name string
		b    []byte
		want Quoted
		err  error
	}{
		{"TCP, eight bytes of it", packet4(ProtoTCP, tcp, nil)[:28],
			Quoted{ProtoTCP, client4, server4, 40000, 443, 0xdeadbeef, 20}, nil},
		{"TCP over IPv6", packet6(ProtoTCP, tcp, nil),
			Quoted{ProtoTCP, client6, server6, 40000, 443, 0xdeadbeef, 40}, nil},
		{"an echo", packet4(ProtoICMP, icmpBytes(ICMPEchoRequest), nil),
			Quoted{ProtoICMP, client4, server4, 7, 7, 0, 20}, nil},
		{"an echo over IPv6", packet6(ProtoICMPv6, icmpBytes(ICMPv6EchoReply), nil),
			Quoted{ProtoICMPv6, client6, server6, 7, 7, 0, 40}, nil},
		{"another ICMP message has no identifier", packet4(ProtoICMP, icmpBytes(13), nil),
			Quoted{ProtoICMP, client4, server4, 0, 0, 0, 20}, nil},
		{"another protocol has no ports", packet4(50, tcp, nil),
			Quoted{50, client4, server4, 0, 0, 0, 20}, nil},

		{"seven bytes", packet4(ProtoTCP, tcp, nil)[:27], Quoted{}, ErrShort},
		{"a later fragment", packet4(ProtoTCP, tcp, func(h *IPv4) { h.FragOffset = 1480 }), Quoted{}, ErrShort},
		{"a header of 16 bytes", append([]byte{0x44}, packet4(ProtoTCP, tcp, nil)[1:]...), Quoted{}, ErrLength},
		{"version 5", append([]byte{0x55}, packet4(ProtoTCP, tcp, nil)[1:]...), Quoted{}, ErrVersion},
		{"nothing", nil, Quoted{}, ErrVersion},
	} {
		if got, err := ParseQuote(row.b); got != row.want || !errors.Is(err, row.err) {
			t.Errorf("%s: %+v, %v", row.name, got, err)
		}
	}
}

// A packet that was translated and quoted, and whose quote is translated back, is the
// packet as it was before: addresses, ports and every checksum (RFC 3022 section 4.3).
func TestRewriteQuote(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		proto, echo, outside := ProtoICMP, ICMPEchoRequest, netip.MustParseAddr("198.18.0.10")
		if rapid.Bool().Draw(t, "IPv6") {
			proto, echo, outside = ProtoICMPv6, ICMPv6EchoRequest, netip.MustParseAddr("2001:db8::a")
		}
		proto = rapid.SampledFrom([]uint8{ProtoTCP, ProtoUDP, proto, 50}).Draw(t, "proto")
		payload := rapid.SliceOfN(rapid.Byte(), 20, 60).Draw(t, "payload")
		if proto == ProtoICMP || proto == ProtoICMPv6 {
			payload[0] = echo
		}
		if proto == ProtoUDP && payload[6]|payload[7] == 0 {
			payload[6] = 1 // it has a checksum
		}
		if sum := quotedChecksum(proto, payload); sum != nil && sum[0]&sum[1] == 0xff {
			sum[1] = 0 // a sum that is not all zeros has no checksum of 0xffff
		}
		before := packet4(proto, payload, nil)
		if outside.Is6() {
			before = packet6(proto, payload, nil)
		}
		was, err := ParseQuote(before)
		if err != nil {
			t.Fatal(err)
		}
		b := bytes.Clone(before)[:rapid.IntRange(was.HeaderLen+8, len(before)).Draw(t, "quoted")]
		to := netip.AddrPortFrom(outside, rapid.Uint16Min(1).Draw(t, "port"))
		side := rapid.SampledFrom([]QuotedSide{QuotedSrc, QuotedDst}).Draw(t, "side")
		RewriteQuote(b, side, to)
		is, err := ParseQuote(b)
		if err != nil || outside.Is4() && Checksum(b[:IPv4HeaderLen]) != 0 {
			t.Fatalf("%x: %v", b, err)
		}
		addr, port, back := is.Src, is.SrcPort, netip.AddrPortFrom(was.Src, was.SrcPort)
		if side == QuotedDst {
			addr, port, back = is.Dst, is.DstPort, netip.AddrPortFrom(was.Dst, was.DstPort)
		}
		if addr != to.Addr() || proto != 50 && port != to.Port() {
			t.Fatalf("became %v %d, want %v", addr, port, to)
		}
		if sum := quotedChecksum(proto, b[is.HeaderLen:]); outside.Is6() && len(b) == len(before) && sum != nil {
			want := TransportChecksum(proto, was.Src, was.Dst, before[was.HeaderLen:]) // 0 if it was right: off by as much
			if got := TransportChecksum(proto, is.Src, is.Dst, b[is.HeaderLen:]); got%0xffff != want%0xffff {
				t.Fatalf("the checksum was off by %#x, and is by %#x", want, got)
			}
		}
		if RewriteQuote(b, side, back); proto != ProtoUDP && !bytes.Equal(b, before[:len(b)]) {
			t.Fatalf("got  %x\nwant %x", b, before[:len(b)])
		}
	})
}

// What cannot be read, or is of the other family, is left alone.
func TestRewriteQuoteHostile(t *testing.T) {
	to := netip.MustParseAddrPort("198.18.0.10:1")
	for _, b := range [][]byte{nil, {0x45}, packet4(ProtoTCP, make([]byte, 7), nil), packet6(ProtoTCP, make([]byte, 7), nil), packet6(ProtoTCP, make([]byte, 20), nil)} {
		before := bytes.Clone(b)
		if RewriteQuote(b, QuotedSrc, to); !bytes.Equal(b, before) {
			t.Errorf("%x became %x", before, b)
		}
	}
}

// Routers lower the TTL and keep the header's checksum right.
func TestSetTTL(t *testing.T) {
	b := packet4(ProtoUDP, make([]byte, 8), nil)
	for ttl := 63; ttl >= 0; ttl-- {
		SetTTL(b, uint8(ttl))
		if h, _, err := ParseIPv4(b); err != nil || int(h.TTL) != ttl || int(TTL(b)) != ttl {
			t.Fatalf("%d: %+v, %v", ttl, h, err)
		}
	}
	b = packet6(ProtoUDP, make([]byte, 8), nil)
	if SetTTL(b, 3); TTL(b) != 3 {
		t.Errorf("hop limit %d", TTL(b))
	}
	for _, b := range [][]byte{nil, {0x45, 0}, make([]byte, 60)} {
		if SetTTL(b, 1); TTL(b) != 0 {
			t.Errorf("%x has a TTL", b)
		}
	}
}

// A router's CountDown is SetTTL by one less, and leaves alone what cannot go on.
func TestCountDown(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		payload := rapid.SliceOfN(rapid.Byte(), 8, 8).Draw(t, "payload")
		got := rapid.SampledFrom([][]byte{packet4(ProtoUDP, payload, nil), packet6(ProtoUDP, payload, nil)}).Draw(t, "packet")
		ttl := rapid.Uint8().Draw(t, "ttl")
		SetTTL(got, ttl)
		want := bytes.Clone(got)
		if ttl > 1 {
			SetTTL(want, ttl-1)
		}
		if goesOn := CountDown(got); goesOn != (ttl > 1) || !bytes.Equal(got, want) {
			t.Fatalf("%d: %t, %x, want %x", ttl, goesOn, got, want)
		}
	})
	for _, b := range [][]byte{nil, {0x45, 0}, make([]byte, 60)} {
		if CountDown(b) {
			t.Errorf("%x counts down", b)
		}
	}
}

// Whatever else is in a header, one whose TTL is set is the one that would have been written
// with it, and what follows it stays.
func TestSetTTLIsPut(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		byteOf := rapid.OneOf(rapid.SampledFrom([]uint8{0, 1, 0xff}), rapid.Uint8())
		h := IPv4{
			TOS: byteOf.Draw(t, "tos"), TTL: byteOf.Draw(t, "ttl"), Proto: byteOf.Draw(t, "proto"), ID: rapid.Uint16().Draw(t, "id"),
			DF: rapid.Bool().Draw(t, "df"), Src: genAddr4().Draw(t, "src"), Dst: genAddr4().Draw(t, "dst"),
		}
		payload := rapid.SliceOfN(rapid.Byte(), 0, 16).Draw(t, "payload")
		got, want := make([]byte, IPv4HeaderLen, 40), make([]byte, IPv4HeaderLen, 40)
		h.Put(got, len(payload))
		got, want = append(got, payload...), append(want, payload...)
		h.TTL = byteOf.Draw(t, "new ttl")
		h.Put(want, len(payload))
		if SetTTL(got, h.TTL); !bytes.Equal(got, want) {
			t.Fatalf("%x, want %x", got, want)
		}
	})
}

func FuzzQuote(f *testing.F) {
	f.Add(packet4(ProtoTCP, make([]byte, 20), nil), uint8(0))
	f.Add(packet4(ProtoICMP, icmpBytes(ICMPEchoRequest), nil), uint8(1))
	f.Add(packet6(ProtoUDP, make([]byte, 8), nil), uint8(0))
	f.Add(fragment6(ProtoUDP), uint8(0))
	f.Fuzz(func(t *testing.T, in []byte, side uint8) {
		q, _, err := hostile(t, in, func(b []byte) (Quoted, []byte, error) {
			q, err := ParseQuote(b)
			return q, nil, err
		})
		if sender, ok := MayComplain(in); ok && (err != nil && version(in) != 6 || !singleHost(sender)) {
			t.Fatalf("an answer to %v about what cannot be read", sender)
		}
		if len(Quote(in)) > len(in) {
			t.Fatal("quotes more than there is")
		}
		b := bytes.Clone(in)
		RewriteQuote(b, QuotedSide(side%2), netip.MustParseAddrPort("198.18.0.10:4711"))
		is, err2 := ParseQuote(b)
		if (err == nil) != (err2 == nil) || is.Seq != q.Seq || is.HeaderLen != q.HeaderLen {
			t.Fatalf("%+v became %+v, %v", q, is, err2)
		}
	})
}
