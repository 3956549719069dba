package lbfake

import (
	"context"
	"net/http"
	"net/netip"
	"strconv"
	"time"
)

// exchange is one request of a client at a node, until it is answered.
type exchange struct {
	node     *node
	listener *Listener
	conn     *clientConn
	w        http.ResponseWriter
	in       *http.Request
	record   Access
	entry    *Access // in the load balancer's log; guarded by its mutex
	trace    string  // the X-Amzn-Trace-Id that goes to the target
}

// handle serves a request that a client has sent to one of the node's listeners.
func (n *node) handle(l *Listener, w http.ResponseWriter, r *http.Request) {
	x := newExchange(n, l, w, r)
	defer x.publish()
	if time.Since(x.conn.began) >= n.balancer.attributes.ClientKeepAlive {
		w.Header().Set("Connection", "close")
	}
	switch {
	case r.Method == http.MethodTrace:
		x.refuse(http.StatusMethodNotAllowed, "TRACE is not allowed")
	case forwardedCount(r.Header[headerFor]) > MaxForwardedFor:
		x.refuse(statusForwardedFor, "X-Forwarded-For has more than "+strconv.Itoa(MaxForwardedFor)+" addresses")
	default:
		rule := route(l.snapshot(), r)
		x.record.Rule, x.record.Action = rule.String(), rule.action.kind()
		x.record.Priority = rule.priority
		rule.action.perform(x)
	}
}

func newExchange(n *node, l *Listener, w http.ResponseWriter, r *http.Request) *exchange {
	x := &exchange{node: n, listener: l, w: w, in: r}
	x.conn, _ = r.Context().Value(connKey{}).(*clientConn)
	client, _ := netip.ParseAddrPort(r.RemoteAddr)
	number := x.conn.request()
	x.trace = traceHeader(r.Header.Get(headerTrace), x.traceField(client, number))
	x.record = Access{
		Created: n.balancer.world.Now(), Node: n.zone, Client: client, Listener: l.String(),
		Type: accessType(l, r), Method: r.Method, URL: accessURL(l, r), Proto: r.Proto,
		UserAgent: r.UserAgent(), TraceID: x.trace, Priority: -1, number: number,
	}
	if r.TLS != nil {
		x.record.ServerName = r.TLS.ServerName
	}
	return x
}

// traceField makes the request's own field of its trace header, out of the seed, the
// client's connection and the request's number in it.
func (x *exchange) traceField(client netip.AddrPort, number uint64) string {
	b := x.node.balancer
	words := []string{b.name, x.node.zone, client.String(), strconv.FormatUint(number, 10), x.conn.began.String()}
	seed := b.world.Seed()
	return traceField(time.Now(), keyed(seed, append(words, "high")...), keyed(seed, append(words, "low")...))
}

// refuse answers with a page of the load balancer's own, for a reason that the access
// log tells.
func (x *exchange) refuse(status int, reason string) {
	x.record.Reason = reason
	x.answer(status)
	writePage(x.w, status)
}

// answer notes the status that the client is about to get, so that it is in the log
// when the client has it.
func (x *exchange) answer(status int) {
	x.record.Status = status
	x.publish()
}

// publish brings the access log up to date with the exchange.
func (x *exchange) publish() {
	b := x.node.balancer
	x.record.Time = b.world.Now()
	b.mu.Lock()
	defer b.mu.Unlock()
	if x.entry == nil {
		x.entry = &Access{}
		b.log = append(b.log, x.entry)
	}
	*x.entry = x.record
}

// forward hands the request to a target of a group, or says why there is none.
func (x *exchange) forward(g *TargetGroup) {
	ctx, cancel := context.WithCancelCause(x.in.Context())
	defer cancel(nil)
	x.record.Group = g.name
	f, why := g.send(x.node, x.conn.turn(g), cancel)
	if f == nil {
		x.refuse(http.StatusServiceUnavailable, g.String()+": "+why.String())
		return
	}
	defer f.land()
	x.record.Target, x.record.TargetName = f.target.addr, f.target.name
	if why == failOpen {
		x.record.Reason = why.String()
	}
	newLeg(x, f).run(ctx)
}
