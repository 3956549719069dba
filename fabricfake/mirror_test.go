package fabricfake_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/netspec-go/netspec/fabricfake"
	"github.com/netspec-go/netspec/internal/wire"
	"github.com/netspec-go/netspec/netfake"
)

// monitor is an instance that collects what is mirrored to it.
type monitor struct {
	*fabricfake.Instance
	conn net.PacketConn
}

func newMonitor(t *testing.T, s *fabricfake.Subnet, name string) *monitor {
	t.Helper()
	g := s.VPC().SecurityGroup(name).AllowIngress("udp/4789", fabricfake.Anywhere)
	m := &monitor{Instance: s.Instance(name, fabricfake.InstanceConfig{Groups: fabricfake.Groups{g}})}
	conn, err := m.ListenPacket("udp", ":4789")
	if err != nil {
		t.Fatal(err)
	}
	m.conn = conn
	return m
}

// copies returns what has come so far.
func (m *monitor) copies(t *testing.T) (all []fabricfake.Mirrored) {
	t.Helper()
	m.conn.SetReadDeadline(time.Now().Add(time.Second))
	for {
		b := make([]byte, 9001)
		n, _, err := m.conn.ReadFrom(b)
		if err != nil {
			return all
		}
		c, err := fabricfake.ParseMirrored(b[:n])
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, c)
	}
}

var everything = []fabricfake.MirrorRule{{Number: 1, Action: fabricfake.MirrorAccept}}

// A session copies what its filter takes, byte for byte, and the target sees from whom.
// fact: mirror.vxlan, mirror.outer, mirror.vni, mirror.filter.directions, vxlan.port
func TestMirror(t *testing.T) {
	netfake.Run(t, func(t *testing.T, w *netfake.World) {
		p := newPair(t, w)
		m := newMonitor(t, p.b, "monitor")
		s := p.one.Interface().Mirror("session", fabricfake.MirrorConfig{
			Target: m.Interface(), VNI: 77, Filter: fabricfake.MirrorFilter{Egress: everything},
		})
		u, err := p.one.Dial("udp", "172.31.32.21:22")
		if err != nil {
			t.Fatal(err)
		}
		defer u.Close()
		p.group.AllowIngress("udp/22", fabricfake.Anywhere)
		u.Write([]byte("question"))
		u.Read(make([]byte, 100)) // the answer is ingress, which the filter has no rule for

		b := make([]byte, 9001)
		m.conn.SetReadDeadline(time.Now().Add(time.Second))
		n, from, err := m.conn.ReadFrom(b)
		if err != nil {
			t.Fatal(err)
		}
		src := from.(*net.UDPAddr)
		if src.IP.String() != "172.31.16.139" || src.Port < 49152 {
			t.Errorf("the copy comes from %v, want the source's address and a port from 49152 on", src)
		}
		c, err := fabricfake.ParseMirrored(b[:n])
		if err != nil {
			t.Fatal(err)
		}
		ip, segment, err := wire.ParseIPv4(c.Packet)
		if err != nil {
			t.Fatal(err)
		}
		_, data, err := wire.ParseUDP(segment)
		if c.VNI != 77 || ip.Dst.String() != "172.31.32.21" || string(data) != "question" || err != nil {
			t.Errorf("vni %d, to %v, %q, error %v", c.VNI, ip.Dst, data, err)
		}
		if rest := m.copies(t); len(rest) != 0 || s.Sent() != 1 {
			t.Errorf("%d copies more, %d sent", len(rest), s.Sent())
		}
	})
}

