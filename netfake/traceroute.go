package netfake

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"syscall"
	"time"

	"github.com/netspec-go/netspec/internal/wire"
)

// Numbers of traceroute, those of the program on Linux.
const (
	tracerouteHops = 30
	tracerouteWait = 5 * time.Second
	traceroutePort = 33434 // of the first probe; each has the next
	tracerouteData = 32    // bytes, so that the packet has 60
)

// TraceHop is what a traceroute found out about one router.
type TraceHop struct {
	TTL  int
	Addr netip.Addr    // who answered; not valid for silence
	RTT  time.Duration // how long the answer took
	Kind ICMPKind      // TimeExceeded of a router, PortUnreachable of the destination
}

// String returns a line such as traceroute prints: " 2  198.19.0.1  2.000 ms", with "*"
// for silence, and "!H", "!N", "!P" or "!X" behind an answer that is an obstacle.
func (t TraceHop) String() string {
	if !t.Addr.IsValid() {
		return fmt.Sprintf("%2d  *", t.TTL)
	}
	s := fmt.Sprintf("%2d  %v  %.3f ms", t.TTL, t.Addr, float64(t.RTT)/1e6)
	switch t.Kind {
	case HostUnreachable:
		s += " !H"
	case NetUnreachable:
		s += " !N"
	case ProtocolUnreachable:
		s += " !P"
	case AdminProhibited:
		s += " !X"
	}
	return s
}

// tracerouteProbe is a datagram that waits for an ICMP error.
type tracerouteProbe struct {
	from   netip.Addr
	kind   ICMPKind
	at     time.Duration
	gaveUp bool
}

// Traceroute finds the routers on the way to addr, as the program does: it sends UDP
// datagrams to ports from 33434 on, with a TTL of 1, 2 and so on, one for each, and
// waits up to five seconds for the ICMP error that answers. It ends at the first answer
// that is not time exceeded, after 30 hops, or when ctx is done, with ctx's error. That
// the destination was reached shows in the last hop: it is addr, with PortUnreachable. A
// destination that has a socket on the port says nothing. A nil ctx fails the test.
func (h *Host) Traceroute(ctx context.Context, addr netip.Addr) ([]TraceHop, error) {
	addr = toHost(addr.Unmap())
	fail := func(err error) error {
		return &net.OpError{Op: "traceroute", Net: "udp", Addr: &net.IPAddr{IP: addr.AsSlice()}, Err: err}
	}
	if ctx == nil {
		h.world.tb.Helper()
		h.world.tb.Fatalf("netfake: host %s: Traceroute to %v without a context", h.name, addr)
	}
	h.world.lock()
	src, _ := h.sourceFor(addr)
	down := h.closed() || h.world.closed
	h.world.unlock()
	switch {
	case down:
		return nil, fail(errHostDown)
	case !addr.IsValid():
		return nil, &net.OpError{Op: "traceroute", Net: "udp", Err: errMissingAddress}
	case !src.IsValid():
		return nil, fail(sysError("connect", syscall.ENETUNREACH))
	}
	u, err := h.dialUDP("udp", netip.AddrPortFrom(addr, traceroutePort), netip.AddrPort{})
	if err != nil {
		return nil, fail(err)
	}
	defer u.Close()
	var hops []TraceHop
	for ttl := 1; ttl <= tracerouteHops; ttl++ {
		hop, err := h.traceHop(ctx, u, ttl)
		if err != nil {
			return hops, fail(err)
		}
		hops = append(hops, hop)
		if hop.Kind != NoICMP && hop.Kind != TimeExceeded {
			break
		}
	}
	return hops, nil
}

// traceHop sends one probe and waits for what becomes of it.
func (h *Host) traceHop(ctx context.Context, u *UDPConn, ttl int) (TraceHop, error) {
	w := h.world
	wait := &tracerouteProbe{}
	bound, cancel := context.WithTimeout(ctx, tracerouteWait)
	defer cancel()
	defer h.giveUp(bound, &wait.gaveUp)()

	w.lock()
	defer w.unlock()
	flow := Flow{UDP, u.at, netip.AddrPortFrom(u.peer.Addr(), u.peer.Port()+uint16(ttl-1))}
	if h.traceroutes == nil {
		h.traceroutes = map[Flow]*tracerouteProbe{}
	}
	h.traceroutes[flow] = wait
	defer delete(h.traceroutes, flow)
	u.sent++
	p := h.udpPacket(flow, make([]byte, tracerouteData), u.sent)
	wire.SetTTL(p.Bytes(), uint8(ttl))
	began := w.now
	h.send(p)
	for wait.kind == NoICMP && !wait.gaveUp && !u.closed {
		w.wait(&h.changed)
	}
	switch {
	case wait.kind != NoICMP:
		return TraceHop{ttl, wait.from, wait.at - began, wait.kind}, nil
	case u.closed:
		return TraceHop{}, errHostDown
	case ctx.Err() != nil:
		return TraceHop{}, contextError(ctx.Err())
	}
	return TraceHop{TTL: ttl}, nil
}
