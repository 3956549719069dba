package netfake

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"syscall"
	"time"

	"github.com/netspec-go/netspec/internal/wire"
)

// MTUDiscovery is what a ping does about the MTU of its path: the modes of ping(8)'s option
// -M, which are those of Linux's IP_MTU_DISCOVER.
type MTUDiscovery uint8

// The modes. Routers never cut packets of IPv6: there MTUDont is MTUWant.
const (
	MTUWant  MTUDiscovery = iota // a request that is known to be too large leaves in fragments; routers must not cut others
	MTUDo                        // one that is known to be too large fails with EMSGSIZE; routers must not cut others
	MTUProbe                     // the same, but all that is known is the interface's MTU, whatever routers have said
	MTUDont                      // routers may cut it
)

// String returns the mode as one gives it to ping.
func (m MTUDiscovery) String() string {
	if names := [...]string{"want", "do", "probe", "dont"}; int(m) < len(names) {
		return names[m]
	}
	return fmt.Sprintf("mode %d", uint8(m))
}

// Pinger sends ICMP echo requests from a host, as ping(8) does from a machine. Besides Host,
// the zero value of each field is the default of Host.Ping. A Pinger may be used by several
// goroutines.
type Pinger struct {
	// Host is who pings. Nobody can if it is nil.
	Host *Host

	// Size is how many bytes of data a request carries, and its reply; 0 is none. Its
	// packet has 28 more, 48 over IPv6. It is what ping's option -s says, whose default is
	// 56. Less than 0 fails the test.
	Size int

	// Discovery is what to do about the path's MTU. 0 is MTUWant, as with ping.
	Discovery MTUDiscovery
}

// Pinger returns a new pinger of the host, for a caller who wants to set its fields.
func (h *Host) Pinger() *Pinger { return &Pinger{Host: h} }

// Ping sends an ICMP echo request to addr and returns how long the reply took. It is
// Pinger.Ping with nothing set.
func (h *Host) Ping(ctx context.Context, addr netip.Addr) (time.Duration, error) {
	g := Pinger{Host: h}
	return g.Ping(ctx, addr)
}

var errNoPinger = errors.New("netfake: the Pinger has no Host")

// Ping sends an ICMP echo request to addr and returns how long the reply took. It
// waits until ctx is done; a ctx without a deadline waits a second at most. An ICMP error
// from a router ends it with that error: EMSGSIZE from one that finds the request too large,
// whose MTU Host.PathMTU then tells. A request of more than 65507 bytes, 65527 over IPv6, or
// more than Discovery allows, gives EMSGSIZE at once.
func (g *Pinger) Ping(ctx context.Context, addr netip.Addr) (time.Duration, error) {
	h, addr := g.Host, addr.Unmap()
	fail := func(err error) (time.Duration, error) {
		return 0, &net.OpError{Op: "ping", Net: icmpFor(addr).network, Addr: &net.IPAddr{IP: addr.AsSlice()}, Err: err}
	}
	if h == nil {
		return fail(errNoPinger)
	}
	w := h.world
	if g.Size < 0 || g.Discovery > MTUDont {
		w.tb.Helper()
		w.tb.Fatalf("netfake: host %s: there is no ping of %d bytes with %v", h.name, g.Size, g.Discovery)
	}
	wait := &echoWait{}
	if ctx.Done() != nil {
		stop := context.AfterFunc(ctx, func() {
			w.lock()
			wait.gaveUp = true
			w.wake(&h.changed)
			w.unlock()
		})
		defer stop()
	}

	w.lock()
	wait.by.init(w, h.key, &h.changed)
	wait.by.set(w.patience(ctx))
	rtt, err := g.ping(addr, wait)
	wait.by.stop()
	w.unlock()
	if err != nil {
		return fail(err)
	}
	return rtt, nil
}

// echoWait is somebody who waits for the reply to a ping.
type echoWait struct {
	to                       netip.Addr
	by                       deadline
	answered, failed, gaveUp bool
	err                      syscall.Errno // what a router said
}

// patience is until when a ping waits. A timer of the world's queue costs less than a
// context's.
func (w *World) patience(ctx context.Context) time.Time {
	if at, ok := ctx.Deadline(); ok {
		return at
	}
	return w.Time(w.now + time.Second)
}

var errNoReply = errors.New("no reply")

func (g *Pinger) ping(addr netip.Addr, wait *echoWait) (time.Duration, error) {
	h, w := g.Host, g.Host.world
	src, mtu, err := g.check(addr)
	if err != nil {
		return 0, err
	}
	family := icmpFor(addr)
	key := portKey(family.proto, src, netip.AddrPortFrom(addr, 0))
	id := h.ports[key] + 1
	for h.echoes[id] != nil {
		id++
	}
	h.ports[key] = id
	wait.to = addr
	h.echoes[id] = wait
	defer delete(h.echoes, id)
	began := w.now
	p := h.echoPacket(src, addr, wire.ICMP{Type: family.echoRequest, ID: id, Seq: 1}, g.data(), h.number())
	if g.Discovery == MTUDont {
		p.letCut()
	}
	h.sendCut(p, mtu)
	for {
		switch {
		case wait.answered:
			return w.now - began, nil
		case wait.err != 0:
			return 0, sysError("recvfrom", wait.err)
		case wait.failed:
			return 0, errHostDown
		case wait.gaveUp, wait.by.passed:
			return 0, errNoReply
		}
		w.wait(&h.changed)
	}
}

// check says why a request cannot be sent, or from where and in packets of which size it can.
func (g *Pinger) check(addr netip.Addr) (src netip.Addr, mtu int, err error) {
	h := g.Host
	src, mtu = h.sourceFor(addr)
	if g.Discovery != MTUProbe {
		mtu = h.limitMTU(addr, mtu)
	}
	whole := g.Discovery == MTUDo || g.Discovery == MTUProbe
	switch {
	case h.closed() || h.world.closed:
		err = errHostDown
	case addr.Zone() != "":
		err = zoneError(addr)
	case !src.IsValid():
		err = sysError("sendto", syscall.ENETUNREACH)
	case g.Size > maxDatagram(addr), whole && ipHeaderLen(addr)+wire.ICMPHeaderLen+g.Size > mtu:
		err = sysError("sendto", syscall.EMSGSIZE)
	}
	return src, mtu, err
}

// data returns what a request carries: ping's pattern.
func (g *Pinger) data() []byte {
	b := make([]byte, g.Size)
	for i := range b {
		b[i] = byte(i)
	}
	return b
}

// letCut allows routers to cut a packet that the host has made, if it is of IPv4. It has a
// number then, which its fragments will have in common.
func (p *Packet) letCut() {
	f := p.Flow
	if !f.Dst.Addr().Is4() {
		return
	}
	ip := wire.IPv4{TTL: 64, ID: uint16(p.fragmentID()), Proto: uint8(f.Proto), Src: f.Src.Addr(), Dst: f.Dst.Addr()}
	ip.Put(p.Bytes(), p.Len()-wire.IPv4HeaderLen)
}
