package gatewayfake_test

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/netspec-go/netspec/fabricfake"
	"github.com/netspec-go/netspec/gatewayfake"
	"github.com/netspec-go/netspec/internal/wire"
	"github.com/netspec-go/netspec/netfake"
)

// What was on its way when a peering ended is stale, and forged what comes later.
func TestFramesOfFormerPeers(t *testing.T) {
	for _, row := range []struct {
		name            string
		after           time.Duration
		stale, rejected uint64
	}{
		{"under way", fabricfake.FrameLifetime - 1, 1, 0},
		{"too late", fabricfake.FrameLifetime, 0, 1},
	} {
		netfake.Run(t, func(t *testing.T, w *netfake.World) {
			x := buildPeers(t, w)
			frame := x.frame()
			x.pcx.Delete()
			w.Sleep(row.after - fabricfake.LatencyZones)
			x.app.Interface().PhysicalHost().Inject(frame.Marshal())
			w.Sleep(time.Second)
			at := x.db.Interface().PhysicalHost()
			if at.Stale() != row.stale || at.Rejected() != row.rejected || len(w.Alarms()) != int(row.rejected) {
				t.Errorf("%s: %d stale, %d rejected, alarms %v", row.name, at.Stale(), at.Rejected(), w.Alarms())
			}
		})
	}
}

// frame is what the host of the app sends to that of the db.
func (x *peers) frame() fabricfake.Frame {
	return fabricfake.Frame{
		From: x.app.Interface().PhysicalHost().Addr(), To: x.db.Interface().PhysicalHost().Addr(), Entropy: 50000,
		VNI: x.data.VNI(), Source: x.app.Interface().Number(), Receiver: x.db.Interface().Number(),
		Inner: datagram(x.app.Addr(), x.db.Addr()),
	}
}

// datagram is a packet of UDP to port 9, without a checksum.
func datagram(src, dst netip.Addr) []byte {
	b := make([]byte, wire.IPv4HeaderLen+wire.UDPHeaderLen)
	ip := wire.IPv4{TTL: 64, Proto: wire.ProtoUDP, Src: src, Dst: dst}
	ip.Put(b, wire.UDPHeaderLen)
	udp := wire.UDP{SrcPort: 9, DstPort: 9}
	udp.Put(b[wire.IPv4HeaderLen:], 0)
	return b
}

