package netfake

import (
	"net/http"
	"net/netip"
	"testing"
	"time"
)

// The table of sockets: who listens, what waits in queues and for whom, what a timer will
// do about it.
func TestSockets(t *testing.T) { RunConfig(t, Config{Seed: 1}, testSockets) }

func testSockets(t *testing.T, w *World) {
	server, client := twoHosts(w)
	openUDP(t, server, 9000)
	if _, err := server.Listen("tcp", ":80"); err != nil {
		t.Fatal(err)
	}
	d := Dialer{Host: client, LocalAddr: netip.AddrPortFrom(netip.Addr{}, 1000)}
	c, err := d.DialContext(t.Context(), "tcp", "203.0.113.10:80")
	if err != nil {
		t.Fatal(err)
	}
	w.Sleep(time.Second)
	server.Uplink().Link().Partition()
	c.Write([]byte("hello"))
	go c.Read(make([]byte, 1))
	w.Sleep(time.Second)
	const want = `  server  tcp  ESTABLISHED  203.0.113.10:80 ↔ 198.51.100.20:1000  recv-q 0 send-q 0 retransmitted 0
  server  tcp  LISTEN       0.0.0.0:80, 0 accepted, 1 wait
  server  udp               203.0.113.10:9000, recv-q 0, dropped 0
  client  tcp  ESTABLISHED  198.51.100.20:1000 ↔ 203.0.113.10:80  recv-q 0 send-q 5 retransmitted 2 timer in 477.966ms a read waits
`
	if got := w.Sockets(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// A server with two listeners is served at both, and its handler is wrapped once.
func TestServeTwice(t *testing.T) { Run(t, testServeTwice) }

func testServeTwice(t *testing.T, w *World) {
	server, client := twoHosts(w)
	s := server.ServeHTTP(":80", http.NotFoundHandler())
	before := s.Handler
	l, err := server.Listen("tcp", ":81")
	if err != nil {
		t.Fatal(err)
	}
	w.Serve(s, l)
	if s.Handler != before {
		t.Error("the handler was wrapped again")
	}
	for _, url := range []string{"http://203.0.113.10/", "http://203.0.113.10:81/"} {
		if _, err := client.HTTPClient().Get(url); err != nil {
			t.Error(err)
		}
	}
	if text := fatal(t, func(tb TB) { New(tb, Config{}).Serve(nil, nil) }); text != "netfake: Serve needs a server and a listener" {
		t.Errorf("nothing to serve: %q", text)
	}
}
