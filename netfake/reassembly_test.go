package netfake

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/netspec-go/netspec/internal/wire"
)

// What becomes of a datagram of three fragments of which some are lost, and when: IPv4
// waits for 30 s from the first that came, IPv6 for 60 s, and the sender is told if the one
// with the ports is there (RFC 792, RFC 8200 section 4.5).
func TestReassemblyTimeout(t *testing.T) {
	for _, row := range []struct {
		at    string
		lost  []int
		waits time.Duration
		drops int
		told  bool
	}{
		{"203.0.113.10", nil, 0, 0, false},
		{"203.0.113.10", []int{2}, FragmentTimeout, 2, true},
		{"203.0.113.10", []int{0}, FragmentTimeout, 2, false},
		{"203.0.113.10", []int{1, 2}, FragmentTimeout, 1, true},
		{"203.0.113.10", []int{0, 1, 2}, 0, 0, false},
		{"2001:db8:1::10", nil, 0, 0, false},
		{"2001:db8:1::10", []int{1}, FragmentTimeout6, 2, true},
		{"2001:db8:1::10", []int{0, 2}, FragmentTimeout6, 1, false},
	} {
		t.Run(fmt.Sprint(row.at, row.lost), func(t *testing.T) {
			Run(t, func(t *testing.T, w *World) {
				server, client := twoHosts6(w)
				at := netip.AddrPortFrom(netip.MustParseAddr(row.at), 9)
				in, err := server.listenUDP("udp", at.String())
				if err != nil {
					t.Fatal(err)
				}
				client.Uplink().Link().Insert(&sniffer{lose: func(n int) bool { return slices.Contains(row.lost, n) }})
				rec := w.Record(func(f Flow) bool { return f.Proto.isICMP() })
				dialUDPFrom(t, client, 1000, in).Write(pattern(4000, 0))
				if got, err := read(in); bytes.Equal(got, pattern(4000, 0)) != (row.lost == nil) {
					t.Errorf("%d bytes arrived, %v", len(got), err)
				}
				w.Sleep(2 * FragmentTimeout6)
				checkTimeout(t, w, rec, server, row.waits, row.drops, row.told)
			})
		})
	}
}

func checkTimeout(t *testing.T, w *World, rec *Recording, server *Host, waits time.Duration, drops int, told bool) {
	t.Helper()
	got := w.Drops()
	got = slices.DeleteFunc(got, func(d Dropped) bool { return d.Hop.Place != "server" })
	for _, d := range got {
		if want := fmt.Sprintf("the datagram is not complete after %v", waits); d.Hop.Rule != want || d.At != oneWay+waits {
			t.Errorf("%v, want %s at %v", d, want, oneWay+waits)
		}
	}
	if len(got) != drops {
		t.Errorf("%d fragments were dropped, want %d", len(got), drops)
	}
	timedOut := uint64(0)
	if waits > 0 {
		timedOut = 1
	}
	if s := server.FragmentStats(); s.TimedOut != timedOut {
		t.Errorf("%+v", s)
	}
	traces := rec.Traces()
	if (len(traces) == 1) != told {
		t.Fatalf("the sender was told: %v", traces)
	}
	if told && (traces[0].Sent != oneWay+waits || !slices.Contains([]string{"type 11 code 1", "type 3 code 1"}, traces[0].Summary)) {
		t.Errorf("%v at %v", traces[0].Summary, traces[0].Sent)
	}
}

// handmade is a fragment of a UDP datagram of 4088 bytes between the two hosts.
type handmade struct {
	offset, n int
	more      bool
}

// forge sends IPv4 fragments of one number from the client.
func forge(w *World, client, server *Host, id uint16, all ...handmade) {
	whole := pattern(4096, 0)
	head := wire.UDP{SrcPort: 1000, DstPort: 9}
	head.Put(whole, 4096-8)
	w.Do(func(now time.Duration) {
		for i, f := range all {
			p := w.NewPacket(20+f.n, uint64(id), uint64(now)+uint64(i))
			ip := wire.IPv4{TTL: 64, Proto: wire.ProtoUDP, ID: id, MF: f.more, FragOffset: uint16(f.offset), Src: client.Addr(), Dst: server.Addr()}
			ip.Put(p.Bytes(), f.n)
			copy(p.Bytes()[20:], whole[min(f.offset, 4096):min(f.offset+f.n, 4096)])
			if err := p.Decode(); err != nil {
				w.tb.Errorf("%v", err)
			}
			client.send(p)
		}
	})
}

