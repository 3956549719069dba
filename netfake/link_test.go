package netfake

import (
	"context"
	"net"
	"net/netip"
	"slices"
	"testing"
	"time"
)

// datagrams sends n numbered datagrams from a port of a host, one a millisecond, and
// returns the numbers of those that a socket receives within a second after the last.
func datagrams(t *testing.T, from *Host, port uint16, to *UDPConn, n int) []byte {
	t.Helper()
	c := dialUDPFrom(t, from, port, to)
	defer c.Close()
	number(c, n)
	var got []byte
	to.SetReadDeadline(time.Now().Add(time.Second))
	b := make([]byte, 10)
	for {
		k, from, err := to.ReadFromUDPAddrPort(b)
		if err != nil {
			return got
		}
		if from.Port() == port && k == 1 {
			got = append(got, b[0])
		}
	}
}

func dialUDPFrom(t *testing.T, from *Host, port uint16, to *UDPConn) net.Conn {
	t.Helper()
	d := Dialer{Host: from, LocalAddr: netip.AddrPortFrom(netip.Addr{}, port)}
	c, err := d.DialContext(t.Context(), "udp", to.at.String())
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func number(c net.Conn, n int) {
	for i := range n {
		c.Write([]byte{byte(i)})
		time.Sleep(time.Millisecond)
	}
}

func openUDP(t *testing.T, h *Host, port uint16) *UDPConn {
	t.Helper()
	u, err := h.listenUDP("udp", netip.AddrPortFrom(h.Addr(), port).String())
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// A packet takes exactly the time of the links that it crosses, and what is changed
// counts for the packets that enter afterwards.
func TestLinkLatency(t *testing.T) { Run(t, testLinkLatency) }

func testLinkLatency(t *testing.T, w *World) {
	server, client := twoHosts(w)
	ping := func() time.Duration {
		rtt, err := client.Ping(t.Context(), server.Addr())
		if err != nil {
			t.Error(err)
		}
		return rtt
	}
	if got := ping(); got != 2*oneWay {
		t.Errorf("rtt %v, want twice %v", got, oneWay)
	}
	core := w.Internet().Between(Sydney, Melbourne)
	before := core.Latency()
	core.SetLatency(before + 70*time.Millisecond)
	if got := ping(); got != 2*oneWay+140*time.Millisecond {
		t.Errorf("rtt %v after the latency grew by 70 ms", got)
	}
	core.SetLatency(0)
	if got := ping(); got != 4*LastMile {
		t.Errorf("rtt %v without the backbone, want the last miles", got)
	}
}

// A link's loss is drawn per flow and packet: whether somebody else talks too makes no
// difference to which packets of a flow are lost.
func TestLossIsKeyed(t *testing.T) {
	run := func(seed uint64, others int) (got []byte, stats LinkStats) {
		RunConfig(t, Config{Seed: seed}, func(t *testing.T, w *World) {
			server, client := twoHosts(w)
			client.Uplink().Link().SetLoss(0.4)
			in := openUDP(t, server, 53)
			for i := range others {
				c := dialUDPFrom(t, client, uint16(2000+i), in)
				w.Go(func(context.Context) { number(c, 100) })
			}
			got = datagrams(t, client, 1000, in, 100)
			stats = client.Uplink().Link().Stats()
		})
		return got, stats
	}
	alone, stats := run(1, 0)
	if n := len(alone); n < 40 || n > 80 || stats.Lost != uint64(100-n) || stats.Carried != uint64(n) {
		t.Errorf("%d of 100 arrived at a loss of 0.4; stats %+v", n, stats)
	}
	crowded, _ := run(1, 3)
	if !slices.Equal(alone, crowded) {
		t.Errorf("other flows moved the losses:\nalone   %v\ncrowded %v", alone, crowded)
	}
	if other, _ := run(2, 0); slices.Equal(alone, other) {
		t.Error("another seed loses the same packets")
	}
}

// SetLoss returns how to set the loss back; 1 loses everything and 0 nothing.
func TestLossUndo(t *testing.T) { Run(t, testLossUndo) }

func testLossUndo(t *testing.T, w *World) {
	server, client := twoHosts(w)
	in := openUDP(t, server, 53)
	link := client.Uplink().Link()
	undo := link.SetLoss(1)
	if got := datagrams(t, client, 1000, in, 10); got != nil {
		t.Errorf("%v arrived at a loss of 1", got)
	}
	undo.Undo()
	if got := datagrams(t, client, 1000, in, 10); len(got) != 10 {
		t.Errorf("%v arrived after the loss was undone", got)
	}
	if s := link.Stats(); s != (LinkStats{Carried: 10, Lost: 10}) {
		t.Errorf("stats: %+v", s)
	}
}

// Partitions add up, undoing one twice does nothing, and each side of the link's
// counters proves that the fault bit.
func TestPartitionsStack(t *testing.T) { Run(t, testPartitionsStack) }

func testPartitionsStack(t *testing.T, w *World) {
	server, client := twoHosts(w)
	in := openUDP(t, server, 53)
	link := w.Internet().Between(Sydney, Melbourne)
	arrive := func(why string, want int) {
		t.Helper()
		if got := datagrams(t, client, 1000, in, 3); len(got) != want {
			t.Errorf("%s: %d datagrams arrived, want %d", why, len(got), want)
		}
	}
	arrive("no partition", 3)
	first, second := link.Partition(), link.Partition()
	arrive("two partitions", 0)
	first.Undo()
	first.Undo()
	arrive("one of two undone, twice", 0)
	if r := client.Probe(server.UDP(53)); r.Outcome != Silence || r.Blocker().By != Component(link) {
		t.Errorf("a probe says %v, blocked by %v", r.Outcome, r.Blocker())
	}
	second.Undo()
	arrive("both undone", 3)
	if s := link.Stats(); s != (LinkStats{Carried: 6, Partitioned: 6}) {
		t.Errorf("stats: %+v", s)
	}
}

// A cut connection heals: what was written meanwhile arrives by retransmission.
func TestPartitionHeals(t *testing.T) { Run(t, testPartitionHeals) }

func testPartitionHeals(t *testing.T, w *World) {
	server, client := twoHosts(w)
	echoServer(t, server, ":7")
	c, err := client.Dial("tcp", "203.0.113.10:7")
	if err != nil {
		t.Fatal(err)
	}
	heal := w.Internet().Between(Sydney, Melbourne).Partition()
	c.Write([]byte("x"))
	time.Sleep(10 * time.Second)
	heal.Undo()
	if _, err := c.Read(make([]byte, 1)); err != nil {
		t.Error(err)
	}
}

// What a link cannot be is told at once.
func TestLinkErrors(t *testing.T) {
	for _, row := range []struct {
		name string
		f    func(l *Link)
	}{
		{"a negative latency", func(l *Link) { l.SetLatency(-1) }},
		{"a loss above 1", func(l *Link) { l.SetLoss(1.1) }},
		{"a loss below 0", func(l *Link) { l.SetLoss(-0.1) }},
	} {
		if text := fatal(t, func(tb TB) {
			row.f(New(tb, Config{}).NewLink("wire", 0))
		}); text == "" {
			t.Errorf("%s did not fail the test", row.name)
		}
	}
	if text := fatal(t, func(tb TB) { New(tb, Config{}).NewLink("wire", 0).SetLoss(1) }); text != "" {
		t.Errorf("a loss of 1: %s", text)
	}
}
