package netfake

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"sync"
	"syscall"
	"time"
)

// bridgeIdle is how long a bridge keeps the socket of a UDP conversation in which nothing
// is said: what RFC 4787, REQ-5, asks of a NAT at least.
const bridgeIdle = 2 * time.Minute

// bridgeQueue is how many datagrams of one source wait while its socket is being opened.
const bridgeQueue = 64

// Inlet lets real programs into the world: it opens a port of the machine's loopback
// interface and returns its address. Whoever connects to it, or sends a datagram, does
// so in the world from h, to address: what h.DialContext reaches under network, "tcp" or
// "udp", and address. Names are resolved by h, anew for each connection.
//
//	at := browser.Inlet("tcp", "shop.example:80")
//	exec.Command("curl", "--connect-to", "shop.example:80:"+at.String(), "http://shop.example/")
//
// Half-close and resets are carried over in both directions. The program is connected
// before the world has been asked: where the world refuses or stays silent, it sees its
// connection reset, and the test's log says why. Of UDP, each source has a socket of its
// own, until two minutes pass without a datagram; what is too large for one packet is
// lost, and a refused datagram stays unanswered.
//
// The port is closed with the world. Inlet needs a world in real time: in a synctest
// bubble it fails the test, as do another network and a malformed address.
func (h *Host) Inlet(network, address string) netip.AddrPort {
	w := h.world
	w.tb.Helper()
	h.checkBridge("Inlet", network, address)
	b := &bridge{host: h, network: network, idle: bridgeIdle, dial: func(ctx context.Context) (net.Conn, error) {
		return h.DialContext(ctx, network, address)
	}}
	local, err := b.openKernel()
	if err != nil {
		w.tb.Fatalf("netfake: host %s: Inlet: %v", h.name, err)
	}
	return local
}

// Lend lends a real service to the world, a database for instance, as a port of h.
// Network and address are those of h.Listen and h.ListenPacket, such as "tcp" and
// ":5432"; service is the real address, such as "127.0.0.1:5432". Each connection to
// the port becomes a connection of the machine to the service.
//
// What Inlet says holds the other way round: a host in the world is connected before the
// service has been asked, and sees a reset if it is not there. It need not be there yet
// when it is lent. A world in a synctest bubble, an address that cannot be listened at,
// and a malformed service fail the test.
func (h *Host) Lend(network, address, service string) {
	w := h.world
	w.tb.Helper()
	h.checkBridge("Lend", network, service)
	b := &bridge{host: h, network: network, idle: bridgeIdle, dial: func(ctx context.Context) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, network, service)
	}}
	if err := b.openHost(address); err != nil {
		w.tb.Fatalf("netfake: host %s: Lend: %v", h.name, err)
	}
}

// checkBridge fails the test where there can be no bridge to an address.
func (h *Host) checkBridge(method, network, address string) {
	w := h.world
	w.tb.Helper()
	if w.bubble != "" {
		w.tb.Fatalf("netfake: host %s: %s needs a world in real time, made by New outside of a synctest bubble: "+
			"real programs do not live in virtual time", h.name, method)
	}
	if network != "tcp" && network != "udp" {
		w.tb.Fatalf("netfake: host %s: %s: network %q is neither tcp nor udp", h.name, method, network)
	}
	_, port, err := net.SplitHostPort(address)
	if err == nil {
		_, err = parsePort(network, port)
	}
	if err != nil {
		w.tb.Fatalf("netfake: host %s: %s: %v", h.name, method, err)
	}
}

// bridge takes connections or datagrams on one side, and opens a connection on the other
// for each of them. It does not care which side is the real one.
type bridge struct {
	host    *Host
	network string
	dial    func(ctx context.Context) (net.Conn, error)
	idle    time.Duration // after which a UDP conversation is over
}

// openKernel opens the machine's side of an inlet.
func (b *bridge) openKernel() (netip.AddrPort, error) {
	w := b.host.world
	if b.network == "udp" {
		in, err := net.ListenUDP("udp4", &net.UDPAddr{IP: loopback.AsSlice()})
		if err != nil {
			return netip.AddrPort{}, err
		}
		w.OnClose(func() { in.Close() })
		w.Go(func(ctx context.Context) { b.relay(ctx, in) })
		return in.LocalAddr().(*net.UDPAddr).AddrPort(), nil
	}
	in, err := net.ListenTCP("tcp4", &net.TCPAddr{IP: loopback.AsSlice()})
	if err != nil {
		return netip.AddrPort{}, err
	}
	w.OnClose(func() { in.Close() })
	w.Go(func(ctx context.Context) { b.accept(ctx, in) })
	return in.Addr().(*net.TCPAddr).AddrPort(), nil
}

