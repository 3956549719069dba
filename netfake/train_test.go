package netfake

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"net/netip"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/netspec-go/netspec/internal/wire"
)

// trainPacket makes a train as a host does, around data that is counted through.
func trainPacket(w *World, size, length int) *Packet {
	flow := Flow{TCP, netip.MustParseAddrPort("10.0.1.5:40000"), netip.MustParseAddrPort("10.0.2.9:80")}
	head := wire.TCP{Seq: 0xffff_fff0, Ack: 7, Flags: wire.ACK | wire.PSH | wire.FIN, Window: 99}
	data := make([]byte, length)
	for i := range data {
		data[i] = byte(i * 7)
	}
	p := w.tcpTrain(&flow, flow.Hash(), &head, data, 100)
	p.train = size
	return p
}

// encapsulate puts the headers of a tunnel in front of a packet, as a fabric does.
func encapsulate(p *Packet) {
	inner := p.Len()
	b := p.Push(wire.IPv4HeaderLen + wire.UDPHeaderLen + wire.GeneveHeaderLen)
	ip := wire.IPv4{TTL: 64, Proto: wire.ProtoUDP, ID: 5, Src: netip.MustParseAddr("192.168.0.1"), Dst: netip.MustParseAddr("192.168.0.2")}
	ip.Put(b, len(b)-wire.IPv4HeaderLen+inner)
	udp := wire.UDP{SrcPort: 50000, DstPort: wire.GenevePort}
	udp.Put(b[wire.IPv4HeaderLen:], wire.GeneveHeaderLen+inner)
	wire.PutGeneve(b[wire.IPv4HeaderLen+wire.UDPHeaderLen:], wire.Geneve{Protocol: wire.EtherTypeIPv4, VNI: 3}, 0)
}

// The packets of a train are whole packets: headers that parse, lengths and checksums that
// are right, and together the data, also inside of a tunnel and after a translation.
func TestSegmentsOfTrain(t *testing.T) {
	w := New(t, Config{Instant: true})
	rapid.Check(t, func(t *rapid.T) {
		w.lock()
		defer w.unlock()
		size := rapid.IntRange(1, 9000).Draw(t, "size")
		length := rapid.IntRange(size+1, min(40*size, trainData)).Draw(t, "length")
		p := trainPacket(w, size, length)
		want := bytes.Clone(p.Payload()[wire.TCPHeaderLen:])
		if rapid.Bool().Draw(t, "translated") {
			p.SetSrc(netip.MustParseAddrPort("203.0.113.1:1024"))
		}
		tunnel := rapid.Bool().Draw(t, "tunnel")
		if tunnel {
			encapsulate(p)
		}
		flow, headers := p.Flow, p.Largest()-size
		var got []byte
		for i := range p.Segments() {
			q := p.segment(i)
			if q.event.Key != p.event.Key || q.event.Seq != 100+uint64(i) {
				t.Fatalf("packet %d is number %d", i, q.event.Seq)
			}
			last := i == p.Segments()-1
			if n := q.Len() - headers; n > size || n < size && !last {
				t.Fatalf("packet %d of %d carries %d bytes, the size is %d", i, p.Segments(), n, size)
			}
			if tunnel {
				leaveTunnel(t, q)
			}
			if err := q.Decode(); err != nil || q.Flow != flow {
				t.Fatalf("packet %d: %v, %v", i, q.Flow, err)
			}
			head, data, err := wire.ParseTCP(q.Payload())
			if err != nil || !wire.VerifyTransport(wire.ProtoTCP, q.Flow.Src.Addr(), q.Flow.Dst.Addr(), q.Payload()) {
				t.Fatalf("packet %d: %v, or a wrong checksum", i, err)
			}
			flags := wire.ACK
			if last {
				flags |= wire.PSH | wire.FIN
			}
			if head.Seq != 0xffff_fff0+uint32(len(got)) || head.Flags != flags || head.Ack != 7 || head.Window != 99 {
				t.Fatalf("packet %d of %d: %v", i, p.Segments(), head)
			}
			got = append(got, data...)
			w.packets.put(q)
		}
		if !bytes.Equal(got, want) {
			t.Fatalf("%d bytes, not those that were sent", len(got))
		}
		w.packets.put(p)
	})
}

