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
	if ctx == nil {
		h.world.tb.Helper()
	}
	g := Pinger{Host: h}
	return g.Ping(ctx, addr)
}

var errNoPinger = errors.New("netfake: the Pinger has no Host")

// Ping sends an ICMP echo request to addr and returns how long the reply took. It
// waits until ctx is done; a ctx without a deadline waits a second at most. An ICMP error
// from a router ends it with that error: EMSGSIZE from one that finds the request too large,
// whose MTU Host.PathMTU then tells. A request of more than 65507 bytes, 65527 over IPv6, or
// more than Discovery allows, gives EMSGSIZE at once, the zero Addr "missing address", and a
// request beside 65536 that wait for replies of one address EAGAIN. A nil ctx fails the test.
func (g *Pinger) Ping(ctx context.Context, addr netip.Addr) (time.Duration, error) {
	h, addr := g.Host, toHost(addr.Unmap())
	if h == nil {
		return 0, pingError(addr, errNoPinger)
	}
	if g.Size < 0 || g.Discovery > MTUDont {
		h.world.tb.Helper()
		h.world.tb.Fatalf("netfake: host %s: there is no ping of %d bytes with %v", h.name, g.Size, g.Discovery)
	}
	if ctx == nil {
		h.world.tb.Helper()
		h.world.tb.Fatalf("netfake: host %s: Ping of %v without a context", h.name, addr)
	}
	rtt, err := g.await(ctx, addr)
	if err != nil {
		return 0, pingError(addr, err)
	}
	return rtt, nil
}

// pingError wraps err as net would.
func pingError(addr netip.Addr, err error) error {
	if !addr.IsValid() {
		return &net.OpError{Op: "ping", Net: "icmp", Err: err}
	}
	return &net.OpError{Op: "ping", Net: icmpFor(addr).network, Addr: &net.IPAddr{IP: addr.AsSlice()}, Err: err}
}

// await is Ping within the scheduler, until ctx is done.
func (g *Pinger) await(ctx context.Context, addr netip.Addr) (time.Duration, error) {
	h, w := g.Host, g.Host.world
	wait := &echoWait{}
	if ctx.Done() != nil {
		defer h.giveUp(ctx, &wait.gaveUp)()
	}

	w.lock()
	defer w.unlock()
	wait.by.init(w, h.key, &h.changed)
	wait.by.set(w.patience(ctx))
	defer wait.by.stop()
	return g.ping(addr, wait)
}

// echoID tells an echo from the others of its host: by whom it is for, too, so that pings
// of several others at one instant have the same identifiers in every run.
type echoID struct {
	to netip.Addr
	id uint16
}

// nextEcho returns the identifier of the host's next request; those that wait for a reply
// have others.
func (h *Host) nextEcho(src, dst netip.Addr) (id uint16, ok bool) {
	id = h.ports[portKey(icmpFor(dst).proto, src, netip.AddrPortFrom(dst, 0))]
	for range 1 << 16 {
		if id++; h.echoes[echoID{dst, id}] == nil {
			return id, true
		}
	}
	return 0, false
}

// giveUp sets gaveUp when ctx is done, for somebody who waits at the host to see, until stop
// is called.
func (h *Host) giveUp(ctx context.Context, gaveUp *bool) (stop func() bool) {
	return context.AfterFunc(ctx, func() {
		h.world.lock()
		*gaveUp = true
		h.world.wake(&h.changed)
		h.world.unlock()
	})
}

// echoWait is somebody who waits for the reply to a ping.
type echoWait struct {
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
	id, ok := h.nextEcho(src, addr)
	if !ok {
		return 0, sysError("bind", syscall.EAGAIN)
	}
	h.ports[portKey(family.proto, src, netip.AddrPortFrom(addr, 0))] = id
	h.echoes[echoID{addr, id}] = wait
	defer delete(h.echoes, echoID{addr, id})
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
	case !addr.IsValid():
		err = errMissingAddress
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
