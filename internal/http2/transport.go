// Package http2 has an HTTP transport whose requests end when a context does.
//
// It is not about HTTP/2, and the name matters: http.Client looks at the name of the type of
// its RoundTripper to find out whether that understands contexts, and "*http2.Transport" is
// one of those that do (knownRoundTripperImpl in net/http's client.go). Of these it makes
// Client.Timeout a deadline of the request's context. Of others it sets Request.Cancel too,
// by a timer of its own, and which of the two timers goes off first, and with it the error,
// is left to chance.
package http2

import (
	"context"
	"io"
	"net"
	"net/http"
)

// Transport is a transport whose requests end with Life, even where a response's body was
// never closed. They fail with net.ErrClosed then.
type Transport struct {
	Base *http.Transport
	Life context.Context
}

// CloseIdleConnections closes those of the base.
func (t *Transport) CloseIdleConnections() { t.Base.CloseIdleConnections() }

// RoundTrip does a request.
func (t *Transport) RoundTrip(r *http.Request) (*http.Response, error) {
	ctx, cancel := context.WithCancel(r.Context())
	stop := context.AfterFunc(t.Life, cancel)
	end := func() { stop(); cancel() }
	resp, err := t.Base.RoundTrip(r.WithContext(ctx))
	if err != nil {
		end()
		if t.Life.Err() != nil && r.Context().Err() == nil {
			err = net.ErrClosed
		}
		return nil, err
	}
	resp.Request = r
	if resp.StatusCode != http.StatusSwitchingProtocols { // whose body is a connection
		resp.Body = &endingBody{resp.Body, end}
	}
	return resp, nil
}

// endingBody tells when a body is closed.
type endingBody struct {
	io.ReadCloser
	end func()
}

// Close closes the body.
func (b *endingBody) Close() error {
	defer b.end()
	return b.ReadCloser.Close()
}
