package lbfake

import (
	"context"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"github.com/netspec-go/netspec/netfake"
)

// node is a load balancer's machine in one zone. It takes clients' connections at its
// address, makes its own to targets and checks their health, each by itself.
type node struct {
	balancer  *ApplicationLoadBalancer
	zone      string
	host      *netfake.Host
	addr      netip.Addr      // which DNS gives to clients
	transport *http.Transport // to targets
	checker   *http.Transport // for health checks
}

// newNode makes a host into a node.
func newNode(b *ApplicationLoadBalancer, zone string, h *netfake.Host, addr netip.Addr) *node {
	n := &node{balancer: b, zone: zone, host: h, addr: addr}
	n.transport = &http.Transport{
		DialContext:            n.dial,
		DisableCompression:     true,
		MaxIdleConnsPerHost:    maxPooled,
		MaxResponseHeaderBytes: maxResponseHeader,
	}
	n.checker = &http.Transport{DialContext: h.DialContext, DisableKeepAlives: true, DisableCompression: true}
	b.world.OnClose(n.transport.CloseIdleConnections)
	return n
}

// maxPooled is how many idle connections a node keeps to one target. It is a number of
// the model: as many as a test is likely to use at once.
const maxPooled = 1024

// dial connects to a target. The connection ends when it has been silent for the idle
// timeout.
func (n *node) dial(ctx context.Context, network, address string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, ConnectTimeout)
	defer cancel()
	c, err := n.host.DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	idle := &idleConn{Conn: c, timeout: n.balancer.attributes.IdleTimeout}
	idle.touch()
	return idle, nil
}

// idleConn is a connection whose reads fail once nothing has been read or written for
// a time.
type idleConn struct {
	net.Conn
	timeout time.Duration
}

func (c *idleConn) touch() { c.SetReadDeadline(time.Now().Add(c.timeout)) }

// Read reads and, if something came, starts the time anew.
func (c *idleConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if n > 0 {
		c.touch()
	}
	return n, err
}

// Write starts the time anew and writes.
func (c *idleConn) Write(b []byte) (int, error) {
	c.touch()
	return c.Conn.Write(b)
}

// clientConn is what a node knows of a client's connection.
type clientConn struct {
	ordinal uint64 // among the connections that the listener's node has accepted
	began   time.Time

	mu       sync.Mutex
	requests uint64
	sent     map[*TargetGroup]uint64 // how many requests of the connection went where
}

// request numbers a request of the connection, from 1.
func (c *clientConn) request() uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.requests++
	return c.requests
}

// turn returns the turn of the connection's next request to a group. Connections take
// turns in the order in which they were accepted, and so do the requests of each. A
// turn is made of these numbers alone and not of a counter that all requests share, so
// that requests of one instant do not race for it.
func (c *clientConn) turn(g *TargetGroup) uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	turn := c.ordinal + c.sent[g]
	c.sent[g]++
	return turn
}

// connKey is where a request's context has its *clientConn.
type connKey struct{}

// serve opens a listener's port at the node.
func (n *node) serve(l *Listener) error {
	accept, err := n.host.Listen("tcp", portAddress(l.port))
	if err != nil {
		return err
	}
	var accepted uint64 // touched by the goroutine that accepts alone
	first := keyed(n.balancer.world.Seed(), "round robin", n.balancer.name, n.zone)
	server := &http.Server{
		Handler:           http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { n.handle(l, w, r) }),
		IdleTimeout:       n.balancer.attributes.IdleTimeout,
		ReadHeaderTimeout: n.balancer.attributes.IdleTimeout,
		ErrorLog:          discardLog(),
		ConnContext: func(ctx context.Context, _ net.Conn) context.Context {
			accepted++
			return context.WithValue(ctx, connKey{}, &clientConn{
				ordinal: first%1024 + accepted, began: time.Now(), sent: map[*TargetGroup]uint64{},
			})
		},
	}
	l.servers = append(l.servers, server)
	n.balancer.world.Serve(server, l.wrap(accept))
	return nil
}