// Which fragments a host takes, and what it says of the others: hop by hop as in a capture.
func TestReassemblyOfTheUnfit(t *testing.T) {
	first, last := handmade{0, 2048, true}, handmade{2048, 2048, false}
	for _, row := range []struct {
		rule    string
		come    []handmade
		arrives bool
		dropped []string
		stats   FragmentStats
	}{
		{"in order", []handmade{first, last}, true, nil, FragmentStats{Received: 2, Joined: 1}},
		{"the last first", []handmade{last, first}, true, nil, FragmentStats{Received: 2, Joined: 1}},
		{"one twice", []handmade{first, first, last}, true, []string{"a fragment from 0 to 2048, which has come already"},
			FragmentStats{Received: 3, Joined: 1, Duplicates: 1}},
		{"an overlap", []handmade{first, {1024, 2048, true}, last}, false, []string{
			"a fragment from 1024 to 3072, which overlaps another", "a fragment from 1024 to 3072, which overlaps another",
			"the datagram is not complete after 30s"}, FragmentStats{Received: 3, Refused: 1, TimedOut: 1}},
		{"another end", []handmade{{2048, 1024, false}, last}, false, []string{
			"a last fragment that ends at 4096, of a datagram of 3072 bytes or more", "a last fragment that ends at 4096, of a datagram of 3072 bytes or more"},
			FragmentStats{Received: 2, Refused: 1}},
		{"a length that is no multiple of 8 counts without the rest", []handmade{{0, 2053, true}, last}, true, nil,
			FragmentStats{Received: 2, Joined: 1}},
		{"more than a packet holds", []handmade{first, {65528, 2048, false}}, false, []string{"the datagram is not complete after 30s", "the datagram is not complete after 30s"},
			FragmentStats{Received: 2, TimedOut: 1}},
		{"more than a packet holds, and nothing missing", []handmade{{0, 65504, true}, {65504, 64, false}}, false, []string{
			"what the fragments make together: wire: length field does not fit the packet", "what the fragments make together: wire: length field does not fit the packet"},
			FragmentStats{Received: 2, Refused: 1}},
	} {
		t.Run(row.rule, func(t *testing.T) {
			Run(t, func(t *testing.T, w *World) {
				server, client := twoHosts(w)
				in := openUDP(t, server, 9)
				forge(w, client, server, 77, row.come...)
				w.Sleep(FragmentTimeout + time.Second)
				got, err := read(in)
				if arrives := bytes.Equal(got, pattern(4096, 0)[8:]); arrives != (row.arrives) {
					t.Errorf("it arrives: %d bytes, %v", len(got), err)
				}
				var rules []string
				for _, d := range w.Drops() {
					rules = append(rules, d.Hop.Rule)
				}
				if !slices.Equal(rules, row.dropped) {
					t.Errorf("dropped:\n%s", strings.Join(rules, "\n"))
				}
				if s := server.FragmentStats(); s != row.stats {
					t.Errorf("got  %+v\nwant %+v", s, row.stats)
				}
			})
		})
	}
}

// What a host answers to fragments of IPv6 that cannot be, first or later ones, as Linux
// 6.18 does it: a parameter problem that points to the fault.
func TestMalformedFragments6(t *testing.T) {
	for _, row := range []struct {
		rule      string
		offset, n int
		more      bool
		pointer   uint32 // 0: no answer
	}{
		{"a first one of 13 bytes", 0, 13, true, 4},
		{"a later one of 13 bytes", 2048, 13, true, 4},
		{"a last one of 13 bytes", 2048, 13, false, 0},
		{"one that ends behind the largest datagram", 65520, 16, false, 42},
		{"and is not the last", 65528, 96, true, 42},
		{"one that ends where the largest does", 65520, 15, false, 0},
	} {
		t.Run(row.rule, func(t *testing.T) {
			Run(t, func(t *testing.T, w *World) {
				server, client := twoHosts6(w)
				m := &sniffer{}
				client.Uplink().Link().Insert(m)
				w.Do(func(time.Duration) {
					p := w.NewPacket(wire.IPv6HeaderLen+wire.FragmentHeaderLen+row.n, 1, 1)
					ip := wire.IPv6{HopLimit: 64, NextHeader: wire.ProtoFragment, Src: client.nics[1].addr, Dst: server.nics[1].addr}
					ip.Put(p.Bytes(), wire.FragmentHeaderLen+row.n)
					f := wire.FragmentHeader{NextHeader: wire.ProtoUDP, Offset: uint16(row.offset), MF: row.more, ID: 9}
					f.Put(p.Bytes()[wire.IPv6HeaderLen:])
					copy(p.Bytes()[wire.IPv6HeaderLen+wire.FragmentHeaderLen:], pattern(row.n, 0))
					if err := p.Decode(); err != nil {
						t.Error(err)
					}
					client.send(p)
				})
				w.Sleep(time.Second)
				var pointer uint32
				for _, b := range m.taken(w).bytes[1:] {
					head, _, err := wire.ParseICMP(b[wire.IPv6HeaderLen:])
					if err != nil || head.Type != wire.ICMPv6ParameterProblem || head.Code != wire.ICMPv6BadHeader {
						t.Errorf("answered with %+v, %v", head, err)
					}
					pointer = head.Pointer
				}
				if pointer != row.pointer {
					t.Errorf("points to %d, want %d", pointer, row.pointer)
				}
			})
		})
	}
}