// leaveTunnel checks a tunnel's headers and takes them off.
func leaveTunnel(t *rapid.T, p *Packet) {
	ip, b, err := wire.ParseIPv4(p.Bytes())
	if err != nil || ip.TotalLen != p.Len() {
		t.Fatalf("outer header: %v, length %d of %d", err, ip.TotalLen, p.Len())
	}
	udp, b, err := wire.ParseUDP(b)
	if err != nil || udp.Length != p.Len()-wire.IPv4HeaderLen {
		t.Fatalf("outer UDP header: %v, length %d", err, udp.Length)
	}
	_, _, inner, err := wire.ParseGeneve(b)
	if err != nil {
		t.Fatal(err)
	}
	p.Pull(p.Len() - len(inner))
}

// middle is a node between two hosts that notes the lengths of what passes.
type middle struct {
	to      map[netip.Addr]Node
	lengths []int
	trains  int
}

func (m *middle) String() string { return "middle" }

func (m *middle) Step(p *Packet) Next {
	if p.SegmentSize() > 0 {
		m.trains++
	}
	if p.DataLen() > 0 {
		m.lengths = append(m.lengths, p.Len())
	}
	return p.To(m.to[p.Flow.Dst.Addr()])
}

// willing is a middle that understands trains.
type willing struct{ middle }

func (*willing) TakesTrains() bool { return true }

// between joins two hosts by a node and sends 10,000 bytes from one to the other.
func between(t *testing.T, n Node, to *map[netip.Addr]Node) {
	Run(t, func(t *testing.T, w *World) {
		a, b := w.NewHost("a", Place{}), w.NewHost("b", Place{})
		a.AddNIC(netip.MustParseAddr("10.0.0.1"), 1500, n)
		b.AddNIC(netip.MustParseAddr("10.0.0.2"), 1500, n)
		*to = map[netip.Addr]Node{a.Addr(): a, b.Addr(): b}
		l, err := b.Listen("tcp", ":80")
		if err != nil {
			t.Fatal(err)
		}
		c, err := a.Dial("tcp", "10.0.0.2:80")
		if err != nil {
			t.Fatal(err)
		}
		s, _ := l.Accept()
		c.Write(make([]byte, 10_000))
		if n, err := io.ReadFull(s, make([]byte, 10_000)); err != nil {
			t.Errorf("%d bytes: %v", n, err)
		}
	})
}

// A node of a user's own sees packets, unless it says that it understands trains.
func TestTrainNode(t *testing.T) {
	var honest middle
	between(t, &honest, &honest.to)
	if got := fmt.Sprint(honest.lengths); honest.trains > 0 || got != "[1500 1500 1500 1500 1500 1500 1364]" {
		t.Errorf("an ordinary node saw %s, and %d trains", got, honest.trains)
	}
	var w willing
	between(t, &w, &w.to)
	if got := fmt.Sprint(w.lengths); w.trains != 1 || got != "[10052]" {
		t.Errorf("a node that takes trains saw %s, and %d trains", got, w.trains)
	}
}

// hasty is a middlebox that understands trains.
type hasty struct{ box }

func (*hasty) TakesTrains() bool { return true }

