// A WebSocket begins as a request to an http.Server, which then hands the bare
// connection over. The tests of coder/websocket exchange messages, large and compressed
// ones too, ping in both directions, and notice a peer that is gone.

package interop_test

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/netspec-go/netspec/assert"
	"github.com/netspec-go/netspec/netfake"
)

// echoMessages is a handler that sends every message back until the peer closes.
func echoMessages(rw http.ResponseWriter, r *http.Request) {
	c, err := websocket.Accept(rw, r, &websocket.AcceptOptions{CompressionMode: websocket.CompressionContextTakeover})
	if err != nil {
		return
	}
	defer c.CloseNow()
	c.SetReadLimit(-1)
	for {
		kind, message, err := c.Read(r.Context())
		if err != nil || c.Write(r.Context(), kind, message) != nil {
			return
		}
	}
}

// newWebSocket builds a pair with a server of echoMessages, and returns a connection to
// it.
func newWebSocket(t *testing.T, w *netfake.World) (pair, *websocket.Conn) {
	t.Helper()
	p := newPair(w, "tcp/80")
	p.server.ServeHTTP(":80", http.HandlerFunc(echoMessages))
	c, _, err := websocket.Dial(t.Context(), "ws://"+p.address("80")+"/echo", &websocket.DialOptions{
		HTTPClient:      p.client.HTTPClient(),
		CompressionMode: websocket.CompressionContextTakeover,
	})
	must(t, err)
	c.SetReadLimit(-1)
	t.Cleanup(func() { c.CloseNow() })
	return p, c
}

// exchange sends a message and requires it back.
func exchange(t *testing.T, c *websocket.Conn, message []byte) {
	t.Helper()
	must(t, c.Write(t.Context(), websocket.MessageBinary, message))
	_, got, err := c.Read(t.Context())
	must(t, err)
	if !bytes.Equal(got, message) {
		t.Errorf("a message of %d bytes came back as one of %d other bytes", len(message), len(got))
	}
}

func TestWebSocketMessages(t *testing.T) { netfake.Run(t, testWebSocketMessages) }

func testWebSocketMessages(t *testing.T, w *netfake.World) {
	p, c := newWebSocket(t, w)
	took(t, "connecting and changing to WebSocket", w, 0, 2*rtt)
	start := w.Now()
	exchange(t, c, []byte("hello"))
	took(t, "a message and its echo", w, start, rtt)

	p.link.SetLoss(0.02)
	random := make([]byte, 1<<20)
	source := w.Rand("message")
	for i := range random {
		random[i] = byte(source.Uint32())
	}
	exchange(t, c, random)
	exchange(t, c, make([]byte, 1<<20))
	assert.Bit(t, p.link)
}

func TestWebSocketClose(t *testing.T) { netfake.Run(t, testWebSocketClose) }

func testWebSocketClose(t *testing.T, w *netfake.World) {
	_, c := newWebSocket(t, w)
	start := w.Now()
	must(t, c.Close(websocket.StatusGoingAway, "enough"))
	took(t, "the closing handshake", w, start, rtt)
	_, _, err := c.Read(t.Context())
	assert.Equal(t, err != nil, true)
}

// A ping takes a round trip; where the link is cut it takes until its context ends.
func TestWebSocketPing(t *testing.T) { netfake.Run(t, testWebSocketPing) }

func testWebSocketPing(t *testing.T, w *netfake.World) {
	p, c := newWebSocket(t, w)
	c.CloseRead(t.Context()) // reads the pongs
	start := w.Now()
	must(t, c.Ping(t.Context()))
	took(t, "a ping", w, start, rtt)

	p.link.Partition()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	start = w.Now()
	if err := c.Ping(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v, want the context's deadline", err)
	}
	took(t, "a ping into a cut", w, start, 5*time.Second)
	assert.Bit(t, p.link)
}