// openHost opens the host's side of a service that is lent. The socket is closed with
// the world, as all of its are.
func (b *bridge) openHost(address string) error {
	w := b.host.world
	if b.network == "udp" {
		in, err := b.host.listenUDP("udp", address)
		if err == nil {
			w.Go(func(ctx context.Context) { b.relay(ctx, in) })
		}
		return err
	}
	in, err := b.host.listen("tcp", address)
	if err == nil {
		w.Go(func(ctx context.Context) { b.accept(ctx, in) })
	}
	return err
}

// stream is what *net.TCPConn and *TCPConn have in common.
type stream interface {
	net.Conn
	CloseWrite() error
	SetLinger(sec int) error
}

// accept carries connections until the listener is closed.
func (b *bridge) accept(ctx context.Context, l net.Listener) {
	var group sync.WaitGroup
	defer group.Wait()
	for {
		in, err := l.Accept()
		if err != nil {
			if !errors.Is(err, net.ErrClosed) {
				b.host.world.tb.Errorf("netfake: host %s: bridge: %v", b.host.name, err)
			}
			return
		}
		group.Go(func() { b.connect(ctx, in.(stream)) })
	}
}

// connect carries one connection to its end.
func (b *bridge) connect(ctx context.Context, in stream) {
	out, err := b.dial(ctx)
	if err != nil {
		b.explain(ctx, err)
		reset(in)
		return
	}
	join(ctx, in, out.(stream))
}

// explain logs why the other side could not be reached, unless the world is at its end.
func (b *bridge) explain(ctx context.Context, err error) {
	if ctx.Err() == nil {
		b.host.world.tb.Logf("netfake: host %s: bridge: %v", b.host.name, err)
	}
}

// join carries bytes in both directions until both have ended. An error in either, or
// the world's end, resets both connections.
func join(ctx context.Context, a, b stream) {
	ended := make(chan error, 2)
	go func() { ended <- carry(a, b) }()
	go func() { ended <- carry(b, a) }()
	over := ctx.Done()
	for left := 2; left > 0; {
		select {
		case err := <-ended:
			left--
			if err == nil {
				continue
			}
		case <-over:
			over = nil
		}
		reset(a)
		reset(b)
	}
	a.Close()
	b.Close()
}

// carry carries bytes in one direction, and at their end the FIN.
func carry(to, from stream) error {
	_, err := io.Copy(to, from)
	if err == nil {
		to.CloseWrite()
	}
	return err
}

// reset ends a connection so that its other end sees it reset.
func reset(c stream) {
	c.SetLinger(0)
	c.Close()
}

// datagramSocket is what *net.UDPConn and *UDPConn have in common.
type datagramSocket interface {
	ReadFromUDPAddrPort(b []byte) (int, netip.AddrPort, error)
	WriteToUDPAddrPort(b []byte, to netip.AddrPort) (int, error)
}

// relay carries datagrams until the socket is closed. Each source has a conversation, and
// with it a socket on the other side.
func (b *bridge) relay(ctx context.Context, in datagramSocket) {
	var group sync.WaitGroup
	defer group.Wait()
	var mu sync.Mutex
	sources := map[netip.AddrPort]chan []byte{}
	buf := make([]byte, 1<<16)
	for {
		n, from, err := in.ReadFromUDPAddrPort(buf)
		if err != nil {
			return
		}
		mu.Lock()
		queue := sources[from]
		if queue == nil {
			queue = make(chan []byte, bridgeQueue)
			sources[from] = queue
			group.Go(func() {
				b.converse(ctx, queue, func(answer []byte) { in.WriteToUDPAddrPort(answer, from) })
				mu.Lock()
				delete(sources, from)
				mu.Unlock()
			})
		}
		select {
		case queue <- bytes.Clone(buf[:n]):
		default: // lost, as in any full buffer
		}
		mu.Unlock()
	}
}

// converse carries the datagrams of one source, and the answers to them, until it has
// been silent for long enough.
func (b *bridge) converse(ctx context.Context, queue <-chan []byte, answer func([]byte)) {
	out, err := b.dial(ctx)
	if err != nil {
		b.explain(ctx, err)
		return
	}
	defer out.Close()
	silent := make(chan struct{})
	go func() {
		defer close(silent)
		b.answers(out, answer)
	}()
	over := ctx.Done()
	for {
		select {
		case datagram := <-queue:
			out.SetReadDeadline(time.Now().Add(b.idle))
			out.Write(datagram)
		case <-over:
			over = nil
			out.Close()
		case <-silent:
			return
		}
	}
}

// answers carries what comes back until nothing does.
func (b *bridge) answers(out net.Conn, answer func([]byte)) {
	buf := make([]byte, 1<<16)
	for {
		out.SetReadDeadline(time.Now().Add(b.idle))
		n, err := out.Read(buf)
		switch {
		case err == nil:
			answer(buf[:n])
		case !errors.Is(err, syscall.ECONNREFUSED): // which the next datagram need not be
			return
		}
	}
}
