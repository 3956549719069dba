package netfake

import (
	"fmt"
	"io"
	"net"
	"syscall"
	"testing"
	"time"
)

// A link in the middle carries less than both ends think. Its router says so, the sender
// sends again what was dropped, in smaller segments, and loses one round trip to the
// router and nothing else.
func TestPathMTUDiscovery(t *testing.T) { Run(t, testPathMTUDiscovery) }

// discover has a client send 10,000 bytes to a server behind a link that carries so much, and
// learn of that in one round trip to the router in front of it. The client can send more,
// which read waits for.
func discover(t *testing.T, w *World, server, client *Host, mtu int) (mile *Link, read func(n int) time.Duration) {
	t.Helper()
	read = sink(t, server, ":80")
	mile = server.Uplink().Link()
	mile.SetMTU(mtu)
	c := dialTCPFrom(t, client, server.TCP(80).Addr.String())
	began := w.Now()
	c.Write(make([]byte, 10000))
	c.CloseWrite()
	toRouter := LastMile + Sydney.Delay(Melbourne)
	if at := read(10000) - began; at != 2*toRouter+oneWay {
		t.Errorf("arrived after %v, want %v", at, 2*toRouter+oneWay)
	}
	if got := client.PathMTU(server.Addr()); got != mtu {
		t.Errorf("the path's MTU is %d, want %d", got, mtu)
	}
	return mile, read
}

func testPathMTUDiscovery(t *testing.T, w *World) {
	server, client := twoHosts(w)
	mile, read := discover(t, w, server, client, 1400)
	// 10,000 bytes are 6 segments of 1,448 and one that the link carries as it is.
	if s := mile.Stats(); s.TooBig != 6 {
		t.Errorf("%d packets were too big", s.TooBig)
	}

	// The next connection knows, and loses nothing.
	c := dialTCPFrom(t, client, "203.0.113.10:80")
	began := w.Now()
	c.Write(make([]byte, 10000))
	c.CloseWrite()
	if at := read(10000) - began; at != oneWay || mile.Stats().TooBig != 6 {
		t.Errorf("arrived after %v, and %d packets were too big", at, mile.Stats().TooBig)
	}
}

// Packet too big, RFC 8201: TCP sends again in smaller segments after one round trip to
// the router, a datagram leaves in fragments, and no path is narrower than 1,280 bytes.
func TestPathMTUDiscovery6(t *testing.T) { Run(t, testPathMTUDiscovery6) }

func testPathMTUDiscovery6(t *testing.T, w *World) {
	server, client := onlyIPv6(w)
	mile, _ := discover(t, w, server, client, 1300)
	u, err := client.Dial("udp", "[2001:db8::10]:9")
	if err != nil {
		t.Fatal(err)
	}
	_, err = u.Write(make([]byte, 1300-48))
	want(t, "a datagram that fits", err, nil)
	_, err = u.Write(make([]byte, 1300-47))
	want(t, "one that does not", err, nil)
	if got := client.FragmentStats(); got.Cut != 1 || got.Sent != 2 {
		t.Errorf("%+v, want one datagram in two fragments", got)
	}

	mile.SetMTU(1000)
	time.Sleep(time.Minute)
	c := dialTCPFrom(t, client, "[2001:db8::10]:80")
	c.Write(make([]byte, 5000))
	time.Sleep(time.Minute)
	if got := client.PathMTU(server.Addr()); got != 1280 {
		t.Errorf("the path's MTU is %d behind a router that says 1000", got)
	}
}

// The same with a router that keeps silent: small segments pass and large ones vanish. The
// connection opens, stalls, and ends when the fifteenth retransmission is in vain.
func TestPathMTUBlackHole(t *testing.T) { Run(t, testPathMTUBlackHole) }

func testPathMTUBlackHole(t *testing.T, w *World) {
	server, client := twoHosts(w)
	echoServer(t, server, ":7")
	server.Uplink().Link().SetMTU(1400)
	filter := client.Uplink().Link()
	filter.DropICMP()

	c := dialTCPFrom(t, client, "203.0.113.10:7")
	c.Write(make([]byte, 100))
	if _, err := io.ReadFull(c, make([]byte, 100)); err != nil {
		t.Fatalf("a small message: %v", err)
	}
	began := w.Now()
	c.Write(make([]byte, 1448))
	_, err := c.Read(make([]byte, 1))
	want(t, "a large message", err, syscall.ETIMEDOUT)
	// 200 ms above the round trip, doubled fifteen times, to no more than 120 s, RFC 6298.
	var gaveUp time.Duration
	for i, rto := 0, 2*oneWay+200*time.Millisecond; i < 16; i++ {
		gaveUp += rto
		rto = min(2*rto, 120*time.Second)
	}
	if took := w.Now() - began; took != gaveUp {
		t.Errorf("gave up after %v, want %v", took, gaveUp)
	}
	if s := filter.Stats(); s.Filtered != 16 {
		t.Errorf("%d ICMP errors were filtered, want one for each of 16 transmissions", s.Filtered)
	}
}

// What a router said holds for ten minutes; then the host tries again.
func TestPathMTUExpires(t *testing.T) { Run(t, testPathMTUExpires) }