// A middlebox that sends everything twice does so with trains, as with the packets that they
// stand for.
func TestRepeatOfTrains(t *testing.T) {
	for _, row := range []struct {
		name   string
		make   func(step func(p *Packet) Next) Node
		trains int // that it sees
	}{
		{"packets", func(step func(p *Packet) Next) Node { return &box{"box", step} }, 0},
		{"trains", func(step func(p *Packet) Next) Node { return &hasty{box{"box", step}} }, 1},
	} {
		Run(t, func(t *testing.T, w *World) {
			server, client := twoHosts(w)
			l, err := server.Listen("tcp", ":80")
			if err != nil {
				t.Fatal(err)
			}
			trains := 0
			client.Uplink().Link().Insert(row.make(towards(server, func(p *Packet) Next {
				if p.SegmentSize() > 0 {
					trains++
				}
				p.Repeat()
				return p.Onward()
			})))
			c, err := client.Dial("tcp", "203.0.113.10:80")
			if err != nil {
				t.Fatal(err)
			}
			s, _ := l.Accept()
			before := server.Uplink().Link().Back().Stats().Carried
			c.Write(make([]byte, 10_000))
			if n, err := io.ReadFull(s, make([]byte, 10_000)); err != nil {
				t.Errorf("%s: %d bytes: %v", row.name, n, err)
			}
			w.Sleep(time.Second)
			if came := server.Uplink().Link().Back().Stats().Carried - before; trains != row.trains || came != 2*7 || len(w.Drops()) > 0 {
				t.Errorf("%s: %d trains, %d packets have come, want 14; dropped %v", row.name, trains, came, w.Drops())
			}
		})
	}
}

// upload sends 300,000 bytes from Melbourne to Sydney over a link with faults, and
// returns the capture and the counters of links and sockets. Where packets are recorded
// there are no trains.
func upload(t *testing.T, faults Faults, recorded bool) (capture, counters string) {
	var out bytes.Buffer
	RunConfig(t, Config{Seed: 4}, func(t *testing.T, w *World) {
		server := w.Internet().HostAt(Sydney, "server", "203.0.113.10")
		client := w.Internet().HostAt(Melbourne, "client", "198.51.100.20")
		client.Uplink().Link().SetFaults(faults)
		if recorded {
			w.Record(func(Flow) bool { return false })
		}
		file := w.Capture(&out, nil)
		l, err := server.Listen("tcp", ":80")
		if err != nil {
			t.Fatal(err)
		}
		c, err := client.Dial("tcp", "203.0.113.10:80")
		if err != nil {
			t.Fatal(err)
		}
		s, _ := l.Accept()
		c.Write(make([]byte, 300_000))
		if n, err := io.ReadFull(s, make([]byte, 300_000)); err != nil {
			t.Errorf("%d bytes: %v", n, err)
		}
		w.Sleep(time.Minute)
		if err := file.Stop(); err != nil {
			t.Error(err)
		}
		counters = fmt.Sprintf("%+v\n%+v\n%s", client.Uplink().Link().Stats(), server.Uplink().Link().Stats(), w.Sockets())
	})
	return out.String(), counters
}

// What a link with faults does to the packets of a train it does to each of them, as if
// there were no trains: the same are lost, at the same times.
func TestTrainsMeetFaults(t *testing.T) {
	for _, tt := range []struct {
		name   string
		faults Faults
	}{
		{"loss", Faults{Loss: 0.1}},
		{"bursts", Faults{Loss: 0.1, Burst: 3}},
		{"duplicates", Faults{Duplicate: 0.1}},
		{"reordering", Faults{Reorder: 0.1, ReorderBy: time.Millisecond}},
		{"corruption", Faults{Corrupt: 0.1}},
		{"jitter", Faults{Jitter: time.Millisecond}},
	} {
		capture, counters := upload(t, tt.faults, false)
		want, wantCounters := upload(t, tt.faults, true)
		if counters != wantCounters {
			t.Errorf("%s:\n%s\nwithout trains\n%s", tt.name, counters, wantCounters)
		}
		if capture != want {
			t.Errorf("%s: the captures differ", tt.name)
		}
	}
}

