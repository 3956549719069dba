package netfake

import (
	"context"
	"net"
	"net/http"
	"net/netip"
	"strings"
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

// Who waits in Accept and in a read of a UDP socket is in the table, and no longer when
// they do not.
func TestSocketsWaiting(t *testing.T) { Run(t, testSocketsWaiting) }

func testSocketsWaiting(t *testing.T, w *World) {
	server, client := twoHosts(w)
	in, out := openUDP(t, server, 9000), openUDP(t, client, 1000)
	l, err := server.Listen("tcp", ":80")
	if err != nil {
		t.Fatal(err)
	}
	w.Go(func(context.Context) { l.Accept() })
	w.Go(func(context.Context) { in.ReadFrom(make([]byte, 10)) })
	w.Sleep(time.Second)
	if got, want := w.Sockets(), `  server  tcp  LISTEN       0.0.0.0:80, 0 accepted, 0 wait an Accept waits
  server  udp               203.0.113.10:9000, recv-q 0, dropped 0 a read waits
  client  udp               198.51.100.20:1000, recv-q 0, dropped 0
`; got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	out.WriteTo([]byte("x"), in.LocalAddr())
	c, err := client.Dial("tcp", "203.0.113.10:80")
	if err != nil {
		t.Fatal(err)
	}
	c.(*TCPConn).SetLinger(0)
	c.Close()
	w.Sleep(time.Second)
	if got := w.Sockets(); strings.Contains(got, "waits") {
		t.Errorf("when they have what they waited for:\n%s", got)
	}
}

// Of each flow the last drop, with what mends it; and of those that could go on the hops
// of the next packet, as far as it would come.
func TestReport(t *testing.T) { RunConfig(t, Config{Seed: 1}, testReport) }

func testReport(t *testing.T, w *World) {
	server, client := twoHosts(w)
	third := w.Internet().Host("third", "203.0.113.30")
	echoServer(t, server, ":80")
	openUDP(t, third, 53)
	dial := func(h *Host, port uint16, to string) net.Conn {
		d := Dialer{Host: h, Timeout: 4 * time.Second, LocalAddr: netip.AddrPortFrom(netip.Addr{}, port)}
		c, err := d.DialContext(t.Context(), "tcp", to)
		if err != nil {
			return nil
		}
		return c
	}
	dial(client, 1000, "203.0.113.30:81") // refused
	dial(third, 1001, "203.0.113.99:443") // nobody announces it
	c := dial(client, 1002, "203.0.113.10:80")
	idle := dial(third, 1003, "203.0.113.10:80")
	u := openUDP(t, client, 1004)
	cut := w.Partition(Hosts{client}, Hosts{third})
	u.WriteTo([]byte("question"), net.UDPAddrFromAddrPort(netip.MustParseAddrPort("203.0.113.30:53")))
	w.Sleep(time.Second)
	cut.Undo() // so that the next datagram would arrive
	server.Uplink().Link().Partition()
	c.Write([]byte("hello"))
	w.Sleep(2 * time.Second)
	const want = `last packet dropped of each flow:
  +2.000ms 198.51.100.20:1000 → 203.0.113.30:81 tcp: third ingress: nobody listens on tcp/81: answered with RST
  +3005.000ms 203.0.113.30:1001 → 203.0.113.99:443 tcp: internet: nobody announces 203.0.113.99 (NO_ROUTE_TO_DESTINATION); 3 in all
  +4021.138ms 198.51.100.20:1004 → 203.0.113.30:53 udp: partition of client ↔ third: partitioned
  +6501.673ms 198.51.100.20:1002 → 203.0.113.10:80 tcp: server last mile: partitioned; 4 in all
what would become of the next packet:
  server 203.0.113.10:80 → client 198.51.100.20:1002 tcp: BLOCKED at server last mile
    +0.000ms  server last mile  server last mile  DROP  partitioned
  server 203.0.113.10:80 → third 203.0.113.30:1003 tcp: BLOCKED at server last mile
    +0.000ms  server last mile  server last mile  DROP  partitioned
  client 198.51.100.20:1002 → server 203.0.113.10:80 tcp: BLOCKED at server last mile
    +1.000ms  internet          internet                Melbourne → Sydney
    +4.569ms  server last mile  server last mile  DROP  partitioned
  third 203.0.113.30:1003 → server 203.0.113.10:80 tcp: BLOCKED at server last mile
    +1.000ms  internet          internet                somewhere → Sydney
    +1.000ms  server last mile  server last mile  DROP  partitioned
  third 203.0.113.30:1001 → 203.0.113.99:443 tcp: BLOCKED at internet: NO_ROUTE_TO_DESTINATION
    +1.000ms  internet  internet  DROP  nobody announces 203.0.113.99
`
	if got := w.lastHops(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	idle.Close()
}
