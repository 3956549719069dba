package lbfake

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httputil"
	"time"
)

// leg is the way of a request from a node to a target and back.
type leg struct {
	*exchange
	target *target
	ctx    context.Context
	body   *clientBody
	began  time.Time
}

func newLeg(x *exchange, f *flight) *leg {
	return &leg{exchange: x, target: f.target, began: time.Now()}
}

// run hands the request on and answers the client, with the target's response or with
// a page of the load balancer's own. If the response breaks off, so does the client's
// connection: ReverseProxy panics with http.ErrAbortHandler, which the server expects.
func (t *leg) run(ctx context.Context) {
	t.ctx = ctx
	control := http.NewResponseController(t.w)
	// Otherwise the server waits for a mutex before it sends a response to a request
	// whose body is still being read, and virtual time stands still.
	control.EnableFullDuplex()
	t.body = &clientBody{ReadCloser: t.in.Body, control: control, idle: t.node.balancer.attributes.IdleTimeout}
	defer t.broken()
	t.w.Header()["Content-Type"] = nil // the server is not to guess one

	r := t.in.WithContext(ctx)
	r.Body = t.body
	proxy := httputil.ReverseProxy{
		Rewrite:        t.rewrite,
		Transport:      t.node.transport,
		ModifyResponse: t.answered,
		ErrorHandler:   t.failed,
		FlushInterval:  -1, // a node does not wait for more before it passes on what came
		ErrorLog:       discardLog(),
	}
	proxy.ServeHTTP(headFirst{t.w}, r)
}

// headFirst sends the header of a response as soon as it is written. ReverseProxy would
// leave that to a timer, which races with the first bytes of the body for who goes in
// which segment.
type headFirst struct{ http.ResponseWriter }

// WriteHeader writes and sends the header.
func (h headFirst) WriteHeader(status int) {
	h.ResponseWriter.WriteHeader(status)
	http.NewResponseController(h.ResponseWriter).Flush()
}

// Unwrap lets a ResponseController reach the server's own writer.
func (h headFirst) Unwrap() http.ResponseWriter { return h.ResponseWriter }

// rewrite makes the client's request into the one that the target gets.
func (t *leg) rewrite(p *httputil.ProxyRequest) {
	b := t.node.balancer
	p.Out.URL.Scheme, p.Out.URL.Host = "http", t.target.addr.String()
	p.Out.URL.RawQuery = p.In.URL.RawQuery
	p.Out.Host = p.In.Host
	if !b.attributes.PreserveHost {
		p.Out.Host = hostHeader(p.In.Host, t.listener.port, b.dnsName)
	}
	peer := t.record.Client.Addr()
	xff := forwardedFor(b.attributes.XFF, p.In.Header[headerFor], peer)
	addHeaders(p.Out.Header, p.In.Header, xff, t.listener.protocol.scheme(), t.listener.port, t.trace)
	if p.Out.Body == nil && neverRetried(p.In.Method) {
		p.Out.Body = noBody{}
	}
}

// neverRetried reports whether a request is one that http.Transport would send again
// by itself when the target closes a connection under it. A load balancer does not,
// and answers with 502.
func neverRetried(method string) bool {
	return method == http.MethodGet || method == http.MethodHead || method == http.MethodOptions
}

// noBody is an empty body that http.Transport takes for one it cannot send twice.
type noBody struct{}

func (noBody) Read([]byte) (int, error) { return 0, io.EOF }
func (noBody) Close() error             { return nil }

// answered notes the target's response.
func (t *leg) answered(resp *http.Response) error {
	t.record.TargetStatus, t.record.TargetTime = resp.StatusCode, time.Since(t.began)
	t.answer(resp.StatusCode)
	return nil
}

// failed answers in the target's place.
func (t *leg) failed(_ http.ResponseWriter, _ *http.Request, err error) {
	status, reason := blame(err, t.ended(), t.body.state())
	t.record.Reason = t.about(reason)
	t.answer(status)
	if status == statusClientClosed {
		panic(http.ErrAbortHandler) // nobody is there to read an answer
	}
	writePage(t.w, status)
}

// broken notes that the response broke off while it was under way.
func (t *leg) broken() {
	v := recover()
	cause := t.ended()
	switch {
	case t.record.TargetStatus == 0: // told by failed
	case errors.Is(cause, errDrained):
		t.record.Reason = t.about(textDrained)
	case v != nil && cause != nil:
		t.record.Reason = t.about("the client closed before the whole response had come")
	case v != nil:
		t.record.Reason = t.about("the connection broke before the whole response had come")
	}
	if v != nil {
		panic(v)
	}
}

// ended returns why the request was given up, nil if it was not.
func (t *leg) ended() error { return context.Cause(t.ctx) }

// about puts the target in front of a reason.
func (t *leg) about(reason string) string {
	return t.target.name + " " + t.target.addr.String() + ": " + reason
}
