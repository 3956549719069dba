package netfake

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/netspec-go/netspec/internal/faketb"
)

// A client's Timeout ends a request at the exact time, always with the same error, and with
// the one that the transport by itself gives.
func TestClientTimeout(t *testing.T) {
	for _, row := range []struct {
		name   string
		client func(h *Host) *http.Client
	}{
		{"HTTPClient", (*Host).HTTPClient},
		{"Transport", func(h *Host) *http.Client { return &http.Client{Transport: h.Transport()} }},
	} {
		for range 20 {
			Run(t, func(t *testing.T, w *World) {
				server, client := twoHosts(w)
				server.ServeHTTP(":80", http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
				c := row.client(client)
				c.Timeout = time.Second
				_, err := c.Get("http://203.0.113.10/")
				if !errors.Is(err, context.DeadlineExceeded) || !strings.HasSuffix(err.Error(), ": context deadline exceeded") {
					t.Errorf("%s: %v", row.name, err)
				}
				if w.Now() != time.Second {
					t.Errorf("%s: it took %v", row.name, w.Now())
				}
			})
		}
	}
}

// A response names the request that its caller made.
func TestResponseRequest(t *testing.T) {
	Run(t, func(t *testing.T, w *World) {
		server, client := twoHosts(w)
		server.ServeHTTP(":80", http.NotFoundHandler())
		req, err := http.NewRequest("GET", "http://203.0.113.10/", nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := client.HTTPClient().Do(req)
		if err != nil {
			t.Fatal(err)
		}
		io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		if resp.Request != req || req.Context().Err() != nil {
			t.Errorf("the response is to %p, want %p; its context: %v", resp.Request, req, req.Context().Err())
		}
	})
}

// A handler's panic is in the test's log; what a server says when the world is at its end
// is not.
func TestServerLog(t *testing.T) {
	var tb *faketb.TB
	Run(t, func(t *testing.T, _ *World) {
		tb = faketb.New(t)
		server, client := twoHosts(New(tb, Config{}))
		server.ServeHTTP(":80", http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("out of roses") }))
		if _, err := client.HTTPClient().Get("http://203.0.113.10/"); !errors.Is(err, io.EOF) {
			t.Errorf("a request to a handler that panics: %v", err)
		}
		tb.Clean()
		serverLog{server}.Write([]byte("too late"))
	})
	log := strings.Join(tb.Logs(), "\n")
	if !strings.Contains(log, "netfake: host server: http: panic serving 198.51.100.20:") || !strings.Contains(log, "out of roses") {
		t.Errorf("the log: %s", log)
	}
	if strings.Contains(log, "too late") {
		t.Errorf("the log goes on: %s", log)
	}
}
