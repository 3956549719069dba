package netfake

import (
	"context"
	"errors"
	"io"
	"net"
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

// A host's transport is patient as http.DefaultTransport is.
func TestTransportPatience(t *testing.T) {
	Run(t, func(t *testing.T, w *World) {
		got, want := w.NewHost("h", Place{}).Transport(), http.DefaultTransport.(*http.Transport)
		if got.MaxIdleConns != want.MaxIdleConns || got.IdleConnTimeout != want.IdleConnTimeout ||
			got.TLSHandshakeTimeout != want.TLSHandshakeTimeout || got.ExpectContinueTimeout != want.ExpectContinueTimeout ||
			got.ForceAttemptHTTP2 != want.ForceAttemptHTTP2 {
			t.Errorf("got %+v\nwant %+v", got, want)
		}
	})
	for _, row := range []struct {
		name, url, says string
		after           time.Duration
	}{
		{"nobody there", "http://192.0.2.99/", "dial tcp 192.0.2.99:80: i/o timeout", 30 * time.Second},
		{"a server of TLS that says nothing", "https://203.0.113.10/", "net/http: TLS handshake timeout", 2*oneWay + 10*time.Second},
	} {
		Run(t, func(t *testing.T, w *World) {
			server, client := twoHosts(w)
			if _, err := server.Listen("tcp", ":443"); err != nil {
				t.Fatal(err)
			}
			_, err := client.HTTPClient().Get(row.url)
			if err == nil || !strings.HasSuffix(err.Error(), row.says) || w.Now() != row.after {
				t.Errorf("%s: after %v %v, want after %v %s", row.name, w.Now(), err, row.after, row.says)
			}
		})
	}
}

// An idle connection of HTTP is closed after 90 s. Until then it asks every 30 s whether the
// server is still there, or as the world's configuration says.
func TestTransportIdle(t *testing.T) {
	for _, row := range []struct {
		keepAlive time.Duration
		probes    uint64
	}{{0, 2}, {-1, 0}, {20 * time.Second, 4}} {
		RunConfig(t, Config{KeepAlive: row.keepAlive}, func(t *testing.T, w *World) {
			server, client := twoHosts(w)
			l, err := server.Listen("tcp", ":80")
			if err != nil {
				t.Fatal(err)
			}
			w.Serve(&http.Server{Handler: http.NotFoundHandler()}, quietListener{l})
			resp, err := client.HTTPClient().Get("http://203.0.113.10/")
			if err != nil {
				t.Fatal(err)
			}
			io.Copy(io.Discard, resp.Body)
			resp.Body.Close()
			w.Sleep(time.Second)
			up := client.Uplink().Link().Forth()
			before := up.Stats().Carried
			w.Sleep(88 * time.Second)
			if probes := up.Stats().Carried - before; probes != row.probes {
				t.Errorf("keep-alives of %v: %d probes, want %d", row.keepAlive, probes, row.probes)
			}
			if got := strings.Count(w.Sockets(), "ESTABLISHED"); got != 2 {
				t.Errorf("after 89 s:\n%s", w.Sockets())
			}
			w.Sleep(2 * time.Second)
			if got := strings.Count(w.Sockets(), "ESTABLISHED"); got != 0 {
				t.Errorf("after 91 s:\n%s", w.Sockets())
			}
		})
	}
}

// quietListener accepts connections that do not ask whether the other end is there.
type quietListener struct{ net.Listener }

func (l quietListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if c, ok := c.(*TCPConn); ok {
		c.SetKeepAlive(false)
	}
	return c, err
}

// A server that cannot listen says what is in the way, and listens when it is gone.
func TestServeWhereNobodyCan(t *testing.T) {
	for _, row := range []struct {
		name, why string
		down, up  func(h *Host)
	}{
		{"a crash", "it has crashed, see Host.Restart", func(h *Host) { h.Crash() }, (*Host).Restart},
		{"switched off", "it is switched off or has yet to boot, see InstanceConfig.OnBoot of an instance",
			func(h *Host) { h.world.Do(func(time.Duration) { h.PowerOff() }) },
			func(h *Host) { h.world.Do(func(time.Duration) { h.PowerOn() }) }},
	} {
		text := fatal(t, func(tb TB) {
			h := New(tb, Config{}).Internet().Host("server", "203.0.113.10")
			row.down(h)
			h.ServeHTTP(":80", nil)
		})
		if want := "netfake: host server: listen tcp :80: use of closed network connection: " + row.why; text != want {
			t.Errorf("%s: %q, want %q", row.name, text, want)
		}
		text = fatal(t, func(tb TB) {
			h := New(tb, Config{}).Internet().Host("server", "203.0.113.10")
			row.down(h)
			row.up(h)
			h.ServeHTTP(":80", nil)
		})
		if text != "" {
			t.Errorf("%s that is over: %q", row.name, text)
		}
	}
}

// A host that is not on the internet has no uplink, and who asks for its link is told.
func TestLinkOfNoUplink(t *testing.T) {
	w := New(t, Config{})
	if w.Internet().Host("server", "203.0.113.10").Uplink().Link() == nil {
		t.Error("a host on the internet has no link")
	}
	defer func() {
		if text, _ := recover().(string); !strings.HasPrefix(text, "netfake: Link of a nil *Uplink") {
			t.Errorf("%q", text)
		}
	}()
	w.NewHost("inside", Sydney).Uplink().Link()
}
