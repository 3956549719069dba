package netfake

import (
	"bytes"
	"context"
	"fmt"
	"net/netip"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/netspec-go/netspec/internal/faketb"
	"github.com/netspec-go/netspec/internal/wire"
)

// seen is what a sniffer reads of a packet.
type seen struct {
	size, offset int
	more, df     bool
}

// sniffer reads the packets that cross a link, and drops those that lose names by their
// number.
type sniffer struct {
	lose    func(n int) bool
	packets []seen
	ids     []uint32
	bytes   [][]byte
}

func (m *sniffer) String() string { return "sniffer" }

func (m *sniffer) Step(p *Packet) Next {
	b := p.Bytes()
	f, _ := wire.ParseFragment(b)
	m.packets = append(m.packets, seen{len(b), f.Offset, f.MF, wire.DontFragment(b)})
	m.ids = append(m.ids, f.ID)
	m.bytes = append(m.bytes, bytes.Clone(b))
	if m.lose != nil && m.lose(len(m.packets)-1) {
		return p.Drop(Hop{Place: "sniffer", By: m, Rule: "lost"})
	}
	return p.Onward()
}

// taken returns what the sniffer has read so far.
func (m *sniffer) taken(w *World) (s sniffer) {
	w.Do(func(time.Duration) { s = *m })
	return s
}

// pattern is n bytes that depend on a number.
func pattern(n, number int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i*7 + i>>8 + number)
	}
	return b
}

// read takes a datagram from a socket in a second's time.
func read(u *UDPConn) ([]byte, error) {
	u.SetReadDeadline(time.Now().Add(time.Second))
	b := make([]byte, 1<<16)
	n, err := u.Read(b)
	return b[:n], err
}

// How a host sends a datagram, as Linux does by default: DF as long as it fits, fragments
// without it if not, each but the last as full as multiples of 8 allow. IPv6 has a header
// for fragments, and always forbids others to cut.
func TestFragmentsOfAHost(t *testing.T) {
	for _, row := range []struct {
		at   string
		size int
		want []seen
	}{
		{"203.0.113.10", 1472, []seen{{1500, 0, false, true}}},
		{"203.0.113.10", 1473, []seen{{1500, 0, true, false}, {21, 1480, false, false}}},
		{"203.0.113.10", 4000, []seen{{1500, 0, true, false}, {1500, 1480, true, false}, {1068, 2960, false, false}}},
		{"2001:db8:1::10", 1452, []seen{{1500, 0, false, true}}},
		{"2001:db8:1::10", 1453, []seen{{1496, 0, true, true}, {61, 1448, false, true}}},
		{"2001:db8:1::10", 4000, []seen{{1496, 0, true, true}, {1496, 1448, true, true}, {1160, 2896, false, true}}},
	} {
		t.Run(fmt.Sprintf("%s/%d", row.at, row.size), func(t *testing.T) {
			Run(t, func(t *testing.T, w *World) {
				server, client := twoHosts6(w)
				in, err := server.listenUDP("udp", netip.AddrPortFrom(netip.MustParseAddr(row.at), 9).String())
				if err != nil {
					t.Fatal(err)
				}
				m := &sniffer{}
				client.Uplink().Link().Insert(m)
				c := dialUDPFrom(t, client, 1000, in)
				for i := range 2 {
					c.Write(pattern(row.size, i))
				}
				for i := range 2 {
					if got, err := read(in); !bytes.Equal(got, pattern(row.size, i)) {
						t.Errorf("datagram %d: got %d bytes, %v", i, len(got), err)
					}
				}
				got := m.taken(w)
				if want := append(row.want, row.want...); !slices.Equal(got.packets, want) {
					t.Errorf("got  %v\nwant %v", got.packets, want)
				}
				n := len(row.want)
				if ids := got.ids; n > 1 && (ids[0] != ids[n-1] || ids[n] == ids[0] || ids[0] == 0) {
					t.Errorf("the datagrams have the numbers %v", ids)
				}
			})
		})
	}
}

// What tells datagrams apart does not depend on what else the host sends.
func TestFragmentNumbersAreKeyed(t *testing.T) {
	numbers := func(alone bool) (ids []uint32) {
		Run(t, func(t *testing.T, w *World) {
			server, client := twoHosts(w)
			in, other := openUDP(t, server, 9), openUDP(t, server, 10)
			m := &sniffer{}
			client.Uplink().Link().Insert(m)
			c := dialUDPFrom(t, client, 1000, in)
			if !alone {
				dialUDPFrom(t, client, 2000, other).Write(make([]byte, 100))
			}
			c.Write(make([]byte, 3000))
			ids = m.taken(w).ids
			ids = ids[len(ids)-3:]
		})
		return ids
	}
	if a, b := numbers(true), numbers(false); !slices.Equal(a, b) {
		t.Errorf("%v alone, and %v beside another flow", a, b)
	}
}

