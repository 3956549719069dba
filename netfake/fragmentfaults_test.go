package netfake

import (
	"bytes"
	"cmp"
	"hash/fnv"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/netspec-go/netspec/internal/wire"
	"pgregory.net/rapid"
)

// Fragments are lost, doubled and overtake one another, and narrow links cut them: what
// arrives is exactly what was sent, whenever nothing is missing, and else nothing. The
// naive oracle puts together, byte by byte, what has crossed the last link.
func TestFragmentsSurviveFaults(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) { rapid.SyncTest(t, fragmentsSurvive) })
}

func fragmentsSurvive(t *rapid.T) {
	share := func(name string, most int) float64 { return float64(rapid.IntRange(0, most).Draw(t, name)) / 100 }
	w := New(t, Config{Seed: rapid.Uint64Range(1, 1<<32).Draw(t, "seed")})
	server, client := twoHosts6(w)
	for _, u := range []*Uplink{server.Uplink(), client.Uplink()} {
		u.Link().SetMTU(rapid.SampledFrom([]int{0, 1280, 1400, 1499}).Draw(t, "mtu"))
	}
	w.Internet().Between(Sydney, Melbourne).SetFaults(Faults{
		Loss: share("loss", 20), Duplicate: share("duplicate", 30), Reorder: share("reorder", 30), ReorderBy: 5 * time.Millisecond,
	})
	at := server.Addr()
	if rapid.Bool().Draw(t, "IPv6") {
		at = server.Addr6()
	}
	in, _ := server.listenUDP("udp", netip.AddrPortFrom(at, 9).String())
	in.SetReadBuffer(1 << 20)
	m := &sniffer{}
	server.Uplink().Link().Insert(m)
	out, _ := client.listenUDP("udp", ":1000")
	sent := map[uint64]int{}
	for i := range rapid.IntRange(1, 6).Draw(t, "datagrams") {
		size := cmp.Or(rapid.SampledFrom([]int{0, 0, 1, 1472, 1473, 9000}).Draw(t, "edge"), rapid.IntRange(2, 30000).Draw(t, "size"))
		b := pattern(size, i)
		sent[sum(b)]++
		out.WriteToUDPAddrPort(b, netip.AddrPortFrom(at, 9))
		time.Sleep(time.Millisecond)
	}
	var got []uint64
	for {
		b, err := read(in)
		if err != nil {
			break
		}
		if got = append(got, sum(b)); sent[sum(b)] == 0 {
			t.Fatalf("%d bytes arrived that nobody sent", len(b))
		}
	}
	if want := naively(m.taken(w).bytes, at); !slices.Equal(got, want) {
		t.Fatalf("%d datagrams arrived, and the oracle has %d: %d, %d", len(got), len(want), got, want)
	}
	w.Sleep(2 * FragmentTimeout6)
	w.Do(func(time.Duration) {
		for _, a := range server.assembly {
			if a != nil && (len(a.of) > 0 || a.memory != 0 || a.timer.Pending()) {
				t.Errorf("%d datagrams are left over, in %d bytes", len(a.of), a.memory)
			}
		}
	})
}

func sum(b []byte) uint64 {
	h := fnv.New64a()
	h.Write(b)
	return h.Sum64()
}

// naively returns the sums of the datagrams to an address that packets make, as they become
// complete, of those whose checksum is right.
func naively(packets [][]byte, dst netip.Addr) (sums []uint64) {
	type datagram struct {
		data map[int]byte
		end  int
	}
	open := map[uint32]*datagram{}
	for _, b := range packets {
		f, part := wire.ParseFragment(b)
		ip, start := dst, 20
		if dst.Is6() {
			start = 40
		}
		var l4 []byte
		if !part {
			l4 = b[start:]
		} else {
			if ip = f.Dst; open[f.ID] == nil {
				open[f.ID] = &datagram{map[int]byte{}, -1}
			}
			d := open[f.ID]
			for i, c := range b[f.Start:f.End] {
				if _, ok := d.data[f.Offset+i]; !ok {
					d.data[f.Offset+i] = c
				}
			}
			if !f.MF {
				d.end = f.Offset + f.End - f.Start
			}
			if len(d.data) != d.end {
				continue
			}
			for i := range d.end {
				l4 = append(l4, d.data[i])
			}
			delete(open, f.ID)
		}
		src := netip.MustParseAddr("198.51.100.20")
		if dst.Is6() {
			src = netip.MustParseAddr("2001:db8:2::20")
		}
		if ip == dst && wire.VerifyTransport(wire.ProtoUDP, src, dst, l4) {
			sums = append(sums, sum(l4[wire.UDPHeaderLen:]))
		}
	}
	return sums
}

// A bit that is flipped in a later fragment is found when the datagram is put together.
func TestCorruptFragment(t *testing.T) { Run(t, testCorruptFragment) }

func testCorruptFragment(t *testing.T, w *World) {
	server, client := twoHosts(w)
	in := openUDP(t, server, 9)
	c := dialUDPFrom(t, client, 1000, in)
	remove := client.Uplink().Link().Insert(flipLater{})
	c.Write(pattern(3000, 1))
	if got, err := read(in); err == nil {
		t.Errorf("%d bytes arrived", len(got))
	}
	if d := w.Drops(); len(d) != 1 || d[0].Hop.Rule != "the checksum is wrong" || d[0].Flow.Dst.Port() != 9 {
		t.Errorf("dropped: %v", d)
	}
	remove()
	c.Write(pattern(3000, 2))
	if got, err := read(in); !bytes.Equal(got, pattern(3000, 2)) {
		t.Errorf("the next: %d bytes, %v", len(got), err)
	}
}

// flipLater flips a bit in each last fragment.
type flipLater struct{}

func (flipLater) String() string { return "flips" }

func (flipLater) Step(p *Packet) Next {
	if f, ok := wire.ParseFragment(p.Bytes()); ok && !f.MF {
		p.Bytes()[f.End-1] ^= 1
	}
	return p.Onward()
}
