package gatewayfake

import (
	"context"
	"net"
	"net/netip"
	"time"

	"github.com/netspec-go/netspec/fabricfake"
	"github.com/netspec-go/netspec/internal/talk"
	"github.com/netspec-go/netspec/netfake"
)

// answer has a host answer who dials its port 80 or sends to its port 53.
func answer(t netfake.TB, h *netfake.Host) {
	listener, err := h.Listen("tcp", ":80")
	if err != nil {
		t.Fatalf("%v", err)
	}
	h.World().Go(func(context.Context) { talk.Answer(listener) })
	c, err := h.ListenPacket("udp", ":53")
	if err != nil {
		t.Fatalf("%v", err)
	}
	h.World().Go(func(context.Context) { talk.Echo(c) })
}

// sideOf is a host that dials another at an address and sends it datagrams.
func sideOf(t netfake.TB, h *netfake.Host, to netip.Addr) talk.Side {
	c, err := h.ListenPacket("udp", ":0")
	if err != nil {
		t.Fatalf("%v", err)
	}
	return talk.Side{Dial: h.DialContext, To: netip.AddrPortFrom(to, 80).String(), UDP: c, UDPTo: net.UDPAddrFromAddrPort(netip.AddrPortFrom(to, 53))}
}

// begin has both sides call, in a world that is recorded or not.
func begin(w *netfake.World, l *talk.Talk, record bool) {
	if record {
		w.Record(nil)
	}
	l.Call(0)
	l.Call(1)
}

// commonKinds is how many kinds of acts are the same in every life: the first ones.
const commonKinds = 9

// commonQuiet are those of them that change nothing.
var commonQuiet = []int{0, 1, 2, 3, 4, 5, 6, 6, 7}

// common lets something happen that can in every life: somebody says something, or the mapping
// service is slow, is asked or fails.
func common(l *talk.Talk, a talk.Act, mapping *fabricfake.MappingService, faults *[]*netfake.Fault) {
	switch a.Kind {
	case 0, 1, 2, 3:
		l.Write(a.Which, 100+a.Which)
	case 4, 5:
		l.Datagram(a.Which, []int{2, 3000}[a.Which/5%2]) // the latter in fragments
	case 6:
		l.Call(a.Which)
	case 7:
		l.Hangup()
	case 8:
		switch a.Which % 3 {
		case 0:
			l.Toggle("mapping", func() { *faults = append(*faults, mapping.Fail()) }, mapping.Repair)
		case 1:
			l.Toggle("delay", func() { mapping.SetDelay([]time.Duration{30 * time.Millisecond, 2 * time.Second}[a.Which/3%2]) }, func() { mapping.SetDelay(0) })
		case 2:
			l.Toggle("miss", func() { mapping.SetMissPolicy(fabricfake.MissAsk) }, func() { mapping.SetMissPolicy(fabricfake.MissDrop) })
		}
	}
}
