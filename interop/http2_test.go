// golang.org/x/net/http2 is the HTTP/2 that people configure by hand: without TLS, with
// pings of its own, with limits on streams. The tests run it in the clear with prior
// knowledge and over TLS, many streams at once, and let its pings find a dead link.

//lint:file-ignore SA1019 deprecated in favour of net/http, and what many programs still have

package interop_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/http2"

	"github.com/netspec-go/netspec/assert"
	"github.com/netspec-go/netspec/netfake"
)

// tellProto answers with the protocol of the request after reading its body; at /slow
// it never answers.
func tellProto(rw http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/slow" {
		<-r.Context().Done()
		return
	}
	n, _ := io.Copy(io.Discard, r.Body)
	fmt.Fprint(rw, r.Proto, " ", n)
}

// newClear builds a pair whose server speaks HTTP/2 without TLS, and returns a client
// that knows.
func newClear(t *testing.T, w *netfake.World) (pair, *http.Client) {
	t.Helper()
	p := newPair(w, "tcp/80")
	serveClear(t, p.listen(t, ":80"))
	transport := &http2.Transport{
		AllowHTTP: true,
		DialTLSContext: func(ctx context.Context, network, address string, _ *tls.Config) (net.Conn, error) {
			return p.client.DialContext(ctx, network, address)
		},
		ReadIdleTimeout: 30 * time.Second,
		PingTimeout:     15 * time.Second,
	}
	t.Cleanup(transport.CloseIdleConnections)
	return p, &http.Client{Transport: transport}
}

func serveClear(t *testing.T, l net.Listener) {
	t.Helper()
	base, server := &http.Server{Handler: http.HandlerFunc(tellProto)}, &http2.Server{}
	must(t, http2.ConfigureServer(base, server))
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go server.ServeConn(c, &http2.ServeConnOpts{BaseConfig: base})
		}
	}()
}

// get requires that a GET of url is answered with want.
func get(t *testing.T, c *http.Client, url, want string) {
	t.Helper()
	resp, err := c.Get(url)
	must(t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	must(t, err)
	assert.Equal(t, string(body), want)
}

func TestHTTP2Clear(t *testing.T) { netfake.Run(t, testHTTP2Clear) }

func testHTTP2Clear(t *testing.T, w *netfake.World) {
	p, c := newClear(t, w)
	// With prior knowledge nothing is negotiated: the request follows the handshake at once.
	get(t, c, "http://"+p.address("80"), "HTTP/2.0 0")
	took(t, "the first request", w, 0, 2*rtt)
	start := w.Now()
	get(t, c, "http://"+p.address("80"), "HTTP/2.0 0")
	took(t, "another on its connection", w, start, rtt)
}

func TestHTTP2TLS(t *testing.T) { netfake.Run(t, testHTTP2TLS) }

func testHTTP2TLS(t *testing.T, w *netfake.World) {
	p := newPair(w, "tcp/443")
	server := &http.Server{
		Handler:   http.HandlerFunc(tellProto),
		TLSConfig: &tls.Config{Certificates: []tls.Certificate{p.certificate(t, w)}},
	}
	must(t, http2.ConfigureServer(server, &http2.Server{MaxConcurrentStreams: 10}))
	w.Serve(server, tls.NewListener(p.listen(t, ":443"), server.TLSConfig))

	transport := &http.Transport{DialContext: p.client.DialContext, TLSClientConfig: p.client.TLSConfig()}
	must(t, http2.ConfigureTransport(transport))
	t.Cleanup(transport.CloseIdleConnections)
	get(t, &http.Client{Transport: transport}, "https://"+p.address("443"), "HTTP/2.0 0")
	took(t, "TCP, TLS 1.3 and the request", w, 0, 3*rtt)
}

// Fifty uploads share one connection through loss, and each arrives whole.
func TestHTTP2Uploads(t *testing.T) { netfake.Run(t, testHTTP2Uploads) }

func testHTTP2Uploads(t *testing.T, w *netfake.World) {
	p, c := newClear(t, w)
	get(t, c, "http://"+p.address("80"), "HTTP/2.0 0")
	p.link.SetLoss(0.02)
	var uploads sync.WaitGroup
	for i := range 50 {
		uploads.Go(func() {
			size := 10_000 * (i + 1)
			resp, err := c.Post("http://"+p.address("80"), "", io.LimitReader(zeros{}, int64(size)))
			if err != nil {
				t.Error(err)
				return
			}
			defer resp.Body.Close()
			body, _ := io.ReadAll(resp.Body)
			assert.Equal(t, string(body), fmt.Sprint("HTTP/2.0 ", size))
		})
	}
	uploads.Wait()
	assert.Bit(t, p.link)
}

// zeros is an endless reader of zeros.
type zeros struct{}

func (zeros) Read(b []byte) (int, error) {
	clear(b)
	return len(b), nil
}

// A request that hangs on a connection whose link was cut fails when the transport's
// ping, sent after 30 s of silence, has gone unanswered for 15 s; one that hangs at a
// server that is only slow does not.
func TestHTTP2Ping(t *testing.T) { netfake.Run(t, testHTTP2Ping) }

func testHTTP2Ping(t *testing.T, w *netfake.World) {
	p, c := newClear(t, w)
	get(t, c, "http://"+p.address("80"), "HTTP/2.0 0")
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	start := w.Now()
	if err := hang(ctx, c, p); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v, want the context's deadline", err)
	}
	took(t, "waiting for a slow server", w, start, 10*time.Minute)

	get(t, c, "http://"+p.address("80"), "HTTP/2.0 0")
	p.link.Partition()
	start = w.Now()
	assert.Equal(t, hang(t.Context(), c, p) != nil, true)
	took(t, "finding out", w, start, 45*time.Second)
	assert.Bit(t, p.link)
}

func hang(ctx context.Context, c *http.Client, p pair) error {
	r, err := http.NewRequestWithContext(ctx, "GET", "http://"+p.address("80")+"/slow", nil)
	if err != nil {
		return err
	}
	resp, err := c.Do(r)
	if err == nil {
		resp.Body.Close()
	}
	return err
}