// The bytes of copies, field for field what RFC 7348 says: a header, and in it an Ethernet
// frame of the packet as it was. Those of one flow come from one port.
// fact: vxlan.header, vxlan.payload, vxlan.port, mirror.outer
func TestMirrorBytes(t *testing.T) {
	netfake.Run(t, func(t *testing.T, w *netfake.World) {
		p := newPair(t, w)
		p.vpc.AddIPv6("2001:db8::/56")
		p.a.AddIPv6("2001:db8::/64")
		p.one.Interface().AssignIPv6("2001:db8::9")
		m := newMonitor(t, p.b, "monitor")
		p.one.Interface().Mirror("session", fabricfake.MirrorConfig{
			Target: m.Interface(), VNI: 0xabcdef, Filter: fabricfake.MirrorFilter{Egress: everything},
		})
		ports := map[string][]int{} // by the packet inside
		for _, row := range []struct {
			name      string
			packet    []byte
			etherType string
		}{
			{"first", datagram("172.31.16.139:1000", "172.31.32.21:9", "x"), "\x08\x00"},
			{"again", datagram("172.31.16.139:1000", "172.31.32.21:9", "x"), "\x08\x00"},
			{"another flow", datagram("172.31.16.139:1001", "172.31.32.21:9", "x"), "\x08\x00"},
			{"IPv6", datagram6("[2001:db8::9]:1000", "[2001:db8::7]:9", "x"), "\x86\xdd"},
		} {
			p.one.Interface().Inject(row.packet)
			b := make([]byte, 9001)
			m.conn.SetReadDeadline(time.Now().Add(time.Second))
			n, from, err := m.conn.ReadFrom(b)
			if err != nil {
				t.Fatal(err)
			}
			const macs = wire.VXLANHeaderLen + 12
			b = b[:n]
			if got := string(b[:wire.VXLANHeaderLen]); got != "\x08\x00\x00\x00\xab\xcd\xef\x00" {
				t.Errorf("%s: header %x", row.name, got)
			}
			if got := string(b[macs : macs+2]); got != row.etherType || !bytes.Equal(b[macs+2:], row.packet) {
				t.Errorf("%s: EtherType %x, packet %x, want %x", row.name, got, b[macs+2:], row.packet)
			}
			src := from.(*net.UDPAddr).AddrPort()
			if src.Addr().Unmap() != p.one.Addr() || src.Port() < 49152 {
				t.Errorf("%s: from %v", row.name, src)
			}
			ports[string(row.packet)] = append(ports[string(row.packet)], int(src.Port()))
		}
		var all []int
		for _, of := range ports {
			slices.Sort(of)
			if of = slices.Compact(of); len(of) != 1 {
				t.Errorf("a flow comes from the ports %v", of)
			}
			all = append(all, of...)
		}
		slices.Sort(all)
		if len(slices.Compact(all)) != 3 {
			t.Errorf("three flows come from the ports %v", all)
		}
	})
}

// A number that is drawn depends on the seed and the session alone, unless another session in
// whatever region has it; two sessions that name the same number have it.
// fact: mirror.vni.drawn
func TestMirrorVNI(t *testing.T) {
	sessions := func(others ...uint32) (drawn uint32) {
		text := fatal(t, func(w *netfake.World) {
			p := newPair(t, w)
			far := fabricfake.NewRegion(w, "eu-west-1", netfake.London).VPC("far", "10.0.0.0/16").Subnet("far", "10.0.0.0/24", "a")
			from, to := far.Interface("from", fabricfake.InterfaceConfig{}), far.Interface("to", fabricfake.InterfaceConfig{})
			for n, vni := range others {
				s := from.Mirror(fmt.Sprint("other", n), fabricfake.MirrorConfig{Target: to, Number: n + 1, VNI: vni})
				if s.VNI() != vni {
					t.Errorf("VNI %d, want %d", s.VNI(), vni)
				}
			}
			s := p.one.Interface().Mirror("session", fabricfake.MirrorConfig{Target: p.two.Interface()})
			drawn = s.VNI()
			s.Delete()
			if again := p.one.Interface().Mirror("session", fabricfake.MirrorConfig{Target: p.two.Interface()}).VNI(); again != drawn {
				t.Errorf("once the session is deleted, another gets VNI %d, want %d", again, drawn)
			}
		})
		if text != "" {
			t.Fatal(text)
		}
		return drawn
	}
	first := sessions()
	if other := sessions(first + 1); first == 0 || other != first {
		t.Errorf("beside another number: VNI %d, want %d", other, first)
	}
	second := sessions(first, first)
	if third := sessions(first, second); second == first || third == first || third == second {
		t.Errorf("VNI %d; when that is taken %d, and when both are %d", first, second, third)
	}
}

// A packet is mirrored once, in the session with the lowest number that takes it; at
// both ends if both are sources.
// fact: mirror.sessions
func TestMirrorSessions(t *testing.T) {
	netfake.Run(t, func(t *testing.T, w *netfake.World) {
		p := newPair(t, w)
		first, second := newMonitor(t, p.a, "first"), newMonitor(t, p.a, "second")
		icmp := []fabricfake.MirrorRule{{Number: 1, Action: fabricfake.MirrorAccept, Protocol: netfake.ICMP}}
		one := p.one.Interface()
		one.Mirror("all", fabricfake.MirrorConfig{Target: second.Interface(), Number: 20, Filter: fabricfake.MirrorFilter{Egress: everything, Ingress: everything}})
		session := one.Mirror("icmp", fabricfake.MirrorConfig{Target: first.Interface(), Number: 10, Filter: fabricfake.MirrorFilter{Egress: icmp}})
		ping := func() { p.one.Ping(t.Context(), p.two.Addr()) }
		ping()
		if a, b := len(first.copies(t)), len(second.copies(t)); a != 1 || b != 1 {
			t.Errorf("the request was copied to %d, the answer to %d; want 1 each", a, b)
		}
		session.Delete()
		session.Delete()
		ping()
		if a, b := len(first.copies(t)), len(second.copies(t)); a != 0 || b != 2 {
			t.Errorf("without the first session: %d and %d copies, want 0 and 2", a, b)
		}
	})
}