// A router in front of a narrow link cuts what may be cut, fragments too, and says no to
// what may not: RFC 791, RFC 1191, RFC 8201.
func TestRouterCuts(t *testing.T) {
	for _, row := range []struct {
		rule       string
		at         string
		size, mtu  int
		fragmented uint64
		tooBig     uint64
		arrives    bool
		then       bool // the next one arrives
	}{
		{"a datagram that fits the first link has DF", "203.0.113.10", 1400, 1000, 0, 1, false, true},
		{"one that does not is cut by its sender, and again", "203.0.113.10", 3000, 1000, 2, 0, true, true},
		{"the smallest MTU there is", "203.0.113.10", 60000, 576, 41, 0, true, true},
		{"fragments that fit are left alone", "203.0.113.10", 3000, 1500, 0, 0, true, true},
		{"IPv6 has it from its sender", "2001:db8:1::10", 3000, 1300, 0, 2, false, true},
	} {
		t.Run(row.rule, func(t *testing.T) {
			Run(t, func(t *testing.T, w *World) {
				server, client := twoHosts6(w)
				in, err := server.listenUDP("udp", netip.AddrPortFrom(netip.MustParseAddr(row.at), 9).String())
				if err != nil {
					t.Fatal(err)
				}
				mile := server.Uplink().Link()
				mile.SetMTU(row.mtu)
				c := dialUDPFrom(t, client, 1000, in)
				c.Write(pattern(row.size, 0))
				if got, err := read(in); bytes.Equal(got, pattern(row.size, 0)) != row.arrives {
					t.Errorf("it arrives: %d bytes, %v", len(got), err)
				}
				if s := mile.Stats(); s.Fragmented != row.fragmented || s.TooBig != row.tooBig {
					t.Errorf("%d packets were cut, %d too big, want %d and %d", s.Fragmented, s.TooBig, row.fragmented, row.tooBig)
				}
				if mile.Hits() != row.fragmented+row.tooBig {
					t.Errorf("%d hits", mile.Hits())
				}
				if _, err := c.Write(pattern(row.size, 1)); row.tooBig > 0 {
					want(t, "the router's answer, once", err, syscall.EMSGSIZE)
					c.Write(pattern(row.size, 1))
				}
				if got, err := read(in); bytes.Equal(got, pattern(row.size, 1)) != row.then {
					t.Errorf("the next arrives: %d bytes, %v", len(got), err)
				}
			})
		})
	}
}

// The reply to an echo is as large as the request, and is cut as it was.
func TestLargeEcho(t *testing.T) { Run(t, testLargeEcho) }

func testLargeEcho(t *testing.T, w *World) {
	server, client := twoHosts(w)
	m, n := &sniffer{}, &sniffer{}
	client.Uplink().Link().Insert(m)
	server.Uplink().Link().Insert(n)
	w.Do(func(time.Duration) {
		echo := wire.ICMP{Type: wire.ICMPEchoRequest, ID: 7, Seq: 1}
		client.sendCut(client.echoPacket(client.Addr(), server.Addr(), echo, pattern(3000, 0), 1), InternetMTU)
	})
	w.Sleep(time.Second)
	there, back := m.taken(w), n.taken(w)
	if len(there.packets) != 6 || !slices.Equal(there.packets[:3], there.packets[3:]) || there.packets[2].size != 68 {
		t.Errorf("the client's link carried %v", there.packets)
	}
	if got := client.FragmentStats(); got.Received != 3 || got.Joined != 1 {
		t.Errorf("the client: %+v", got)
	}
	if len(back.packets) != 6 {
		t.Errorf("the server's link carried %v", back.packets)
	}
}

// What a trace says of fragments: who cuts, and what becomes of each.
func TestFragmentTraces(t *testing.T) { Run(t, testFragmentTraces) }

