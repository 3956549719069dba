package netfake

import (
	"context"
	"errors"
	"net"
	"net/netip"
)

// DialContext connects to an address: "tcp", "tcp4", "udp" or "udp4", and "name:port"
// or "10.0.0.5:443". Names are resolved by the host's own stub resolver, and their
// addresses are tried in turn. Errors are those of net: a closed port gives
// ECONNREFUSED at once, silence gives ctx's error or, after two minutes, ETIMEDOUT.
func (h *Host) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	d := Dialer{Host: h}
	return d.DialContext(ctx, network, address)
}

// Dial is DialContext with the background context.
func (h *Host) Dial(network, address string) (net.Conn, error) {
	return h.DialContext(context.Background(), network, address)
}

// Dialer connects from a host, with a local address of the caller's choice.
type Dialer struct {
	Host  *Host
	Local netip.AddrPort // where to connect from; a zero address or port is chosen
}

// DialContext is Host.DialContext from the dialer's local address.
func (d *Dialer) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	if network != "tcp" && network != "tcp4" && network != "udp" && network != "udp4" {
		return nil, dialError(network, nil, net.UnknownNetworkError(network))
	}
	if address == "" {
		return nil, dialError(network, nil, errMissingAddress)
	}
	peers, err := d.Host.resolve(ctx, network, address)
	if err != nil {
		return nil, dialError(network, nil, err)
	}
	var first error
	for _, peer := range peers {
		c, err := d.dial(ctx, network, peer)
		if err == nil {
			return c, nil
		}
		if first == nil {
			first = err
		}
		if ctx.Err() != nil {
			break
		}
	}
	return nil, first
}

func (d *Dialer) dial(ctx context.Context, network string, peer netip.AddrPort) (net.Conn, error) {
	if network[:3] == "udp" {
		if err := ctx.Err(); err != nil {
			return nil, d.failed(network, net.UDPAddrFromAddrPort(peer), contextError(err))
		}
		u, err := d.Host.dialUDP(network, peer, d.Local)
		if err != nil {
			return nil, d.failed(network, net.UDPAddrFromAddrPort(peer), err)
		}
		return u, nil
	}
	c, err := d.dialTCP(ctx, network, peer)
	if err != nil {
		return nil, d.failed(network, net.TCPAddrFromAddrPort(peer), err)
	}
	return c, nil
}

// failed is dialError with the local address that was asked for.
func (d *Dialer) failed(network string, peer net.Addr, err error) error {
	if !d.Local.IsValid() {
		return dialError(network, peer, err)
	}
	var local net.Addr = net.TCPAddrFromAddrPort(d.Local)
	if network[:3] == "udp" {
		local = net.UDPAddrFromAddrPort(d.Local)
	}
	return &net.OpError{Op: "dial", Net: network, Source: local, Addr: peer, Err: err}
}

func (d *Dialer) dialTCP(ctx context.Context, network string, peer netip.AddrPort) (*TCPConn, error) {
	w := d.Host.world
	if err := ctx.Err(); err != nil {
		return nil, contextError(err)
	}
	wait := &dialWait{}
	if ctx.Done() != nil {
		stop := context.AfterFunc(ctx, func() {
			w.lock()
			wait.err = contextError(ctx.Err())
			if wait.cond != nil {
				w.wake(wait.cond)
			}
			w.unlock()
		})
		defer stop()
	}
	return d.Host.dialTCP(network, peer, d.Local, wait)
}

// contextError turns a context's error into the one that net gives.
func contextError(err error) error {
	if errors.Is(err, context.DeadlineExceeded) {
		return timeoutError{}
	}
	return errCanceled
}

var errCanceled = canceledError{}

// canceledError and timeoutError say what net's own, unexported, errors say.
type canceledError struct{}

func (canceledError) Error() string        { return "operation was canceled" }
func (canceledError) Is(target error) bool { return target == context.Canceled }

type timeoutError struct{}

func (timeoutError) Error() string        { return "i/o timeout" }
func (timeoutError) Timeout() bool        { return true }
func (timeoutError) Temporary() bool      { return true }
func (timeoutError) Is(target error) bool { return target == context.DeadlineExceeded }

func dialError(network string, addr net.Addr, err error) error {
	return &net.OpError{Op: "dial", Net: network, Addr: addr, Err: err}
}

// resolve turns "name:port" into addresses.
func (h *Host) resolve(ctx context.Context, network, address string) ([]netip.AddrPort, error) {
	name, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	number, err := parsePort(network, port)
	if err != nil {
		return nil, err
	}
	if name == "" {
		name = "localhost"
	}
	addrs, err := h.LookupNetIP(ctx, "ip4", name)
	if err != nil {
		return nil, err
	}
	peers := make([]netip.AddrPort, len(addrs))
	for i, a := range addrs {
		if a.IsUnspecified() { // as with Linux, this host
			a = loopback
		}
		peers[i] = netip.AddrPortFrom(a, number)
	}
	return peers, nil
}
