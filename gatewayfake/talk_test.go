package gatewayfake

import (
	"context"
	"net"
	"time"

	"github.com/netspec-go/netspec/fabricfake"
	"github.com/netspec-go/netspec/internal/talk"
	"github.com/netspec-go/netspec/netfake"
)

// answer has a host answer who dials its port 80.
func answer(t netfake.TB, h *netfake.Host) {
	listener, err := h.Listen("tcp", ":80")
	if err != nil {
		t.Fatalf("%v", err)
	}
	h.World().Go(func(context.Context) { talk.Answer(listener) })
}

// sideOf is a host that dials another and sends it datagrams.
func sideOf(t netfake.TB, h, to *netfake.Host) talk.Side {
	c, err := h.ListenPacket("udp", ":53")
	if err != nil {
		t.Fatalf("%v", err)
	}
	return talk.Side{Dial: h.DialContext, To: to.TCP(80).Addr.String(), UDP: c, UDPTo: net.UDPAddrFromAddrPort(to.UDP(53).Addr)}
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

// common lets something happen that can in every life: somebody says something, or the mapping
// service is slow, is asked or fails.
func common(l *talk.Talk, a talk.Act, mapping *fabricfake.MappingService) {
	switch a.Kind {
	case 0, 1, 2, 3:
		l.Write(a.Which, 100+a.Which)
	case 4, 5:
		l.Datagram(a.Which)
	case 6:
		l.Call(a.Which)
	case 7:
		l.Hangup()
	case 8:
		switch a.Which % 3 {
		case 0:
			l.Toggle("mapping", func() { mapping.Fail() }, mapping.Repair)
		case 1:
			l.Toggle("delay", func() { mapping.SetDelay(30 * time.Millisecond) }, func() { mapping.SetDelay(0) })
		case 2:
			l.Toggle("miss", func() { mapping.SetMissPolicy(fabricfake.MissAsk) }, func() { mapping.SetMissPolicy(fabricfake.MissDrop) })
		}
	}
}