// A host believes of a frame from another VPC nothing but what a peering makes possible: what
// is forged is dropped with an alarm, and its sibling is delivered.
// fact: isolation.peers
func TestForgedFramesOfPeers(t *testing.T) {
	type frame = fabricfake.Frame
	addr := netip.MustParseAddr
	for _, row := range []struct {
		name   string
		forge  func(x *peers, f *frame)
		from   func(x *peers) *fabricfake.Instance // at whose wire; nil for the app's
		honest bool
		alarm  string
	}{
		{name: "as it should be", forge: func(*peers, *frame) {}, honest: true},
		{name: "of a VPC that is no peer", forge: func(x *peers, f *frame) {
			c := x.clerk.Interface()
			f.From, f.Source, f.Inner = c.PhysicalHost().Addr(), c.Number(), datagram(x.clerk.Addr(), x.db.Addr())
			x.far.Delete()
			x.w.Sleep(fabricfake.FrameLifetime)
		}, from: func(x *peers) *fabricfake.Instance { return x.clerk }, alarm: "which is not there"},
		{name: "of the other peer", forge: func(x *peers, f *frame) {
			c := x.clerk.Interface()
			f.From, f.Source, f.Inner = c.PhysicalHost().Addr(), c.Number(), datagram(x.clerk.Addr(), x.db.Addr())
		}, from: func(x *peers) *fabricfake.Instance { return x.clerk }, honest: true},
		{name: "of one that has yet to be accepted", forge: func(x *peers, f *frame) {
			x.pcx.Delete()
			x.w.Sleep(fabricfake.FrameLifetime)
			gatewayfake.NewPeering(x.shop, x.data, "again")
		}, alarm: "which is not there"},
		{name: "from a host that has not the address", forge: func(x *peers, f *frame) { f.From = x.clerk.Interface().PhysicalHost().Addr() },
			from: func(x *peers) *fabricfake.Instance { return x.clerk }, alarm: "which is not there"},
		{name: "in the name of the other peer", forge: func(x *peers, f *frame) { f.Source = x.clerk.Interface().Number() }, alarm: "which is not there"},
		{name: "with an address that is not the sender's", forge: func(x *peers, f *frame) { f.Inner = datagram(addr("10.0.1.77"), x.db.Addr()) }, alarm: "10.0.1.77, which is not mapped there"},
		{name: "with an address of the receiver's VPC", forge: func(x *peers, f *frame) { f.Inner = datagram(addr("10.1.1.77"), x.db.Addr()) }, alarm: "which are not of the two VPCs"},
		{name: "with an address of the internet", forge: func(x *peers, f *frame) { f.Inner = datagram(addr("203.0.113.5"), x.db.Addr()) }, alarm: "which are not of the two VPCs"},
		{name: "that, from one that may forward", forge: func(x *peers, f *frame) {
			x.app.Interface().SetSourceDestCheck(fabricfake.SourceDestCheckOff)
			f.Inner = datagram(addr("203.0.113.5"), x.db.Addr())
		}, alarm: "which are not of the two VPCs"},
		{name: "of one that may forward, with an address of its VPC", forge: func(x *peers, f *frame) {
			x.app.Interface().SetSourceDestCheck(fabricfake.SourceDestCheckOff)
			f.Inner = datagram(addr("10.0.1.77"), x.db.Addr())
		}, honest: true},
		{name: "to beyond the VPC, where one forwards", forge: func(x *peers, f *frame) {
			x.db.Interface().SetSourceDestCheck(fabricfake.SourceDestCheckOff)
			f.Inner = datagram(x.app.Addr(), x.clerk.Addr())
		}, alarm: "which are not of the two VPCs"},
		{name: "with the number of the sender's VPC", forge: func(x *peers, f *frame) { f.VNI = x.shop.VNI() }, alarm: "which is not here"},
	} {
		netfake.Run(t, func(t *testing.T, w *netfake.World) {
			x := buildPeers(t, w)
			x.stores.AllowIngress("udp/9", fabricfake.Anywhere)
			in, err := x.db.ListenPacket("udp", ":9")
			if err != nil {
				t.Fatal(err)
			}
			frame, from := x.frame(), x.app
			if row.from != nil {
				from = row.from(x)
			}
			row.forge(x, &frame)
			from.Interface().PhysicalHost().Inject(frame.Marshal())
			in.SetReadDeadline(time.Now().Add(time.Second))
			_, _, err = in.ReadFrom(make([]byte, 10))
			if alarms := w.Alarms(); (err == nil) != row.honest || row.honest != (len(alarms) == 0) {
				t.Errorf("%s: delivered: %v; alarms %v", row.name, err, alarms)
			} else if !row.honest && (!strings.Contains(fmt.Sprint(alarms), row.alarm) || x.db.Interface().PhysicalHost().Rejected() != 1) {
				t.Errorf("%s: alarms %v, want %q", row.name, alarms, row.alarm)
			}
		})
	}
}

// A packet of an established connection over a peering costs no memory.
func TestPeeringAllocatesNothing(t *testing.T) {
	w := netfake.New(t, netfake.Config{Instant: true})
	x := buildPeers(t, w)
	x.stores.AllowIngress("tcp/81", x.apps)
	c, s := joined(t, x.app.Host, x.db.Host, 81)
	b := make([]byte, 20_000) // three segments
	if n := testing.AllocsPerRun(1000, func() {
		c.Write(b)
		for got := 0; got < len(b); {
			k, _ := s.Read(b)
			got += k
		}
	}); n != 0 {
		t.Errorf("%v allocations for three segments", n)
	}
}

// Hosts that ask the mapping service for addresses ask for those of a peer too, to send there
// and to believe what comes from there. Hosts that have yet to be told of it know nothing.
func TestPeeringAndMappings(t *testing.T) {
	for _, row := range []struct {
		name   string
		change func(m *fabricfake.MappingService)
		code   netfake.Code
	}{
		{"told at once", func(*fabricfake.MappingService) {}, ""},
		{"asked", func(m *fabricfake.MappingService) { m.SetMissPolicy(fabricfake.MissAsk) }, ""},
		{"asked in vain", func(m *fabricfake.MappingService) {
			m.SetMissPolicy(fabricfake.MissAsk)
			m.Fail()
		}, "BAD_STATE"},
		{"told late", func(m *fabricfake.MappingService) { m.SetDelay(time.Hour) }, "NO_POSSIBLE_DESTINATION"},
	} {
		netfake.Run(t, func(t *testing.T, w *netfake.World) {
			x := buildPeers(t, w)
			row.change(x.shop.Region().Mapping())
			next := x.back.Instance("next", fabricfake.InstanceConfig{Groups: fabricfake.Groups{x.stores}})
			swallow(t, next.Host)
			wantCode(t, row.name, x.app.Probe(next.TCP(9)), row.code)
			d := netfake.Dialer{Host: x.app.Host, Timeout: time.Second}
			if _, err := d.DialContext(t.Context(), "tcp", next.TCP(9).Addr.String()); (err == nil) != (row.code == "") {
				t.Errorf("%s: %v", row.name, err)
			}
		})
	}
}
