package netfake

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/nettest"

	"github.com/netspec-go/netspec/internal/faketb"
)

// What the rest of a world does, it does over IPv6 too.

// A probe says what a caller would see, over either family.
func TestProbe6(t *testing.T) { Run(t, testProbe6) }

func testProbe6(t *testing.T, w *World) {
	server, client := twoHosts6(w)
	echoServer(t, server, ":7")
	echoServer(t, server, "203.0.113.10:8")
	if _, err := server.ListenPacket("udp6", ":53"); err != nil {
		t.Fatal(err)
	}
	only4 := w.Internet().Host("only4", "203.0.113.30")
	for _, row := range []struct {
		from    *Host
		to      Endpoint
		text    string
		outcome Outcome
		blocker string
	}{
		{client, server.TCP(7), "server 203.0.113.10:7 tcp", Answered, ""},
		{client, server.TCP6(7), "server [2001:db8:1::10]:7 tcp", Answered, ""},
		{client, server.TCP6(8), "server [2001:db8:1::10]:8 tcp", Refused, "nobody listens on tcp/8"},
		{client, server.UDP6(53), "server [2001:db8:1::10]:53 udp", Answered, ""},
		{client, server.UDP(53), "server 203.0.113.10:53 udp", Refused, "nobody listens on udp/53"},
		{client, endpoint(ICMP, "[2001:db8:1::10]:0"), "[2001:db8:1::10]:0 icmp", Answered, ""},
		{client, endpoint(ICMPv6, "203.0.113.10:0"), "203.0.113.10:0 icmpv6", Answered, ""},
		{client, endpoint(TCP, "[::ffff:203.0.113.10]:7"), "[::ffff:203.0.113.10]:7 tcp", Answered, ""},
		{client, endpoint(TCP, "[2001:db8:9::9]:7"), "[2001:db8:9::9]:7 tcp", Silence, "nobody announces 2001:db8:9::9"},
		{client, endpoint(TCP, "[fd00::1]:7"), "[fd00::1]:7 tcp", Silence, "private address"},
		{only4, server.TCP6(7), "server [2001:db8:1::10]:7 tcp", Silence, "not an address of this host"},
	} {
		r := row.from.Probe(row.to)
		if row.to.String() != row.text || r.Outcome != row.outcome {
			t.Errorf("%v: %v, want %s: %v\n%v", row.to, r.Outcome, row.text, row.outcome, r)
		}
		if b := r.Blocker(); (b == nil) != (row.blocker == "") || b != nil && !strings.Contains(b.Rule, row.blocker) {
			t.Errorf("%v: blocked by %+v, want %q", row.to, b, row.blocker)
		}
	}
}

// A traceroute over IPv6 finds the routers by their own addresses, and the destination by
// the port that is closed.
func TestTraceroute6(t *testing.T) { Run(t, testTraceroute6) }

func testTraceroute6(t *testing.T, w *World) {
	server, client := twoHosts6(w)
	hops, err := client.Traceroute(t.Context(), server.Addr6())
	if err != nil || len(hops) != 3 {
		t.Fatalf("got %v, %v, want two routers and the server", hops, err)
	}
	for i, hop := range hops[:2] {
		if !routerBlock6.Contains(hop.Addr) || hop.Kind != TimeExceeded {
			t.Errorf("hop %d is %v", i+1, hop)
		}
	}
	if last := hops[2]; last.Addr != server.Addr6() || last.Kind != PortUnreachable || last.RTT != 2*oneWay {
		t.Errorf("the last hop is %v, want the server after %v", last, 2*oneWay)
	}
}