// Fragments take 4 MiB at most: then those of other datagrams are dropped, until time has
// made room, and those that have begun may go on.
func TestReassemblyMemory(t *testing.T) { Run(t, testReassemblyMemory) }

func testReassemblyMemory(t *testing.T, w *World) {
	server, client := twoHosts(w)
	in := openUDP(t, server, 9)
	first, last := handmade{0, 2048, true}, handmade{2048, 2048, false}
	each := truesize(2068)
	fits := FragmentMemory/each + 1 // the last may be too much
	for id := range fits + 3 {
		forge(w, client, server, uint16(id+1), first)
	}
	w.Sleep(time.Second)
	if s := server.FragmentStats(); s.Overflowed != 3 || s.Received != uint64(fits+3) {
		t.Errorf("%+v, want 3 of %d to find no room", s, fits+3)
	}
	forge(w, client, server, 1, last)
	if got, err := read(in); !bytes.Equal(got, pattern(4096, 0)[8:]) {
		t.Errorf("one that has begun: %d bytes, %v", len(got), err)
	}
	w.Sleep(FragmentTimeout)
	forge(w, client, server, 9999, first, last)
	if got, err := read(in); !bytes.Equal(got, pattern(4096, 0)[8:]) {
		t.Errorf("when the others have timed out: %d bytes, %v", len(got), err)
	}
	w.Do(func(time.Duration) {
		if left := server.assembly[0].memory; left != 0 {
			t.Errorf("%d bytes are left", left)
		}
	})
}

// A host that has crashed has forgotten what came before.
func TestReassemblyAndCrash(t *testing.T) { Run(t, testReassemblyAndCrash) }

func testReassemblyAndCrash(t *testing.T, w *World) {
	server, client := twoHosts(w)
	first, last := handmade{0, 2048, true}, handmade{2048, 2048, false}
	forge(w, client, server, 5, first)
	w.Sleep(time.Second)
	server.Crash().Undo()
	in := openUDP(t, server, 9)
	forge(w, client, server, 5, last)
	if got, err := read(in); err == nil {
		t.Errorf("%d bytes arrived", len(got))
	}
	forge(w, client, server, 5, first)
	if got, err := read(in); err != nil || len(got) != 4088 {
		t.Errorf("what came after the crash: %d bytes, %v", len(got), err)
	}
}

// Whatever fragments come, nothing is left of them when their time is over, and what they
// make is a packet.
func FuzzReassembly(f *testing.F) {
	seeds := New(f, Config{}).NewHost("seeds", Place{})
	seeds.world.Do(func(time.Duration) {
		var b []byte
		for _, p := range fragmentSeeds(seeds) {
			b = append(append(b, byte(p.Len())), p.Bytes()...)
		}
		f.Add(b)
		f.Add(append(b, b...))
	})
	f.Fuzz(func(t *testing.T, b []byte) {
		w := New(t, Config{})
		h := w.NewHost("h", Place{})
		h.AddNIC(netip.MustParseAddr("10.0.0.2"), 1500, &guard{})
		h.AddNIC(netip.MustParseAddr("2001:db8::2"), 1500, &guard{})
		w.Do(func(now time.Duration) {
			for len(b) > 1 {
				n := min(int(b[0]), len(b)-1)
				p := w.NewPacket(n, 0, 0)
				copy(p.Bytes(), b[1:])
				if b = b[1+n:]; n >= wire.IPv4HeaderLen && p.Bytes()[0] == 0x45 {
					head := p.Bytes()[:wire.IPv4HeaderLen]
					clear(head[10:12])
					binary.BigEndian.PutUint16(head[10:], wire.Checksum(head))
				}
				if p.Decode() == nil && p.IsFragment() {
					w.Send(p, h)
				}
			}
		})
		w.Do(func(now time.Duration) {
			for _, a := range h.assembly {
				if a == nil {
					continue
				}
				a.expire(now + FragmentTimeout6)
				if len(a.of) != 0 || len(a.oldest) != 0 || a.memory != 0 || a.timer.Pending() {
					t.Errorf("%d datagrams are left, in %d bytes", len(a.oldest), a.memory)
				}
			}
		})
	})
}
