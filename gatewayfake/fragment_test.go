package gatewayfake_test

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/netspec-go/netspec/fabricfake"
	"github.com/netspec-go/netspec/gatewayfake"
	"github.com/netspec-go/netspec/internal/wire"
	"github.com/netspec-go/netspec/netfake"
	"pgregory.net/rapid"
)

// text is n bytes that differ from their neighbours.
func text(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i*7 + i>>8)
	}
	return b
}

// echoUDP answers each datagram to a port with the same.
func echoUDP(t *testing.T, h *netfake.Host, address string) {
	t.Helper()
	in, err := h.ListenPacket("udp", address)
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		b := make([]byte, 1<<16)
		for {
			n, from, err := in.ReadFrom(b)
			if err != nil {
				return
			}
			in.WriteTo(b[:n], from)
		}
	}()
}

// answered sends a datagram of n bytes and reports whether the same comes back within a
// second.
func answered(c net.Conn, n int) (bool, error) {
	if _, err := c.Write(text(n)); err != nil {
		return false, err
	}
	c.SetReadDeadline(time.Now().Add(time.Second))
	b := make([]byte, 1<<16)
	got, err := c.Read(b)
	return err == nil && bytes.Equal(b[:got], text(n)), err
}

// Datagrams of every size leave a VPC and are answered. What fits an instance's 9001 bytes
// forbids to be cut: the first is lost, the VPC's router says how much fits, and the next is
// in fragments of that. What the instance has cut itself, at 9001 bytes, the router cuts
// again for the internet gateway, and for a NAT gateway's 8500 bytes before.
// fact: mtu.igw.cut, mtu.nat.cut, nat.fragments
func TestFragmentsLeaveAVPC(t *testing.T) {
	for _, row := range []struct {
		by    path
		size  int
		first error // of the first; the next are answered
	}{
		{throughIGW, 1472, nil},
		{throughIGW, 1473, syscall.EMSGSIZE},
		{throughIGW, 4096, syscall.EMSGSIZE},
		{throughIGW, 8973, syscall.EMSGSIZE},
		{throughIGW, 8974, nil},
		{throughIGW, 65507, nil},
		{throughNAT, 1472, nil},
		{throughNAT, 4096, syscall.EMSGSIZE},
		{throughNAT, 8973, syscall.EMSGSIZE},
		{throughNAT, 8974, nil},
		{throughNAT, 65507, nil},
	} {
		t.Run(fmt.Sprint([]string{"inside", "IGW", "NAT"}[row.by], row.size), func(t *testing.T) {
			netfake.Run(t, func(t *testing.T, w *netfake.World) {
				x := build(w)
				echoUDP(t, x.site, ":9")
				from := x.app
				if row.by == throughIGW {
					from = x.public.Instance("front of prod", fabricfake.InstanceConfig{})
					gatewayfake.NewElasticIP(x.vpc).Associate(from.Interface())
				}
				c, err := from.Dial("udp", "203.0.113.80:9")
				if err != nil {
					t.Fatal(err)
				}
				ok, err := answered(c, row.size)
				if wantErr(t, "the first", err, row.first); ok != (row.first == nil) {
					t.Errorf("the first is answered: %v", ok)
				}
				for range 3 {
					if ok, err := answered(c, row.size); !ok {
						t.Errorf("the next is not answered: %v", err)
					}
				}
				drops := w.Drops()
				if row.first == nil && len(drops) != 0 || row.first != nil && (len(drops) != 1 || drops[0].Hop.Code != "MTU_EXCEEDED") {
					t.Errorf("dropped: %v", drops)
				}
			})
		})
	}
}

// Over IPv6 nobody but the sender cuts: what it has cut at 9001 bytes is too big as well.
// fact: mtu.ipv6
func TestFragmentsLeaveAVPC6(t *testing.T) {
	netfake.Run(t, func(t *testing.T, w *netfake.World) {
		x := buildSix(w)
		echoUDP(t, x.site, ":9")
		c, err := x.app.Dial("udp", "[2001:db8:5::80]:9")
		if err != nil {
			t.Fatal(err)
		}
		if ok, err := answered(c, 20000); ok {
			t.Error("the first is answered")
		} else {
			wantErr(t, "the first", err, syscall.EMSGSIZE)
		}
		if ok, err := answered(c, 20000); !ok {
			t.Errorf("the second is not answered: %v", err)
		}
		if got := x.app.PathMTU(x.site.Addr()); got != 1500 {
			t.Errorf("the sender takes %d for the path's MTU", got)
		}
	})
}