// In a capture there are no trains: every packet with data is there at the time at which
// it would have been there, byte for byte.
func TestTrainsUnseen(t *testing.T) {
	capture, _ := upload(t, Faults{}, false)
	want, _ := upload(t, Faults{}, true)
	got, wanted := dataPackets(capture), dataPackets(want)
	if len(got) != 2*208 { // 300,000 bytes in pieces of 1448, at two taps
		t.Errorf("%d packets with data", len(got))
	}
	for i := range min(len(got), len(wanted)) {
		if got[i] != wanted[i] {
			t.Fatalf("packet %d is %x\nwithout trains %x", i, got[i], wanted[i])
		}
	}
	if len(got) != len(wanted) {
		t.Errorf("%d packets with data, without trains %d", len(got), len(wanted))
	}
}

// dataPackets returns the blocks of a capture that hold packets with data, each with its
// time.
func dataPackets(capture string) (blocks []string) {
	const enhancedPacket, captured, noData = 6, 20, 60
	for b := []byte(capture); len(b) > 0; {
		length := binary.LittleEndian.Uint32(b[4:])
		if binary.LittleEndian.Uint32(b) == enhancedPacket && binary.LittleEndian.Uint32(b[captured:]) > noData {
			blocks = append(blocks, string(b[:length]))
		}
		b = b[length:]
	}
	return blocks
}

// Each packet of a train is refused where nobody waits for it.
func TestTrainRefused(t *testing.T) {
	Run(t, func(t *testing.T, w *World) {
		server, client := twoHosts(w)
		l, err := server.Listen("tcp", ":80")
		if err != nil {
			t.Fatal(err)
		}
		c, err := client.Dial("tcp", "203.0.113.10:80")
		if err != nil {
			t.Fatal(err)
		}
		l.Accept()
		c.Write(make([]byte, 5_000)) // four packets
		server.Crash().Undo()
		w.Sleep(time.Second)
		refused := 0
		for _, d := range w.Drops() {
			if d.Hop.Rule == "no connection that the segment belongs to: answered with RST" {
				refused++
			}
		}
		if refused != 4 {
			t.Errorf("%d packets were refused", refused)
		}
		if _, err := c.Read(make([]byte, 1)); err == nil {
			t.Error("the client was not reset")
		}
	})
}

// A host that is down swallows a train, and every packet of it is a drop.
func TestTrainDropped(t *testing.T) {
	Run(t, func(t *testing.T, w *World) {
		server, client := twoHosts(w)
		l, err := server.Listen("tcp", ":80")
		if err != nil {
			t.Fatal(err)
		}
		c, err := client.Dial("tcp", "203.0.113.10:80")
		if err != nil {
			t.Fatal(err)
		}
		l.Accept()
		c.Write(make([]byte, 5_000))
		server.Crash()
		w.Sleep(100 * time.Millisecond)
		if drops := w.Drops(); len(drops) != 4 {
			t.Errorf("%d packets were dropped: %v", len(drops), drops)
		}
	})
}

// What a world without latency does at its very first instant is acknowledged as at any
// other: nothing waits for a timer, and nothing goes twice.
func TestStreamAtTheFirstInstant(t *testing.T) {
	RunConfig(t, Config{Instant: true}, func(t *testing.T, w *World) {
		server, client := twoHosts(w)
		echoServer(t, server, ":80")
		c, err := client.Dial("tcp", "203.0.113.10:80")
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		const size = 20 * 20000
		go func() {
			for range 20 {
				c.Write(make([]byte, size/20))
			}
		}()
		if _, err := io.ReadFull(c, make([]byte, size)); err != nil || w.Now() != 0 {
			t.Errorf("all is back at %v: %v", w.Now(), err)
		}
		w.Sleep(time.Second)
		w.Do(func(time.Duration) {
			for _, h := range w.hosts {
				for _, c := range h.conns {
					if s := c.machine.Stats(); s.Retransmits != 0 {
						t.Errorf("%v: %+v", c.flow, s)
					}
				}
			}
		})
	})
}