// The text of a flow has the port outside of the brackets, and that of ICMP no port.
func TestFlowText6(t *testing.T) {
	from, to := endpoint(TCP, "[2001:db8::1]:40000").Addr, endpoint(TCP, "[2001:db8::2]:443").Addr
	for flow, want := range map[Flow]string{
		{TCP, from, to}:    "[2001:db8::1]:40000 → [2001:db8::2]:443 tcp",
		{UDP, to, from}:    "[2001:db8::2]:443 → [2001:db8::1]:40000 udp",
		{ICMPv6, from, to}: "2001:db8::1 → 2001:db8::2 icmpv6",
	} {
		if got := flow.String(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

// A bit that a link flips is found by the checksum, whose pseudo-header covers the
// addresses; TCP sends again, and every byte arrives.
func TestCorruption6(t *testing.T) { Run(t, testCorruption6) }

func testCorruption6(t *testing.T, w *World) {
	server, client := twoHosts6(w)
	echoServer(t, server, ":7")
	server.Uplink().Link().SetFaults(Faults{Corrupt: 0.1})
	c, err := client.Dial("tcp", "[2001:db8:1::10]:7")
	if err != nil {
		t.Fatal(err)
	}
	sent := bytes.Repeat([]byte("0123456789abcdef"), 1<<12)
	go func() {
		c.Write(sent)
		c.(*TCPConn).CloseWrite()
	}()
	if got, err := io.ReadAll(c); err != nil || !bytes.Equal(got, sent) {
		t.Fatalf("sent %d bytes, got %d back: %v", len(sent), len(got), err)
	}
	if n := server.Uplink().Link().Stats().Corrupted; n == 0 {
		t.Error("nothing was corrupted")
	}
	for _, d := range w.Drops() {
		if d.Hop.Rule != "the checksum is wrong" {
			t.Errorf("%v", d)
		}
	}
}

// Two runs send the same packets, over both families at one instant.
func TestDeterministic6(t *testing.T) {
	CheckDeterministic(t, 6, func(t *testing.T, w *World) {
		server, client := twoHosts6(w)
		server.Uplink().Link().SetLoss(0.05)
		server.ServeHTTP(":80", http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			rw.Write(make([]byte, 50_000))
		}))
		done := make(chan error)
		for _, host := range []string{"203.0.113.10", "[2001:db8:1::10]"} {
			go func() {
				resp, err := client.HTTPClient().Get("http://" + host + "/")
				if err == nil {
					_, err = io.Copy(io.Discard, resp.Body)
				}
				done <- err
			}()
		}
		for range 2 {
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
		if _, err := client.Ping(t.Context(), server.Addr6()); err != nil {
			t.Error(err)
		}
	})
}

// golang.org/x/net's own conformance suite of connections, over IPv6.
func TestNettest6(t *testing.T) {
	nettest.TestConn(t, func() (c1, c2 net.Conn, stop func(), err error) {
		tb := faketb.New(t)
		server, client := twoHosts6(New(tb, Config{Instant: true}))
		l, err := server.Listen("tcp", ":80")
		if err != nil {
			return nil, nil, nil, err
		}
		if c1, err = client.Dial("tcp", "[2001:db8:1::10]:80"); err != nil {
			return nil, nil, nil, err
		}
		c2, err = l.Accept()
		return c1, c2, tb.Clean, err
	})
}

// A bridge leads from the machine's loopback to an IPv6 address of the world.
func TestBridge6(t *testing.T) {
	w := New(t, Config{Instant: true})
	server, client := twoHosts6(w)
	server.ServeHTTP("[2001:db8:1::10]:80", http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		fmt.Fprint(rw, "to ", r.RemoteAddr)
	}))
	at := client.Inlet("tcp", "[2001:db8:1::10]:80")
	resp, err := http.Get("http://" + at.String() + "/")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if body, err := io.ReadAll(resp.Body); err != nil || !strings.HasPrefix(string(body), "to [2001:db8:2::20]:") {
		t.Errorf("got %q, %v", body, err)
	}
}

// A capture of IPv6 is dissected by tshark without a complaint: every checksum is right,
// and the packets are what was sent.
func TestCapture6(t *testing.T) {
	var out bytes.Buffer
	Run(t, func(t *testing.T, w *World) { speak6(t, w, &out) })
	tshark := tsharkOf(t, out.Bytes())
	const bad = `_ws.malformed || _ws.expert.severity >= "Warning" || tcp.analysis.flags || tcp.checksum.status == "Bad" ||
		udp.checksum.status == "Bad" || icmpv6.checksum.status == "Bad" || !ipv6`
	if found := tshark("-o", "udp.check_checksum:TRUE", "-o", "tcp.check_checksum:TRUE", "-Y", bad); found != "" {
		t.Errorf("tshark complains of:\n%s", found)
	}
	all := tshark("-T", "fields", "-E", "separator=,", "-E", "occurrence=f", "-e", "ipv6.src", "-e", "ipv6.dst",
		"-e", "tcp.options.mss_val", "-e", "tcp.len", "-e", "udp.dstport", "-e", "icmpv6.type", "-e", "icmpv6.code")
	const there, back = "2001:db8:2::20,2001:db8:1::10,", "2001:db8:1::10,2001:db8:2::20,"
	for what, want := range map[string]string{
		"SYN": there + "1440,0,,,", "SYN-ACK": back + "1440,0,,,", "full segment": there + ",1428,,,",
		"datagram": there + ",,7777,,", "port unreachable": back + ",,7777,1,4",
		"echo request": there + ",,,128,0", "echo reply": back + ",,,129,0",
	} {
		if !strings.Contains(all, want+"\n") {
			t.Errorf("the capture has no %s, %s:\n%s", what, want, all)
		}
	}
}

// tsharkOf returns what has tshark read a capture, with arguments of one's own. Where there
// is no tshark it skips the test.
func tsharkOf(t *testing.T, capture []byte) func(args ...string) string {
	t.Helper()
	if _, err := exec.LookPath("tshark"); err != nil {
		t.Skip("tshark is not on the PATH: nobody else judges the capture")
	}
	file := filepath.Join(t.TempDir(), "capture.pcapng")
	if err := os.WriteFile(file, capture, 0o600); err != nil {
		t.Fatal(err)
	}
	return func(args ...string) string {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		text, err := exec.CommandContext(ctx, "tshark", append([]string{"-n", "-r", file}, args...)...).Output()
		if err != nil {
			t.Fatalf("tshark %v: %v", args, err)
		}
		return string(text)
	}
}

// speak6 sends packets of every protocol and captures them at the client.
func speak6(t *testing.T, w *World, out io.Writer) {
	server, client := twoHosts6(w)
	file := w.Capture(out, func(tap string) bool { return strings.HasPrefix(tap, "client") })
	echoServer(t, server, ":7")
	c, err := client.Dial("tcp", "[2001:db8:1::10]:7")
	if err != nil {
		t.Fatal(err)
	}
	c.Write(make([]byte, 5000))
	io.ReadFull(c, make([]byte, 5000))
	c.Close()
	u, err := client.Dial("udp", "[2001:db8:1::10]:7777")
	if err != nil {
		t.Fatal(err)
	}
	u.Write([]byte("question"))
	if _, err := client.Ping(t.Context(), server.Addr6()); err != nil {
		t.Error(err)
	}
	time.Sleep(time.Second)
	if err := file.Stop(); err != nil {
		t.Error(err)
	}
}