// A NAT gateway forwards fragments of UDP both ways, whichever comes first, and neither those
// of ICMP nor of TCP.
// fact: nat.fragments
func TestNATGatewayFragments(t *testing.T) {
	for _, row := range []struct {
		rule    string
		proto   netfake.Protocol
		reverse bool
		drops   int
	}{
		{"UDP", netfake.UDP, false, 0},
		{"UDP, the last fragment first", netfake.UDP, true, 0},
		{"ICMP", netfake.ICMP, false, 2},
		{"TCP", netfake.TCP, false, 2},
	} {
		t.Run(row.rule, func(t *testing.T) {
			netfake.Run(t, func(t *testing.T, w *netfake.World) {
				x := build(w)
				in, err := x.site.ListenPacket("udp", ":9")
				if err != nil {
					t.Fatal(err)
				}
				twoFragments(w, x, row.proto, row.reverse)
				in.SetReadDeadline(time.Now().Add(time.Second))
				b := make([]byte, 4096)
				n, from, err := in.ReadFrom(b)
				if ok := err == nil && bytes.Equal(b[:n], text(2000)); ok != (row.drops == 0) {
					t.Errorf("it arrives: %d bytes, %v", n, err)
				}
				if err == nil && !strings.HasPrefix(from.String(), x.nat.PublicIP().String()+":") {
					t.Errorf("it comes from %v, want the gateway's %v", from, x.nat.PublicIP())
				}
				dropped := 0
				for _, d := range w.Drops() {
					if d.Hop.By == netfake.Component(x.nat) && d.Hop.Rule == fmt.Sprintf("fragments of %v are not forwarded", row.proto) {
						dropped++
					}
				}
				if dropped != row.drops || x.nat.Stats().PacketsDropped != uint64(row.drops) {
					t.Errorf("the gateway drops %d fragments, want %d: %v", dropped, row.drops, w.Drops())
				}
			})
		})
	}
}

// twoFragments has the app send two fragments of a packet of 2008 bytes to the site, the second
// perhaps first.
func twoFragments(w *netfake.World, x *world, proto netfake.Protocol, reverse bool) {
	data := append(make([]byte, 8), text(2000)...)
	switch proto {
	case netfake.UDP:
		head := wire.UDP{SrcPort: 5000, DstPort: 9}
		head.Put(data, 2000)
	case netfake.ICMP:
		head := wire.ICMP{Type: wire.ICMPEchoRequest, ID: 7, Seq: 1}
		head.Put(data)
	case netfake.TCP:
		head := wire.TCP{SrcPort: 5000, DstPort: 80, Flags: wire.SYN}
		head.Put(data)
	}
	parts := []wire.IPv4{{MF: true}, {FragOffset: 1200}}
	if reverse {
		parts[0], parts[1] = parts[1], parts[0]
	}
	w.Do(func(time.Duration) {
		for _, ip := range parts {
			part := data[ip.FragOffset:]
			if ip.MF {
				part = data[:1200]
			}
			ip.TTL, ip.Proto, ip.ID = 64, uint8(proto), 99
			ip.Src, ip.Dst = x.app.Addr(), x.site.Addr()
			p := w.NewPacket(wire.IPv4HeaderLen+len(part), 1, uint64(len(part)))
			ip.Put(p.Bytes(), len(part))
			copy(p.Bytes()[wire.IPv4HeaderLen:], part)
			p.Decode()
			w.Send(p, x.app.Interface().Out())
		}
	})
}

// Who sent a datagram through a NAT gateway is told that the other end has waited in vain for
// its rest: the gateway translates what the answer quotes, a first fragment. It comes after
// 30 s, when the sender's groups have just forgotten the connection, unless they are told to
// remember it for longer.
func TestReassemblyTimeoutThroughNAT(t *testing.T) {
	for tracked, want := range map[time.Duration]netfake.Verdict{0: netfake.Drop, time.Minute: netfake.Deliver} {
		netfake.Run(t, func(t *testing.T, w *netfake.World) {
			x := build(w)
			app := x.private.Instance("sender", fabricfake.InstanceConfig{ConnectionTracking: fabricfake.ConnectionTracking{UDPSingle: tracked}})
			x.site.Uplink().Link().Insert(loseLast{})
			rec := w.Record(func(f netfake.Flow) bool { return f.Proto == netfake.ICMP })
			c, err := app.Dial("udp", "203.0.113.80:9")
			if err != nil {
				t.Fatal(err)
			}
			c.Write(text(9000))
			w.Sleep(2 * netfake.FragmentTimeout)
			told := rec.Traces()
			if len(told) != 1 || told[0].Summary != "type 11 code 1" || told[0].Verdict() != want || !told[0].Passed(x.nat) {
				t.Errorf("tracked for %v: %v", tracked, told)
			}
		})
	}
}