func testFragmentTraces(t *testing.T, w *World) {
	server, client := twoHosts(w)
	in := openUDP(t, server, 9)
	server.Uplink().Link().SetMTU(1000)
	rec := w.Record(func(f Flow) bool { return f.Dst.Port() == 9 })
	dialUDPFrom(t, client, 1000, in).Write(make([]byte, 1500))
	w.Sleep(time.Second)
	want := []string{
		"client 198.51.100.20:1000 → server 203.0.113.10:9 udp: delivered fragment of 1480 bytes at 0",
		"client 198.51.100.20:1000 → server 203.0.113.10:9 udp: delivered fragment of 28 bytes at 1480",
		"server last mile 198.51.100.20:1000 → server 203.0.113.10:9 udp: delivered fragment of 504 bytes at 976",
	}
	var got []string
	hops := ""
	for _, tr := range rec.Traces() {
		what, _, _ := bytes.Cut([]byte(tr.Summary), []byte(","))
		got = append(got, tr.Headline()+" "+string(what))
		for _, h := range tr.Hops {
			hops += h.Rule + "\n"
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%q\nwant\n%q", got, want)
	}
	for _, rule := range []string{
		"1500 bytes exceed the MTU of 1000: cut into 2 fragments", "a fragment: waits for the rest of its datagram",
		"completes a datagram of 1508 bytes", "a fragment of a datagram of 1508 bytes, which is complete", "socket on udp/9",
	} {
		if !bytes.Contains([]byte(hops), []byte(rule)) {
			t.Errorf("no hop says %q:\n%s", rule, hops)
		}
	}
}

// A world whose fragments are done has nothing left to do.
func TestFragmentsLeaveNothingBehind(t *testing.T) { Run(t, testFragmentsLeaveNothingBehind) }

func testFragmentsLeaveNothingBehind(t *testing.T, w *World) {
	server, client := twoHosts(w)
	in := openUDP(t, server, 9)
	c := dialUDPFrom(t, client, 1000, in)
	c.Write(pattern(65507, 1))
	if got, err := read(in); !bytes.Equal(got, pattern(65507, 1)) {
		t.Fatalf("%d bytes, %v", len(got), err)
	}
	in.SetReadDeadline(time.Time{})
	before := w.Events()
	w.Sleep(time.Hour)
	if after := w.Events(); after != before {
		t.Errorf("%d events in an hour", after-before)
	}
	if _, err := client.Ping(context.Background(), server.Addr()); err != nil {
		t.Error(err)
	}
}

// Wireshark puts the fragments of a capture together as hosts do, and finds every checksum
// right: those that the sender made, and those that a router made of them.
func TestCaptureOfFragments(t *testing.T) {
	var out bytes.Buffer
	Run(t, func(t *testing.T, w *World) {
		server, client := twoHosts6(w)
		server.Uplink().Link().SetMTU(1400)
		file := w.Capture(&out, func(tap string) bool { return tap == "server internet" })
		in, err := server.listenUDP("udp", ":9")
		if err != nil {
			t.Fatal(err)
		}
		from, _ := client.listenUDP("udp", ":1000")
		for _, to := range []netip.Addr{server.Addr(), server.Addr6(), server.Addr6()} { // of IPv6 the first learns the MTU
			from.WriteToUDPAddrPort(pattern(5000, 1), netip.AddrPortFrom(to, 9))
			read(in)
		}
		if err := file.Stop(); err != nil {
			t.Error(err)
		}
	})
	tshark := tsharkOf(t, out.Bytes())
	const bad = `_ws.malformed || _ws.expert.severity >= "Warning" || udp.checksum.status == "Bad" || ip.checksum.status == "Bad"`
	if found := tshark("-o", "udp.check_checksum:TRUE", "-o", "ip.check_checksum:TRUE", "-Y", bad); found != "" {
		t.Errorf("tshark complains of:\n%s", found)
	}
	got := tshark("-Y", "udp", "-T", "fields", "-E", "separator=,", "-E", "occurrence=f", "-e", "udp.length", "-e", "ip.fragment.count",
		"-e", "ip.reassembled.length", "-e", "ipv6.fragment.count", "-e", "ipv6.reassembled.length")
	if want := "5008,7,5008,,\n5008,,,4,5008\n"; got != want {
		t.Errorf("tshark makes of it\n%s, want\n%s", got, want)
	}
}

// Only what may be cut is: who cuts something else is told, and the packet is lost.
func TestMayFragment(t *testing.T) {
	flow := Flow{UDP, netip.MustParseAddrPort("10.0.0.1:1"), netip.MustParseAddrPort("10.0.0.2:2")}
	flow6 := Flow{UDP, netip.MustParseAddrPort("[2001:db8::1]:1"), netip.MustParseAddrPort("[2001:db8::2]:2")}
	for _, row := range []struct {
		what string
		make func(h *Host) *Packet
		may  bool
	}{
		{"a datagram that forbids it", func(h *Host) *Packet { return h.udpPacket(flow, make([]byte, 2000), 1) }, false},
		{"a fragment", func(h *Host) *Packet { return h.udpPacket(flow, make([]byte, 2000), 1).pieces(1500, 7)[0] }, true},
		{"a later one", func(h *Host) *Packet { return h.udpPacket(flow, make([]byte, 4000), 1).pieces(1500, 7)[1] }, true},
		{"one that ends where no datagram does", func(h *Host) *Packet {
			p := h.udpPacket(flow, make([]byte, 2000), 1).pieces(1500, 7)[0]
			ip := wire.IPv4{TTL: 64, Proto: wire.ProtoUDP, ID: 7, FragOffset: 65000, Src: flow.Src.Addr(), Dst: flow.Dst.Addr()}
			ip.Put(p.Bytes(), p.Len()-wire.IPv4HeaderLen)
			p.Decode()
			return p
		}, false},
		{"a datagram of IPv6", func(h *Host) *Packet { return h.udpPacket(flow6, make([]byte, 2000), 1) }, false},
		{"a fragment of IPv6", func(h *Host) *Packet { return h.udpPacket(flow6, make([]byte, 2000), 1).pieces(1500, 7)[0] }, false},
	} {
		tb := faketb.New(t)
		w := New(tb, Config{Instant: true})
		h := w.NewHost("h", Place{})
		w.Do(func(time.Duration) {
			p := row.make(h)
			if got := p.MayFragment(); got != row.may {
				t.Errorf("%s may be cut: %v", row.what, got)
			}
			p.Cut(576, Hop{Place: "here", By: h}, h)
		})
		if failed := len(tb.Failures()) > 0; failed == row.may {
			t.Errorf("%s: the test fails: %v", row.what, tb.Failures())
		}
		tb.Clean()
	}
}