func testPathMTUExpires(t *testing.T, w *World) {
	server, client := twoHosts(w)
	in := openUDP(t, server, 9)
	mile := server.Uplink().Link()
	mile.SetMTU(1000)
	c := dialUDPFrom(t, client, 1000, in)
	large := make([]byte, 1001-28)
	write := func() error { _, err := c.Write(large); return err }

	cut := func(why string, n uint64) {
		t.Helper()
		if got := client.FragmentStats().Cut; got != n {
			t.Errorf("%s: %d datagrams were cut, want %d", why, got, n)
		}
	}
	want(t, "the first", write(), nil)
	time.Sleep(2 * (LastMile + Sydney.Delay(Melbourne)))
	want(t, "after the router's answer, once", write(), syscall.EMSGSIZE)
	want(t, "the next", write(), nil)
	cut("the next", 1)
	time.Sleep(PathMTUExpiry - time.Nanosecond)
	want(t, "before ten minutes are over", write(), nil)
	cut("before ten minutes are over", 2)
	if got := client.PathMTU(server.Addr()); got != 1000 {
		t.Errorf("the path's MTU is %d", got)
	}
	mile.SetMTU(0)
	time.Sleep(time.Nanosecond)
	want(t, "after ten minutes", write(), nil)
	cut("after ten minutes", 2)
	if got := client.PathMTU(server.Addr()); got != InternetMTU {
		t.Errorf("the path's MTU is %d then", got)
	}
	in.SetReadDeadline(time.Now().Add(time.Second))
	for range 3 {
		if n, _, err := in.ReadFrom(make([]byte, 2000)); n != len(large) || err != nil {
			t.Errorf("read %d bytes, %v", n, err)
		}
	}
}

// A connection that is open grows its segments again when what it was told expires.
func TestPathMTUExpiresForAConnection(t *testing.T) { Run(t, testPathMTUExpiresForAConnection) }

func testPathMTUExpiresForAConnection(t *testing.T, w *World) {
	server, client := twoHosts(w)
	echoServer(t, server, ":7")
	mile := server.Uplink().Link()
	mile.SetMTU(1400)
	c := dialTCPFrom(t, client, "203.0.113.10:7")
	mss := func() (n int) { w.Do(func(time.Duration) { n = c.machine.MSS() }); return n }
	roundTrip := func() {
		t.Helper()
		c.Write(make([]byte, 1460))
		if _, err := io.ReadFull(c, make([]byte, 1460)); err != nil {
			t.Fatal(err)
		}
	}
	roundTrip()
	if mss() != 1400-52 {
		t.Errorf("MSS %d under an MTU of 1400", mss())
	}
	mile.SetMTU(0)
	time.Sleep(PathMTUExpiry)
	roundTrip()
	if mss() != 1500-52 || mile.Stats().TooBig != 2 { // one of each end

		t.Errorf("MSS %d after ten minutes, %d packets were too big", mss(), mile.Stats().TooBig)
	}
}

// A forged answer, about a segment that is not in flight or for a path that is as wide,
// changes nothing (RFC 5927).
func TestPathMTUForged(t *testing.T) { Run(t, testPathMTUForged) }

func testPathMTUForged(t *testing.T, w *World) {
	server, client := twoHosts(w)
	echoServer(t, server, ":7")
	c := dialTCPFrom(t, client, "203.0.113.10:7")
	forge := func(seq uint32, mtu int) {
		w.Do(func(time.Duration) {
			client.tcpError(c.flow, seq, ICMPError{PacketTooBig, mtu})
		})
	}
	for _, row := range []struct {
		what  string
		shift uint32
		mtu   int
		want  int
	}{
		{"behind the last", 1, 1000, 1500},
		{"before the first", ^uint32(0), 1000, 1500},
		{"an MTU of 0, from a router before RFC 1191", 0, 0, 1500},
		{"what the interface has", 0, 1500, 1500},
		{"more", 0, 9000, 1500},
		{"less than any router", 0, 100, minPathMTU},
		{"more than was known", 0, 1400, minPathMTU},
	} {
		forge(edge(w, c)+row.shift, row.mtu)
		if got := client.PathMTU(server.Addr()); got != row.want {
			t.Errorf("%s: the path's MTU is %d, want %d", row.what, got, row.want)
		}
	}
}

// edge returns the sequence number that an idle connection sends next.
func edge(w *World, c *TCPConn) (seq uint32) {
	rec := w.Record(func(f Flow) bool { return f == c.flow })
	c.Write([]byte("x"))
	io.ReadFull(c, make([]byte, 1))
	time.Sleep(time.Second)
	traces := rec.Traces()
	fmt.Sscanf(traces[len(traces)-1].Summary, "ACK seq %d", &seq)
	return seq
}

// Who boots after a crash has to learn the MTU of a path again, and may complain as often as
// one who has not complained yet; who was only paused knows it still.
func TestPathMTUOfWhoBoots(t *testing.T) {
	for _, row := range []struct {
		name  string
		stop  func(h *Host) *Fault
		knows int // the path's MTU
		says  int // how many refusals come of ten that are due at once, after six
	}{
		{"a crash", (*Host).Crash, InternetMTU, icmpBurst},
		{"a pause", (*Host).Pause, 1400, 0},
	} {
		Run(t, func(t *testing.T, w *World) {
			server, client := twoHosts(w)
			discover(t, w, server, client, 1400)
			c, err := server.ListenPacket("udp", ":1000")
			if err != nil {
				t.Fatal(err)
			}
			refused := func() (n int) {
				rec := w.Record(func(f Flow) bool { return f.Proto == ICMP })
				for range 10 {
					c.WriteTo([]byte("x"), net.UDPAddrFromAddrPort(client.UDP(9).Addr))
				}
				w.Sleep(100 * time.Millisecond)
				rec.Stop()
				return len(rec.Traces())
			}
			if n := refused(); n != icmpBurst {
				t.Errorf("%d refusals", n)
			}
			row.stop(client).Undo()
			if got := client.PathMTU(server.Addr()); got != row.knows {
				t.Errorf("%s: the path's MTU is %d, want %d", row.name, got, row.knows)
			}
			if n := refused(); n != row.says {
				t.Errorf("%s: %d refusals, want %d", row.name, n, row.says)
			}
		})
	}
}