// loseLast loses the last fragment of each datagram.
type loseLast struct{}

func (loseLast) String() string { return "loses the last" }

func (l loseLast) Step(p *netfake.Packet) netfake.Next {
	if f, ok := wire.ParseFragment(p.Bytes()); ok && !f.MF {
		return p.Drop(netfake.Hop{Place: "link", By: l, Rule: "lost"})
	}
	return p.Onward()
}

// Whatever links lose, double or reorder, what comes back through both gateways is what was
// sent, and without faults all of it does.
func TestFragmentsSurviveGateways(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) { rapid.SyncTest(t, fragmentsSurvive) })
}

func fragmentsSurvive(t *rapid.T) {
	share := func(name string) float64 { return float64(rapid.IntRange(0, 20).Draw(t, name)) / 100 }
	w := netfake.New(t, netfake.Config{Seed: rapid.Uint64Range(1, 1<<32).Draw(t, "seed")})
	x := build(w)
	in, _ := x.site.ListenPacket("udp", ":9")
	w.Go(func(context.Context) {
		b := make([]byte, 1<<16)
		for {
			n, from, err := in.ReadFrom(b)
			if err != nil {
				return
			}
			in.WriteTo(b[:n], from)
		}
	})
	faulty := rapid.Bool().Draw(t, "faults")
	if faulty {
		f := netfake.Faults{Loss: share("loss"), Duplicate: share("duplicate"), Reorder: share("reorder"), ReorderBy: time.Millisecond}
		x.site.Uplink().Link().SetFaults(f)
		x.vpc.Region().Link("a", "a").SetFaults(f)
	}
	c, err := x.app.Dial("udp", "203.0.113.80:9")
	if err != nil {
		t.Fatal(err)
	}
	answered(c, 8000) // which is too big, and teaches the path's MTU unless a fault keeps it from doing so
	for range rapid.IntRange(1, 5).Draw(t, "datagrams") {
		n := rapid.IntRange(0, 40000).Draw(t, "size")
		if _, err := c.Write(text(n)); err != nil && !faulty {
			t.Fatal(err)
		}
		c.SetReadDeadline(time.Now().Add(time.Second))
		b := make([]byte, 1<<16)
		got, err := c.Read(b)
		if err != nil && !faulty || err == nil && !bytes.Equal(b[:got], text(got)) {
			t.Fatalf("of %d bytes came %d, %v", n, got, err)
		}
	}
}

// Four instances send large datagrams at one instant through one NAT gateway over lossy
// links, and every run is the same.
func TestFragmentsAreDeterministic(t *testing.T) {
	netfake.CheckDeterministic(t, 7, func(t *testing.T, w *netfake.World) {
		x := build(w)
		echoUDP(t, x.site, ":9")
		x.site.Uplink().Link().SetFaults(netfake.Faults{Loss: 0.05, Reorder: 0.2, ReorderBy: time.Millisecond})
		for i := range 4 {
			from := x.private.Instance(fmt.Sprint("app", i), fabricfake.InstanceConfig{})
			go func() {
				c, err := from.Dial("udp", "203.0.113.80:9")
				if err != nil {
					return
				}
				for n := range 5 {
					answered(c, 10000+n)
				}
			}()
		}
		w.Sleep(2 * netfake.FragmentTimeout)
	})
}

// Fragments that come from the internet in disorder find through both gateways, and to a
// group that lets their port in.
// fact: fragment.judged
func TestFragmentsEnterAVPC(t *testing.T) {
	netfake.Run(t, func(t *testing.T, w *netfake.World) {
		x := build(w)
		group := x.vpc.SecurityGroup("syslog").AllowIngress("udp/514", fabricfake.Anywhere).AllowIngress("icmp/3/4", fabricfake.Anywhere)
		front := x.public.Instance("front of prod", fabricfake.InstanceConfig{Groups: fabricfake.Groups{group}})
		eip := gatewayfake.NewElasticIP(x.vpc)
		eip.Associate(front.Interface())
		echoUDP(t, front.Host, ":514")
		echoUDP(t, front.Host, ":515")
		x.site.Uplink().Link().Forth().SetFaults(netfake.Faults{Reorder: 0.5, ReorderBy: time.Millisecond, Duplicate: 0.5})
		for _, port := range []uint16{514, 515} {
			c, err := x.site.Dial("udp", netip.AddrPortFrom(eip.Addr(), port).String())
			if err != nil {
				t.Fatal(err)
			}
			for i := range 10 {
				want := port == 514 && i > 0 // the first answer is too large for the gateway, which says so
				if ok, err := answered(c, 5000+i); ok != want {
					t.Errorf("port %d is answered: %v, %v", port, ok, err)
				}
			}
		}
	})
}
