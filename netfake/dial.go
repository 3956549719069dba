package netfake

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"time"
)

// DialContext connects to an address such as "db.example.com:5432", "10.0.0.5:https" or
// "[2001:db8::5]:443", over "tcp", "udp", or one of them with a 4 or a 6. It is
// Dialer.DialContext with nothing set, and fits http.Transport.DialContext, the DialFunc
// of pgx and the Dialer of go-redis as it is.
func (h *Host) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	return h.dialer.DialContext(ctx, network, address)
}

// Dial is DialContext with the background context.
func (h *Host) Dial(network, address string) (net.Conn, error) {
	return h.DialContext(context.Background(), network, address)
}

// DialTCP is DialContext over "tcp", in the shape that grpc.WithContextDialer and
// mysql.RegisterDialContext take.
func (h *Host) DialTCP(ctx context.Context, address string) (net.Conn, error) {
	return h.DialContext(ctx, "tcp", address)
}

// Dialer returns a new dialer of the host, for a caller who wants to set its fields.
func (h *Host) Dialer() *Dialer { return &Dialer{Host: h} }

// Dialer connects from a host as a net.Dialer does from a machine. Besides Host, the zero
// value of each field is net.Dialer's default. A Dialer may be used by several goroutines.
type Dialer struct {
	// Host is who connects. Nobody can dial if it is nil.
	Host *Host

	// Timeout is how long a dial may take, name resolution included. 0 is as long as TCP
	// sends its SYN again: 127 s. It is divided among the addresses of a name.
	Timeout time.Duration

	// Deadline is when a dial fails. The zero time is never.
	Deadline time.Time

	// LocalAddr is where to connect from; a zero address or port is chosen.
	LocalAddr netip.AddrPort

	// FallbackDelay is how long the family of a name's first address is tried alone, when
	// the name has addresses of both (RFC 8305). 0 is 300 ms; less than 0 is to try all
	// addresses one after another.
	FallbackDelay time.Duration

	// KeepAlive is after how much silence a TCP connection asks the other end whether it
	// is still there. 0 is Config.KeepAlive; less than 0 is never. It is ignored if
	// KeepAliveConfig.Enable is true.
	KeepAlive time.Duration

	// KeepAliveConfig is what SetKeepAliveConfig sets on a new connection, if Enable is
	// true.
	KeepAliveConfig net.KeepAliveConfig

	// Lookup finds the addresses of names; nil is the host's own way.
	Lookup LookupFunc

	quiet bool // tells no httptrace.ClientTrace
}

var errNoHost = errors.New("netfake: the Dialer has no Host")

// defaultFallbackDelay is net.Dialer's. RFC 8305 recommends 250 ms.
const defaultFallbackDelay = 300 * time.Millisecond

// Dial is DialContext with the background context.
func (d *Dialer) Dial(network, address string) (net.Conn, error) {
	return d.DialContext(context.Background(), network, address)
}

// DialTCP is DialContext over "tcp", in the shape that grpc.WithContextDialer and
// mysql.RegisterDialContext take.
func (d *Dialer) DialTCP(ctx context.Context, address string) (net.Conn, error) {
	return d.DialContext(ctx, "tcp", address)
}

// DialContext connects to an address. The networks are "tcp" and "udp", and "tcp4",
// "tcp6", "udp4" and "udp6" for one family alone; a host that is empty or unspecified is
// the host itself. Names are resolved by Lookup; their addresses are tried in series, and
// where "tcp" finds both families the second races the first from FallbackDelay on.
//
// Errors are those of net, a *net.OpError around them: ECONNREFUSED for a port that
// is closed, ENETUNREACH where no interface leads to the address, ctx's error or the
// dialer's timeout for silence, or ETIMEDOUT after 127 s of it; a *net.DNSError for names.
// Of several addresses it is the error of the first. A ClientTrace of net/http/httptrace in
// ctx is told of the lookup and of each attempt. It panics if ctx is nil, as net does.
func (d *Dialer) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	needContext(ctx)
	if d.Host == nil {
		return nil, &net.OpError{Op: "dial", Net: network, Err: errNoHost}
	}
	if until := d.until(); !until.IsZero() {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, until)
		defer cancel()
	}
	waits := ctx.Done() == nil && d.trace(ctx).hooks == nil // for as long as it takes, and nobody watches
	if peer, ok := d.literal(network, address); ok && waits {
		return d.connect(network, peer)
	}
	peers, err := d.peers(ctx, network, address)
	if err != nil {
		return nil, &net.OpError{Op: "dial", Net: network, Err: err}
	}
	if isUDP(network) {
		return d.dialUDP(ctx, network, peers)
	}
	if len(peers) == 1 && waits {
		return d.connect(network, peers[0])
	}
	c, err := newRace(d, network, peers).run(ctx)
	if err != nil {
		return nil, err
	}
	return c, nil
}

// trace returns whom to tell of the attempts to connect.
func (d *Dialer) trace(ctx context.Context) dialTrace {
	if d.quiet {
		return dialTrace{}
	}
	return traceOf(ctx)
}

// until returns when a dial that begins now is over; the zero time if never.
func (d *Dialer) until() time.Time {
	if d.Timeout == 0 {
		return d.Deadline
	}
	until := time.Now().Add(d.Timeout)
	if !d.Deadline.IsZero() && d.Deadline.Before(until) {
		return d.Deadline
	}
	return until
}

// dialUDP opens a socket for the first address to which there is a way.
func (d *Dialer) dialUDP(ctx context.Context, network string, peers []netip.AddrPort) (net.Conn, error) {
	var first error
	for _, peer := range peers {
		if err := ctx.Err(); err != nil {
			return nil, d.opError(network, peer, contextError(err))
		}
		u, err := d.openUDP(ctx, network, peer)
		if err == nil {
			return u, nil
		}
		if first == nil {
			first = d.opError(network, peer, err)
		}
	}
	return nil, first
}

func (d *Dialer) openUDP(ctx context.Context, network string, peer netip.AddrPort) (*UDPConn, error) {
	trace := d.trace(ctx)
	trace.connectBegins(network, peer)
	u, err := d.Host.dialUDP(network, reach(network, peer), d.LocalAddr)
	if err != nil {
		trace.connectEnds(network, peer, d.opError(network, peer, err))
		return nil, err
	}
	trace.connectEnds(network, peer, nil)
	return u, nil
}

// opError says what became of the attempt to reach a peer.
func (d *Dialer) opError(network string, peer netip.AddrPort, err error) error {
	e := &net.OpError{Op: "dial", Net: network, Addr: netAddr(network, peer), Err: err}
	if d.LocalAddr != (netip.AddrPort{}) {
		e.Source = netAddr(network, d.LocalAddr)
	}
	return e
}

// contextError turns a context's error into the one that net gives, and leaves others as
// they are.
func contextError(err error) error {
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return timeoutError{}
	case errors.Is(err, context.Canceled):
		return canceledError{}
	}
	return err
}

// canceledError and timeoutError say what net's own, unexported, errors say.
type canceledError struct{}

func (canceledError) Error() string        { return "operation was canceled" }
func (canceledError) Is(target error) bool { return target == context.Canceled }

type timeoutError struct{}

func (timeoutError) Error() string        { return "i/o timeout" }
func (timeoutError) Timeout() bool        { return true }
func (timeoutError) Temporary() bool      { return true }
func (timeoutError) Is(target error) bool { return target == context.DeadlineExceeded }
