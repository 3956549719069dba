package http2

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/url"
	"testing"
	"time"
)

// http.Client takes the transport for one that understands contexts: its Timeout is the
// deadline of the request's, and no Request.Cancel stands beside it.
func TestClientKnowsTransport(t *testing.T) {
	asked := errors.New("asked")
	for _, timeout := range []time.Duration{0, time.Hour} {
		base := &http.Transport{Proxy: func(r *http.Request) (*url.URL, error) {
			cancel := r.Cancel //lint:ignore SA1019 it must not be used
			if _, ok := r.Context().Deadline(); ok != (timeout > 0) || cancel != nil {
				t.Errorf("with a timeout of %v, a deadline: %v, Cancel: %v", timeout, ok, cancel)
			}
			return nil, asked
		}}
		c := &http.Client{Transport: &Transport{Base: base, Life: context.Background()}, Timeout: timeout}
		if _, err := c.Get("http://203.0.113.10/"); !errors.Is(err, asked) {
			t.Errorf("with a timeout of %v: %v", timeout, err)
		}
	}
}

// When the transport's life is over its requests are, too, unless their own context was
// before.
func TestEndOfLife(t *testing.T) {
	life, end := context.WithCancel(context.Background())
	over, cancel := context.WithCancel(context.Background())
	cancel()
	base := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		end()
		<-ctx.Done()
		return nil, ctx.Err()
	}}
	transport := &Transport{Base: base, Life: life}
	for _, row := range []struct {
		ctx  context.Context
		want error
	}{{context.Background(), net.ErrClosed}, {over, context.Canceled}} {
		r, err := http.NewRequestWithContext(row.ctx, "GET", "http://203.0.113.10/", nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := transport.RoundTrip(r); !errors.Is(err, row.want) {
			t.Errorf("got %v, want %v", err, row.want)
		}
	}
	transport.CloseIdleConnections()
}
