package fabricfake

import (
	"encoding/binary"
	"net/netip"
	"testing"
	"time"

	"github.com/netspec-go/netspec/internal/wire"
	"github.com/netspec-go/netspec/netfake"
)

// Frames to an interface that has moved to another host go to the old one until the sender
// has been told, and are taken for forged there; those from it are believed from the old host
// until then, and from the new one afterwards.
func TestMovedInterface(t *testing.T) { netfake.Run(t, testMovedInterface) }

func testMovedInterface(t *testing.T, w *netfake.World) {
	v := NewVPC(w, "prod", "10.0.0.0/16")
	s := v.Subnet("app", "10.0.0.0/24", "a")
	open := Groups{v.SecurityGroup("open").AllowIngress("all", Anywhere)}
	client, server := s.Instance("client", InstanceConfig{Groups: open}), s.Instance("server", InstanceConfig{Groups: open})
	old, other := server.iface.PhysicalHost(), v.region.PhysicalHost("other", "a")
	v.region.mapping.SetDelay(time.Second)
	probe := func(from, to *Instance) *netfake.Hop { return from.Probe(to.UDP(9)).Blocker() }

	w.Do(func(time.Duration) {
		server.iface.device = other.device
		server.iface.announce()
	})
	for _, row := range []struct {
		from, to *Instance
		by       *PhysicalHost
		rule     string
	}{
		{client, server, old, "a frame of vni 1 for interface 2, which is not here"},
		{server, client, client.iface.PhysicalHost(), "a frame of vni 1 from 192.168.0.5 in the name of interface 2, which is not there"},
	} {
		if b := probe(row.from, row.to); b == nil || b.By != netfake.Component(row.by) || b.Rule != row.rule || b.Hint != "host of client has yet to be told where 10.0.0.5 is now" {
			t.Errorf("%v to %v: blocked by %+v", row.from, row.to, b)
		}
	}
	w.Sleep(time.Second)
	for _, row := range [][2]*Instance{{client, server}, {server, client}} {
		if r := row[0].Probe(row[1].TCP(9)); r.Outcome != netfake.Refused {
			t.Errorf("%v to %v, when all know: %v", row[0], row[1], r)
		}
	}
	frame := Frame{From: old.addr, To: client.iface.device.addr, VNI: v.vni, Source: server.iface.id, Receiver: client.iface.id, Inner: echoRequest(server.iface.addr, client.iface.addr)}
	old.Inject(frame.Marshal())
	w.Sleep(time.Second)
	if a := w.Alarms(); len(a) != 1 || a[0].What != "a frame of vni 1 from 192.168.0.4 in the name of interface 2, which is not there" {
		t.Errorf("from where it was: alarms %v", a)
	}
	frame.From = other.addr
	other.Inject(frame.Marshal())
	w.Sleep(time.Second)
	if len(w.Alarms()) != 1 || len(w.Drops()) != 1 {
		t.Errorf("from where it is: alarms %v, drops %v", w.Alarms(), w.Drops())
	}
}

// echoRequest is a ping.
func echoRequest(src, dst netip.Addr) []byte {
	b := make([]byte, wire.IPv4HeaderLen+wire.ICMPHeaderLen)
	ip := wire.IPv4{TTL: 64, Proto: wire.ProtoICMP, Src: src, Dst: dst}
	ip.Put(b, wire.ICMPHeaderLen)
	icmp := b[wire.IPv4HeaderLen:]
	icmp[0] = wire.ICMPEchoRequest
	binary.BigEndian.PutUint16(icmp[2:], wire.Checksum(icmp))
	return b
}
