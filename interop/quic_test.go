// quic-go does in user space what TCP does in the kernel: its own loss recovery,
// congestion control, pacing and timers, over nothing but a packet connection. The tests
// speak HTTP/3 over two hosts' UDP sockets, through loss, and cut the link.

package interop_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"testing"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"

	"github.com/netspec-go/netspec/assert"
	"github.com/netspec-go/netspec/netfake"
)

// quicConfig is for both ends. A session that hears nothing for 20 s is over.
func quicConfig() *quic.Config {
	return &quic.Config{InitialPacketSize: 1200, MaxIdleTimeout: 20 * time.Second}
}

// newHTTP3 builds a pair whose server answers a request with its own body, and returns
// a client of it.
func newHTTP3(t *testing.T, w *netfake.World) (pair, *http.Client) {
	t.Helper()
	t.Setenv("QUIC_GO_DISABLE_RECEIVE_BUFFER_WARNING", "true") // there is no kernel's buffer to enlarge
	p := newPair(w, "udp/443")
	packets, err := p.server.ListenPacket("udp", ":443")
	must(t, err)
	server := &http3.Server{
		Handler:    http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) { io.Copy(rw, r.Body) }),
		TLSConfig:  http3.ConfigureTLSConfig(&tls.Config{Certificates: []tls.Certificate{p.certificate(t, w)}}),
		QUICConfig: quicConfig(),
	}
	go server.Serve(packets)
	t.Cleanup(func() { server.Close() })
	return p, &http.Client{Transport: newHTTP3Transport(t, p)}
}

func newHTTP3Transport(t *testing.T, p pair) *http3.Transport {
	t.Helper()
	packets, err := p.client.ListenPacket("udp", ":0")
	must(t, err)
	socket := &quic.Transport{Conn: packets}
	transport := &http3.Transport{
		TLSClientConfig: p.client.TLSConfig(),
		QUICConfig:      quicConfig(),
		Dial: func(ctx context.Context, address string, tc *tls.Config, qc *quic.Config) (*quic.Conn, error) {
			to, err := netip.ParseAddrPort(address)
			if err != nil {
				return nil, err
			}
			return socket.Dial(ctx, net.UDPAddrFromAddrPort(to), tc, qc)
		},
	}
	t.Cleanup(func() {
		transport.Close()
		socket.Close()
		packets.Close()
	})
	return transport
}

// echo posts body and requires it back.
func echo(t *testing.T, c *http.Client, url string, body []byte) {
	t.Helper()
	resp, err := c.Post(url, "application/octet-stream", bytes.NewReader(body))
	must(t, err)
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	must(t, err)
	if !bytes.Equal(got, body) {
		t.Errorf("%d bytes came back as %d other ones", len(body), len(got))
	}
}

func TestHTTP3(t *testing.T) { netfake.Run(t, testHTTP3) }

func testHTTP3(t *testing.T, w *netfake.World) {
	p, c := newHTTP3(t, w)
	start := w.Now()
	resp, err := c.Get("https://" + p.address("443"))
	must(t, err)
	resp.Body.Close()
	assert.Equal(t, resp.Proto, "HTTP/3.0")
	took(t, "handshake and request", w, start, 2*rtt)

	start = w.Now()
	echo(t, c, "https://"+p.address("443"), []byte("hello"))
	took(t, "a request on an open session", w, start, rtt)
}

func TestHTTP3ThroughLoss(t *testing.T) { netfake.Run(t, testHTTP3ThroughLoss) }

func testHTTP3ThroughLoss(t *testing.T, w *netfake.World) {
	p, c := newHTTP3(t, w)
	p.link.SetLoss(0.05)
	echo(t, c, "https://"+p.address("443"), pattern(1<<20))
	assert.Bit(t, p.link)
}

// A session whose link was cut ends when it has been idle for as long as both agreed,
// counted from the first packet that was sent into the silence (RFC 9000, 10.1).
func TestHTTP3IdleTimeout(t *testing.T) { netfake.Run(t, testHTTP3IdleTimeout) }

func testHTTP3IdleTimeout(t *testing.T, w *netfake.World) {
	p, c := newHTTP3(t, w)
	echo(t, c, "https://"+p.address("443"), []byte("hello"))
	w.Sleep(5 * time.Second)
	undo := p.link.Partition()
	start := w.Now()
	_, err := c.Get("https://" + p.address("443"))
	if !errors.As(err, new(*quic.IdleTimeoutError)) {
		t.Errorf("got %v, want an idle timeout", err)
	}
	took(t, "giving up", w, start, 20*time.Second)
	assert.Bit(t, p.link)

	undo.Undo()
	echo(t, c, "https://"+p.address("443"), []byte("hello again"))
}