// The 8,947 bytes that fit in a target's MTU arrive whole, longer ones are cut; a
// session may ask for less. A burst is copied packet by packet. Source:
// https://docs.aws.amazon.com/vpc/latest/mirroring/traffic-mirroring-considerations.html
func TestMirrorLength(t *testing.T) {
	const overhead = 28 // IP and UDP
	for _, row := range []struct {
		name              string
		data, asked, want int
	}{
		// fact: mirror.truncate
		{"the longest that fits", 8947 - overhead, 0, 8947},
		// fact: mirror.truncate
		{"one byte more", 8948 - overhead, 0, 8947},
		{"the longest of all", 9001 - overhead, 0, 8947},
		// fact: mirror.length
		{"cut where the session says", 1000, 14 + 100, 100},
		// fact: mirror.length
		{"shorter than the session says", 10, 14 + 100, 10 + overhead},
	} {
		netfake.Run(t, func(t *testing.T, w *netfake.World) {
			p := newPair(t, w)
			m := newMonitor(t, p.a, "monitor")
			p.one.Interface().Mirror("session", fabricfake.MirrorConfig{Target: m.Interface(), PacketLength: row.asked, Filter: fabricfake.MirrorFilter{Egress: everything}})
			u, err := p.one.Dial("udp", "172.31.32.21:22")
			if err != nil {
				t.Fatal(err)
			}
			defer u.Close()
			u.Write(make([]byte, row.data))
			if got := m.copies(t); len(got) != 1 || len(got[0].Packet) != row.want {
				t.Errorf("%s: %d copies, the first of %d bytes, want %d", row.name, len(got), len(got[0].Packet), row.want)
			}
		})
	}
}

// The copies of a stream are the packets of the stream, even where the sender's burst
// was one.
func TestMirrorStream(t *testing.T) {
	netfake.Run(t, func(t *testing.T, w *netfake.World) {
		p := newPair(t, w)
		m := newMonitor(t, p.a, "monitor")
		p.one.Interface().Mirror("out", fabricfake.MirrorConfig{Target: m.Interface(), Filter: fabricfake.MirrorFilter{Egress: everything}})
		log := p.one.Interface().FlowLog("log", fabricfake.FlowLogConfig{})
		c, err := p.one.Dial("tcp", "172.31.32.21:22")
		if err != nil {
			t.Fatal(err)
		}
		sent := bytes.Repeat([]byte("0123456789abcdef"), 4096)
		go c.Write(sent)
		io.ReadFull(c, make([]byte, len(sent)))
		c.Close()
		var got, length, packets int
		for _, mirrored := range m.copies(t) {
			ip := mirrored.Packet // the largest are cut behind their headers
			total := int(binary.BigEndian.Uint16(ip[2:]))
			headers := wire.IPv4HeaderLen + int(ip[wire.IPv4HeaderLen+12]>>4)*4
			got, packets, length = got+total-headers, packets+1, length+total
		}
		if got != len(sent) {
			t.Errorf("the copies carry %d bytes of %d", got, len(sent))
		}
		w.Sleep(time.Minute)
		for _, r := range log.Records() {
			if r.Direction == netfake.Egress && (r.Packets != uint64(packets) || r.Bytes != uint64(length)) {
				t.Errorf("the flow log counts %d packets of %d bytes, the copies are %d of %d", r.Packets, r.Bytes, packets, length)
			}
		}
	})
}

// The flow log counts the packets of bursts, mirrored or not, and no copies.
// fact: log.unlogged.mirror
func TestMirrorFlowLog(t *testing.T) {
	counts := func(mirror bool) (records []string) {
		netfake.Run(t, func(t *testing.T, w *netfake.World) {
			p := newPair(t, w)
			m := newMonitor(t, p.a, "monitor")
			if mirror {
				p.one.Interface().Mirror("out", fabricfake.MirrorConfig{Target: m.Interface(), Filter: fabricfake.MirrorFilter{Egress: everything}})
			}
			log := p.vpc.FlowLog("log", fabricfake.FlowLogConfig{Format: "${interface-id} ${packets} ${bytes} ${protocol}"})
			c, err := p.one.Dial("tcp", "172.31.32.21:22")
			if err != nil {
				t.Fatal(err)
			}
			sent := make([]byte, 100_000)
			go c.Write(sent)
			io.ReadFull(c, sent)
			c.Close()
			w.Sleep(time.Minute)
			records = slices.DeleteFunc(log.Lines(), func(s string) bool { return strings.HasSuffix(s, " - - -") })
		})
		return records
	}
	with, without := counts(true), counts(false)
	if len(without) != 4 || !slices.Equal(with, without) {
		t.Errorf("records\nwith a mirror:    %v\nwithout a mirror: %v", with, without)
	}
}
