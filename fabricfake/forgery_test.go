package fabricfake_test

import (
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"os"
	"slices"
	"syscall"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/netspec-go/netspec/fabricfake"
	"github.com/netspec-go/netspec/internal/wire"
	"github.com/netspec-go/netspec/netfake"
)

// What ends a connection is believed of who is at its other end, and of nobody else, though
// he may know its ports and its sequence numbers.
func TestForgedEndings(t *testing.T) {
	type forger func(b *bank, f fabricfake.Frame)
	for _, row := range []struct {
		name string
		send forger
		ends bool
	}{
		{"from where the teller is", func(b *bank, f fabricfake.Frame) { b.put(f.Marshal()) }, true},
		{"stolen", func(b *bank, f fabricfake.Frame) { b.steal(f.Marshal()) }, false},
		{"from the attacker, in the teller's name", func(b *bank, f fabricfake.Frame) {
			f.From = host(b.evil).Addr()
			b.put(f.Marshal())
		}, false},
		{"from the attacker, in his own name", func(b *bank, f fabricfake.Frame) {
			f.From, f.Source = host(b.evil).Addr(), number(b.evil)
			b.put(f.Marshal())
		}, false},
		{"from the attacker's VPC", func(b *bank, f fabricfake.Frame) {
			f.From, f.Source, f.VNI = host(b.evil).Addr(), number(b.evil), b.theirVNI()
			b.put(f.Marshal())
		}, false},
		{"from the edge", func(b *bank, f fabricfake.Frame) {
			f.From, f.Source = ourEdge, 0
			b.put(f.Marshal())
		}, false},
	} {
		t.Run("a reset "+row.name, func(t *testing.T) {
			netfake.Run(t, func(t *testing.T, w *netfake.World) {
				b := newBank(t, w)
				last := b.tapTeller()
				c, s := b.connect(t)
				c.Write([]byte("x"))
				s.Read(make([]byte, 1))
				row.send(b, reset(*last))
				b.wantEnding(t, s, row.ends, syscall.ECONNRESET)
			})
		})
		t.Run("an ICMP error "+row.name, func(t *testing.T) {
			netfake.Run(t, func(t *testing.T, w *netfake.World) {
				b := newBank(t, w)
				c, err := b.vault.Dial("udp", tellerPort)
				if err != nil {
					t.Fatal(err)
				}
				f := b.honest()
				f.Inner = unreachable(datagram(c.LocalAddr().String(), tellerPort, "hello"))
				row.send(b, f)
				b.wantEnding(t, c, row.ends, syscall.ECONNREFUSED)
			})
		})
	}
}

// tapTeller keeps the latest frame that the teller's host has sent.
func (b *bank) tapTeller() *fabricfake.Frame {
	var last fabricfake.Frame
	own(host(b.teller), func(p *netfake.Packet) netfake.Next {
		if f, err := fabricfake.ParseFrame(p.Bytes()); err == nil && f.From == host(b.teller).Addr() {
			f.Inner = slices.Clone(f.Inner)
			last = f
		}
		return p.Onward()
	})
	return &last
}

func (b *bank) connect(t *testing.T) (c, s net.Conn) {
	l, err := b.vault.Listen("tcp", ":80")
	if err == nil {
		c, err = b.teller.Dial("tcp", "10.0.0.10:80")
	}
	if err == nil {
		s, err = l.Accept()
	}
	if err != nil {
		t.Fatal(err)
	}
	return c, s
}

// wantEnding checks that a connection has been ended by an error, or by none.
func (b *bank) wantEnding(t *testing.T, c net.Conn, ends bool, by error) {
	t.Helper()
	c.SetReadDeadline(time.Now().Add(time.Second))
	_, err := c.Read(make([]byte, 1))
	if ends && (!errors.Is(err, by) || len(b.w.Alarms()) != 0) || !ends && (!errors.Is(err, os.ErrDeadlineExceeded) || len(b.w.Alarms()) != 1) {
		t.Errorf("%v, alarms %v", err, b.w.Alarms())
	}
}

// reset makes a segment's frame one with the RST that would follow it.
func reset(f fabricfake.Frame) fabricfake.Frame {
	tcp, data, err := wire.ParseTCP(f.Inner[wire.IPv4HeaderLen:])
	if err != nil {
		panic(err)
	}
	b := f.Inner[:wire.IPv4HeaderLen+wire.TCPHeaderLen]
	sealed(b, func(ip []byte) { binary.BigEndian.PutUint16(ip[2:], uint16(len(b))) })
	seg := b[wire.IPv4HeaderLen:]
	binary.BigEndian.PutUint32(seg[4:], tcp.Seq+uint32(len(data)))
	seg[12], seg[13], seg[16], seg[17] = 5<<4, wire.RST|wire.ACK, 0, 0
	binary.BigEndian.PutUint16(seg[16:], wire.TransportChecksum(wire.ProtoTCP, netip.MustParseAddr("10.0.0.11"), netip.MustParseAddr("10.0.0.10"), seg))
	f.Inner = b
	return f
}

// unreachable is the teller's word that nobody listens where a datagram went.
func unreachable(about []byte) []byte {
	b := make([]byte, wire.IPv4HeaderLen+wire.ICMPHeaderLen, 100)
	b = append(b, about...)
	ip := wire.IPv4{TTL: 64, Proto: wire.ProtoICMP, Src: netip.MustParseAddr("10.0.0.11"), Dst: netip.MustParseAddr("10.0.0.10")}
	ip.Put(b, len(b)-wire.IPv4HeaderLen)
	icmp := b[wire.IPv4HeaderLen:]
	icmp[0], icmp[1] = 3, 3
	binary.BigEndian.PutUint16(icmp[2:], wire.Checksum(icmp))
	return b
}

