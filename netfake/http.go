package netfake

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"log"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/netspec-go/netspec/internal/http2"
)

// Transport returns a new HTTP transport that dials from the host, resolves names
// through its resolvers and trusts the world's certificate authorities as they are
// now. Otherwise it is as http.DefaultTransport, but for a proxy: a dial takes 30 s at most
// and a TLS handshake 10 s, an idle connection is closed after 90 s and probed every 30 s
// unless Config.KeepAlive says something else, and HTTP/2 is spoken where a server offers
// it over TLS. It closes with the world.
func (h *Host) Transport() *http.Transport {
	dialer := &Dialer{Host: h, Timeout: 30 * time.Second, KeepAlive: cmp.Or(h.world.cfg.KeepAlive, 30*time.Second)}
	t := &http.Transport{
		DialContext:           dialer.DialContext,
		TLSClientConfig:       h.TLSConfig(),
		ForceAttemptHTTP2:     true,
		MaxIdleConns:          100,
		IdleConnTimeout:       90 * time.Second,
		TLSHandshakeTimeout:   10 * time.Second,
		ExpectContinueTimeout: time.Second,
	}
	h.world.OnClose(t.CloseIdleConnections)
	return t
}

// TLSConfig returns a client's configuration that trusts the world's certificate
// authorities and reads the world's clock.
func (h *Host) TLSConfig() *tls.Config {
	return &tls.Config{RootCAs: h.world.RootCAs()}
}

// HTTPClient returns a new client with a Transport of its own, which is no *http.Transport:
// see Host.Transport for one to configure. Its requests end with the world, even where a
// response's body was never closed. In virtual time a Timeout is noticed at the very instant
// at which it is over, and the error lacks what net/http adds to one that is noticed later,
// "(Client.Timeout exceeded while awaiting headers)": look at Timeout() or errors.Is.
func (h *Host) HTTPClient() *http.Client {
	ctx, cancel := context.WithCancel(context.Background())
	h.world.OnClose(cancel)
	return &http.Client{Transport: &http2.Transport{Base: h.Transport(), Life: ctx}}
}

// ServeHTTP serves handler at an address such as ":80" until the world closes or the
// server is closed. An address that cannot be listened at fails the test. A handler that
// panics ends its connection, as with any http.Server, and the test's log says where.
func (h *Host) ServeHTTP(addr string, handler http.Handler) *http.Server {
	h.world.tb.Helper()
	return h.serve(h.listenOrFail(addr), handler)
}

// ServeTLS is ServeHTTP over TLS with a certificate.
func (h *Host) ServeTLS(addr string, handler http.Handler, cert tls.Certificate) *http.Server {
	h.world.tb.Helper()
	l := h.listenOrFail(addr)
	cfg := &tls.Config{Certificates: []tls.Certificate{cert}, NextProtos: []string{"h2", "http/1.1"}}
	return h.serve(tls.NewListener(l, cfg), handler)
}

// listenOrFail opens a server's port, or fails the test and says what is in the way.
func (h *Host) listenOrFail(addr string) net.Listener {
	h.world.tb.Helper()
	l, err := h.Listen("tcp", addr)
	if err != nil {
		h.world.tb.Fatalf("netfake: host %s: %v%s", h.name, err, h.whyClosed())
	}
	return l
}

// whyClosed says why no socket can be opened, "" if one can.
func (h *Host) whyClosed() string {
	h.world.lock()
	defer h.world.unlock()
	switch {
	case h.world.closed:
		return ": the world is closed"
	case len(h.crashes) > 0:
		return ": it has crashed, see Host.Restart"
	case h.closed():
		return ": it is switched off or has yet to boot, see InstanceConfig.OnBoot of an instance"
	}
	return ""
}

func (h *Host) serve(l net.Listener, handler http.Handler) *http.Server {
	s := &http.Server{Handler: handler, ErrorLog: log.New(serverLog{h}, "", 0)}
	h.world.Serve(s, l)
	return s
}

// serverLog writes what a server complains of, a handler's panic for instance, to the
// test's log.
type serverLog struct{ host *Host }

func (l serverLog) Write(b []byte) (int, error) {
	w := l.host.world
	w.handlers.enter() // the test does not end meanwhile
	defer w.handlers.leave()
	w.lock()
	over := w.closed
	w.unlock()
	if !over {
		w.tb.Logf("netfake: host %s: %s", l.host.name, bytes.TrimSpace(b))
	}
	return len(b), nil
}

// Serve runs an HTTP server on a listener until the world closes. For a server of
// one's own configuration; Host.ServeHTTP is the short way. Close waits for handlers
// that are still at work.
//
// A server may have several listeners, each with a Serve of its own.
func (w *World) Serve(s *http.Server, l net.Listener) {
	w.tb.Helper()
	if s == nil || l == nil {
		w.tb.Fatalf("netfake: Serve needs a server and a listener")
	}
	if _, ok := s.Handler.(*attended); !ok {
		s.Handler = &attended{w, s.Handler}
	}
	var once sync.Once
	w.OnClose(func() { once.Do(func() { s.Close() }) })
	w.running.Go(func() { s.Serve(l) })
}

// attended is a handler whose world knows when it is at work.
type attended struct {
	world   *World
	handler http.Handler // nil: http.DefaultServeMux
}

// ServeHTTP serves a request.
func (a *attended) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	a.world.handlers.enter()
	defer a.world.handlers.leave()
	if a.handler == nil {
		http.DefaultServeMux.ServeHTTP(rw, r)
		return
	}
	a.handler.ServeHTTP(rw, r)
}

// presence counts those who are inside, and lets wait for none to be.
type presence struct {
	mu      sync.Mutex
	changed sync.Cond
	inside  int
}

func (p *presence) enter() {
	p.mu.Lock()
	p.inside++
	p.mu.Unlock()
}

func (p *presence) leave() {
	p.mu.Lock()
	p.inside--
	p.mu.Unlock()
	p.changed.Broadcast()
}

func (p *presence) wait() {
	p.mu.Lock()
	for p.inside > 0 {
		p.changed.Wait()
	}
	p.mu.Unlock()
}
