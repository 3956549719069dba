package netfake

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"syscall"
	"testing"
	"time"
)

// A traceroute names the router at either end of the backbone and then the destination,
// each after exactly the time of its way.
func TestTraceroute(t *testing.T) { Run(t, testTraceroute) }

func testTraceroute(t *testing.T, w *World) {
	server, client := twoHosts(w)
	near, far := client.Uplink().RouterAddr(), server.Uplink().RouterAddr()
	backbone := Sydney.Delay(Melbourne)
	hops, err := client.Traceroute(t.Context(), server.Addr())
	if err != nil {
		t.Fatal(err)
	}
	wanted := []TraceHop{
		{1, near, 2 * LastMile, TimeExceeded},
		{2, far, 2 * (LastMile + backbone), TimeExceeded},
		{3, server.Addr(), 2 * oneWay, PortUnreachable},
	}
	if !slices.Equal(hops, wanted) {
		t.Errorf("got  %v\nwant %v", hops, wanted)
	}
	if got := hops[0].String(); got != " 1  198.19.0.2  2.000 ms" {
		t.Errorf("printed as %q", got)
	}
}

// A traceroute over IPv6 finds what one over IPv4 does.
func TestTracerouteTimes6(t *testing.T) { Run(t, testTracerouteTimes6) }

func testTracerouteTimes6(t *testing.T, w *World) {
	server, client := onlyIPv6(w)
	near, far := client.Uplink().RouterAddr6(), server.Uplink().RouterAddr6()
	hops, err := client.Traceroute(t.Context(), server.Addr())
	wanted := []TraceHop{
		{1, near, 2 * LastMile, TimeExceeded},
		{2, far, 2 * (LastMile + Sydney.Delay(Melbourne)), TimeExceeded},
		{3, server.Addr(), 2 * oneWay, PortUnreachable},
	}
	if err != nil || !slices.Equal(hops, wanted) {
		t.Errorf("got  %v, %v\nwant %v", hops, err, wanted)
	}
}

// Two hosts at one place have one router between them.
func TestTracerouteInOnePlace(t *testing.T) { Run(t, testTracerouteInOnePlace) }

func testTracerouteInOnePlace(t *testing.T, w *World) {
	a, b := w.Internet().Host("a", "198.51.100.1"), w.Internet().Host("b", "198.51.100.2")
	hops, err := a.Traceroute(t.Context(), b.Addr())
	if err != nil || len(hops) != 2 || hops[0].Addr != a.Uplink().RouterAddr() || hops[1].Addr != b.Addr() {
		t.Errorf("%v, %v", hops, err)
	}
}

// What is in the way shows as it does in the program's output.
func TestTracerouteObstacles(t *testing.T) { Run(t, testTracerouteObstacles) }

func testTracerouteObstacles(t *testing.T, w *World) {
	server, client := twoHosts(w)
	mile := server.Uplink().Link()

	// Silence behind the backbone: two routers, then stars to the end, five seconds each.
	heal := mile.Partition()
	began := w.Now()
	hops, err := client.Traceroute(t.Context(), server.Addr())
	if err != nil || len(hops) != 30 || !hops[1].Addr.IsValid() || hops[2] != (TraceHop{TTL: 3}) || hops[29].String() != "30  *" {
		t.Errorf("%d hops, %v, %v", len(hops), hops, err)
	}
	answered := 2*LastMile + 2*(LastMile+Sydney.Delay(Melbourne))
	if took := w.Now() - began; took != answered+28*5*time.Second {
		t.Errorf("took %v", took)
	}
	heal.Undo()

	// A router that says no: the trace ends with its mark.
	for _, row := range []struct {
		kind ICMPKind
		mark string
	}{{HostUnreachable, "!H"}, {NetUnreachable, "!N"}, {ProtocolUnreachable, "!P"}, {AdminProhibited, "!X"}} {
		undo := mile.Refuse(row.kind)
		hops, err := client.Traceroute(t.Context(), server.Addr())
		if err != nil || len(hops) != 3 || hops[2].Kind != row.kind || hops[2].Addr != server.Uplink().RouterAddr() {
			t.Fatalf("%v: %v, %v", row.kind, hops, err)
		}
		if s := hops[2].String(); s[len(s)-2:] != row.mark {
			t.Errorf("%v is printed as %q", row.kind, s)
		}
		undo.Undo()
		undo.Undo()
	}

	// ICMP is filtered on the client's last mile: nothing at all comes back.
	undo := client.Uplink().Link().DropICMP()
	ctx, cancel := context.WithTimeout(t.Context(), 7*time.Second)
	defer cancel()
	hops, err = client.Traceroute(ctx, server.Addr())
	if !errors.Is(err, context.DeadlineExceeded) || len(hops) != 1 || hops[0].Addr.IsValid() {
		t.Errorf("with a filter: %v, %v", hops, err)
	}
	undo.Undo()
	if hops, err = client.Traceroute(t.Context(), server.Addr()); err != nil || len(hops) != 3 || hops[2].Kind != PortUnreachable {
		t.Errorf("after all is mended: %v, %v", hops, err)
	}
}

// A host without a way, and one that is down, say so.
func TestTracerouteErrors(t *testing.T) { Run(t, testTracerouteErrors) }

func testTracerouteErrors(t *testing.T, w *World) {
	alone := w.NewHost("alone", Place{})
	_, err := alone.Traceroute(t.Context(), netip.MustParseAddr("203.0.113.1"))
	want(t, "no way", err, syscall.ENETUNREACH)
	server, client := twoHosts(w)
	if hops, err := client.Traceroute(t.Context(), netip.Addr{}); err == nil || err.Error() != "traceroute udp: missing address" || hops != nil {
		t.Errorf("to nowhere: %v, %v", hops, err)
	}
	client.Crash()
	if _, err := client.Traceroute(t.Context(), server.Addr()); err == nil {
		t.Error("a host that is down traced a route")
	}
}

// A socket on the port keeps the destination silent.
func TestTracerouteToASocket(t *testing.T) { Run(t, testTracerouteToASocket) }

func testTracerouteToASocket(t *testing.T, w *World) {
	server, client := twoHosts(w)
	openUDP(t, server, 33436)
	hops, err := client.Traceroute(t.Context(), server.Addr())
	if err != nil || len(hops) != 4 || hops[2].Addr.IsValid() || hops[3].Addr != server.Addr() {
		t.Errorf("%v, %v", hops, err)
	}
}