// Whatever becomes of a frame on its way, what the vault gets is what somebody sent it who
// is where he says; and of everything else there is a drop that says why. That it tells the one
// from the other TestForgedFrames shows, frame by frame.
func TestMutatedFrames(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rapid.SyncTest(t, func(t *rapid.T) {
			w := netfake.New(t, netfake.Config{Seed: 1})
			b := newBank(t, w).speakIPv6(t)
			for range 5 {
				frame := mutant(t, b)
				if _, rest, err := wire.ParseIPv4(frame); err != nil || len(rest) < wire.UDPHeaderLen {
					continue // nothing that a wire carries
				}
				at := pick(t, "wire", []int{0, 0, 0, 0, 1, 2, 3, 3, 4})
				drops := len(w.Drops())
				[]func([]byte){host(b.teller).Inject, host(b.vault).Inject, host(b.evil).Inject, b.gateway.Inject, b.theirs.Inject}[at](frame)
				what, from := b.read()
				switch {
				case what == "":
					if left := b.left.packets; left == 0 && len(w.Drops()) == drops {
						t.Errorf("a frame has vanished")
					}
				default:
					if what != "money" || !mayBeFrom(at, from) {
						t.Errorf("from wire %d: got %q from %v", at, what, from)
					}
				}
				b.left.packets = 0
			}
		})
	})
}

// read returns what the vault's socket got, and from whom.
func (b *bank) read() (what string, from netip.Addr) {
	buf := make([]byte, 100)
	b.in.SetReadDeadline(time.Now().Add(10 * time.Millisecond))
	n, addr, err := b.in.ReadFrom(buf)
	if err != nil {
		return "", from
	}
	return string(buf[:n]), addr.(*net.UDPAddr).AddrPort().Addr().Unmap()
}

// mayBeFrom reports whether what was put on a wire may be from an address.
func mayBeFrom(at int, from netip.Addr) bool {
	switch at {
	case 0:
		return from.String() == "10.0.0.11" || from.String() == teller6
	case 1:
		return from.String() == "10.0.0.10" || from.String() == vault6
	case 3:
		return !netip.MustParsePrefix("10.0.0.0/16").Contains(from) && !netip.MustParsePrefix("2001:db8::/56").Contains(from)
	}
	return false
}

// mutant draws a frame that is in order but for some of its fields, and damages it in some
// places, of which at most one is inside.
func mutant(t *rapid.T, b *bank) []byte {
	f := b.honest()
	devices := []netip.Addr{host(b.teller).Addr(), host(b.vault).Addr(), host(b.evil).Addr(), ourEdge, theirEdge}
	sources := []string{tellerPort, vaultPort, "10.0.0.12:1", "203.0.113.5:1", "127.0.0.1:1", "10.0.0.1:1"}
	sources6 := []string{"[" + teller6 + "]:1", "[" + vault6 + "]:1", "[fe80::1]:1", "[2001:db8:ffff::1]:1"}
	numbers := []uint64{0, number(b.teller), number(b.vault), number(b.evil), 1 << 63}
	for range rapid.IntRange(0, 3).Draw(t, "fields") {
		switch rapid.IntRange(0, 6).Draw(t, "field") {
		case 0:
			f.From = pick(t, "from", devices)
		case 1:
			f.To = pick(t, "to", devices)
		case 2:
			f.VNI = pick(t, "vni", []uint32{b.vni(), b.theirVNI(), 0, 99})
		case 3:
			f.Source = pick(t, "source", numbers)
		case 4:
			f.Receiver = pick(t, "receiver", numbers)
		case 5:
			f.Inner = datagram(pick(t, "inner source", sources), vaultPort, "money")
		case 6:
			f.Inner = datagram6(pick(t, "inner source", sources6), "["+vault6+"]:9", "money")
		}
	}
	frame := f.Marshal()
	end := len(frame) - len(f.Inner)
	for range rapid.IntRange(0, 2).Draw(t, "damages") {
		switch rapid.IntRange(0, 3).Draw(t, "damage") {
		case 0: // the outer header, so that it still holds
			frame = sealed(frame, func(ip []byte) { ip[rapid.IntRange(0, 19).Draw(t, "at")] ^= 1 << rapid.IntRange(0, 7).Draw(t, "bit") })
		case 1: // what is between that and the packet inside
			frame[rapid.IntRange(20, end-1).Draw(t, "at")] ^= 1 << rapid.IntRange(0, 7).Draw(t, "bit")
		case 2: // the packet inside
			if end < len(frame) {
				frame[rapid.IntRange(end, len(frame)-1).Draw(t, "at")] ^= 1 << rapid.IntRange(0, 7).Draw(t, "bit")
				end = len(frame)
			}
		case 3: // its length
			n := rapid.IntRange(0, len(frame)+20).Draw(t, "length")
			frame = append(frame, make([]byte, 20)...)[:n]
			end = min(end, n)
			if n >= wire.IPv4HeaderLen {
				frame = sealed(frame, func(ip []byte) { binary.BigEndian.PutUint16(ip[2:], uint16(n)) })
			}
		}
		if end <= 20 || len(frame) < 40 {
			break
		}
	}
	return frame
}
