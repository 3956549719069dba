package netfake

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// bulkSize is what the transfers below send, and bulkBits how long its bits and those of
// its headers take at ten megabits per second.
const (
	bulkSize     = 10 << 20
	bulkSegments = (bulkSize + 1447) / 1448
	bulkBits     = time.Duration(bulkSize+bulkSegments*52) * 8 * time.Second / 10e6
)

// narrow is a duo with 25 ms between its hosts, one way, and a limit at a.
func narrow(t *testing.T, w *World, limit Bandwidth) *duo {
	p := newDuo(t, w)
	w.Internet().Between(Place{}, Place{}).SetLatency(23 * time.Millisecond)
	p.a.Uplink().Link().SetBandwidth(limit)
	return p
}

// wantBits checks that a transfer took the time of its bits, and up to 15 % more.
func wantBits(t *testing.T, why string, took time.Duration) {
	t.Helper()
	if took < bulkBits || took > bulkBits*115/100 {
		t.Errorf("%s: it took %v, %.3f times the %v of its bits", why, took, float64(took)/float64(bulkBits), bulkBits)
	}
}

// bulk sends bulkSize bytes to a port of a host and returns how long it took until the
// last was read.
func bulk(t *testing.T, from, to *Host, port string) time.Duration {
	l, err := to.Listen("tcp", ":"+port)
	if err != nil {
		t.Error(err)
		return 0
	}
	w := from.world
	began := w.Now()
	w.Go(func(context.Context) {
		c, err := from.Dial("tcp", to.Addr().String()+":"+port)
		if err != nil {
			t.Error(err)
			return
		}
		c.Write(make([]byte, bulkSize))
		c.Close()
	})
	return drain(t, l, bulkSize, began)
}

// drain accepts a connection, reads size bytes, and returns how long after the beginning
// that was.
func drain(t *testing.T, l net.Listener, size int64, began time.Duration) time.Duration {
	c, err := l.Accept()
	if err != nil {
		t.Error(err)
		return 0
	}
	defer c.Close()
	if n, err := io.Copy(io.Discard, c); n != size || err != nil {
		t.Errorf("%d of %d bytes: %v", n, size, err)
	}
	return c.(*TCPConn).host.world.Now() - began
}

// Over ten megabits per second and a round trip of 50 ms, ten mebibytes take little more
// than their bits, whether the queue overflows or not.
func TestBulkOverNarrowLink(t *testing.T) {
	for _, row := range []struct {
		name      string
		limit     Bandwidth
		overflows bool
	}{
		{"the default queue", Bandwidth{Bits: 10e6}, true},
		{"a queue that takes all", Bandwidth{Bits: 10e6, QueueBytes: 2 << 20}, false},
		{"a queue of 100 packets", Bandwidth{Bits: 10e6, QueuePackets: 100}, true},
		{"a queue of 50 packets", Bandwidth{Bits: 10e6, QueuePackets: 50}, true},
	} {
		t.Run(row.name, func(t *testing.T) {
			Run(t, func(t *testing.T, w *World) {
				p := narrow(t, w, row.limit)
				wantBits(t, row.name, bulk(t, p.a, p.b, "80"))
				if s := p.a.Uplink().Link().Stats(); (s.Overflowed > 0) != row.overflows {
					t.Errorf("%d packets found the queue full", s.Overflowed)
				}
			})
		})
	}
}

// Both directions at once have a line each, but acknowledgements wait behind the other's
// data and come in bursts: slow start overshoots all the more. A queue that takes all costs
// a twentieth, the default one a sixth: it loses hundreds of packets, all repaired without
// a timeout.
func TestBulkBothWays(t *testing.T) {
	for _, row := range []struct {
		name  string
		limit Bandwidth
		most  time.Duration // in hundredths of the time of the bits
	}{
		{"the default queue", Bandwidth{Bits: 10e6}, 116},
		{"a queue that takes all", Bandwidth{Bits: 10e6, QueueBytes: 2 << 20}, 106},
	} {
		Run(t, func(t *testing.T, w *World) {
			p := narrow(t, w, row.limit)
			there := make(chan time.Duration, 1)
			w.Go(func(context.Context) { there <- bulk(t, p.a, p.b, "80") })
			back := bulk(t, p.b, p.a, "81")
			if last := max(<-there, back); last < bulkBits || last > bulkBits*row.most/100 {
				t.Errorf("%s: it took %v, %.3f times the %v of its bits", row.name, last, float64(last)/float64(bulkBits), bulkBits)
			}
		})
	}
}

// Two connections share a link, and together take the time of their bits.
func TestBulkShared(t *testing.T) { Run(t, testBulkShared) }

func testBulkShared(t *testing.T, w *World) {
	p := narrow(t, w, Bandwidth{Bits: 20e6})
	first := make(chan time.Duration, 1)
	w.Go(func(context.Context) { first <- bulk(t, p.a, p.b, "80") })
	second := bulk(t, p.a, p.b, "81")
	wantBits(t, "the later of two", max(<-first, second))
}

// A connection that was open before its path became narrow controls congestion from its
// first packet on that meets the limit.
func TestBandwidthOfOpenConnection(t *testing.T) { Run(t, testBandwidthOfOpenConnection) }

func testBandwidthOfOpenConnection(t *testing.T, w *World) {
	p := narrow(t, w, Bandwidth{})
	l, err := p.b.Listen("tcp", ":80")
	if err != nil {
		t.Fatal(err)
	}
	c, err := p.a.Dial("tcp", "203.0.113.2:80")
	if err != nil {
		t.Fatal(err)
	}
	const before = 100_000
	c.Write(make([]byte, before))
	w.Sleep(time.Second)
	p.a.Uplink().Link().SetBandwidth(Bandwidth{Bits: 10e6})
	began := w.Now()
	c.Write(make([]byte, bulkSize))
	c.Close()
	wantBits(t, "after the limit", drain(t, l, before+bulkSize, began))
}

// Without a limit the whole window of the peer, 64 KiB at first, goes at once; with one a
// connection begins with ten segments.
func TestSlowStartNeedsALimit(t *testing.T) {
	for _, row := range []struct {
		limit Bandwidth
		first uint64 // segments before the first acknowledgement
	}{{Bandwidth{}, 45}, {Bandwidth{Bits: 1e9}, 10}} {
		Run(t, func(t *testing.T, w *World) {
			p := narrow(t, w, row.limit)
			if _, err := p.b.Listen("tcp", ":80"); err != nil {
				t.Fatal(err)
			}
			c, err := p.a.Dial("tcp", "203.0.113.2:80")
			if err != nil {
				t.Fatal(err)
			}
			w.Sleep(time.Millisecond) // the handshake's last packet leaves
			up := p.a.Uplink().Link().Forth()
			before := up.Stats().Carried
			c.Write(make([]byte, 100_000))
			w.Sleep(10 * time.Millisecond)
			if got := up.Stats().Carried - before; got != row.first {
				t.Errorf("%+v: %d segments at first, want %d", row.limit, got, row.first)
			}
		})
	}
}

// Whatever is wrong with the links at once, a run with one seed is the same twice.
func TestManyFaultsRepeat(t *testing.T) {
	CheckDeterministic(t, 7, func(t *testing.T, w *World) {
		p := narrow(t, w, Bandwidth{Bits: 2e6, QueuePackets: 20})
		link := p.b.Uplink().Link()
		faults := []*Fault{
			link.SetFaults(Faults{Loss: 0.02, Burst: 3, Duplicate: 0.02, Reorder: 0.02, ReorderBy: 5 * time.Millisecond,
				Corrupt: 0.01, Detour: 9 * time.Millisecond, Jitter: 3 * time.Millisecond}),
			link.Forth().Delay(2 * time.Millisecond),
		}
		echoServer(t, p.b, ":7")
		for i := range 4 {
			w.Go(func(context.Context) { exchange(t, p.a, i) })
		}
		w.Sleep(200 * time.Millisecond)
		for _, begin := range []func() *Fault{link.Hold, p.b.Pause, p.a.Partition, link.Back().Partition, p.a.Hold} {
			f := begin()
			w.Sleep(150 * time.Millisecond)
			f.Undo()
			faults = append(faults, f)
			w.Sleep(500 * time.Millisecond)
		}
		w.Sleep(time.Minute)
		for _, f := range faults {
			if f.Hits() == 0 {
				t.Errorf("%v hit nothing", f)
			}
		}
	})
}

// exchange sends 100 KB to the echo server and reads them back.
func exchange(t *testing.T, from *Host, n int) {
	c, err := from.Dial("tcp", "203.0.113.2:7")
	if err != nil {
		t.Error(err)
		return
	}
	sent := bytes.Repeat([]byte{byte(n), 1, 2, 3}, 25_000)
	c.Write(sent)
	c.(*TCPConn).CloseWrite()
	if got, err := io.ReadAll(c); err != nil || !bytes.Equal(got, sent) {
		t.Errorf("%d: %d bytes came back: %v", n, len(got), err)
	}
}

// How many of a flow's packets are lost is what the share says, within what chance
// allows: five standard deviations.
func TestLossShare(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) { rapid.SyncTest(t, lossShare) })
}

func lossShare(t *rapid.T) {
	const n = 400
	share := float64(rapid.IntRange(0, 100).Draw(t, "percent")) / 100
	burst := rapid.IntRange(1, 4).Draw(t, "burst")
	w := New(t, Config{Seed: rapid.Uint64Range(1, 1<<32).Draw(t, "seed"), Instant: true})
	a, b := w.Internet().Host("a", "203.0.113.1"), w.Internet().Host("b", "203.0.113.2")
	if _, err := b.ListenPacket("udp", ":9"); err != nil {
		t.Fatal(err)
	}
	up := a.Uplink().Link().Forth()
	f := up.SetFaults(Faults{Loss: share, Burst: burst})
	c, err := a.Dial("udp", "203.0.113.2:9")
	if err != nil {
		t.Fatal(err)
	}
	for range n {
		c.Write([]byte{0})
	}
	s := up.Stats()
	off := float64(s.Lost) - share*n
	// Lots are drawn for bursts: the variance of their number, in packets.
	if variance := share * (1 - share) * n * float64(burst); off*off > 25*variance+1 {
		t.Fatalf("%d of %d lost at a share of %g in bursts of %d", s.Lost, n, share, burst)
	}
	if s.Lost+s.Carried != n || f.Hits() != s.Lost {
		t.Fatalf("%+v, and %d hits", s, f.Hits())
	}
}

// Each pair of hosts has a latency of its own, the same in both directions and for every
// packet; only jitter moves single packets.
func TestDetour(t *testing.T) { Run(t, testDetour) }

func testDetour(t *testing.T, w *World) {
	const most = 20 * time.Millisecond
	server := w.Internet().Host("server", "203.0.113.9")
	link := server.Uplink().Link()
	f := link.SetFaults(Faults{Detour: most})
	seen := map[time.Duration]bool{}
	for i := range 8 {
		h := w.Internet().Host(fmt.Sprint("client ", i), fmt.Sprintf("198.51.100.%d", i+1))
		var first time.Duration
		for n := range 3 {
			from, to := h, server
			if n == 2 {
				from, to = server, h // the same way, whoever asks
			}
			rtt, err := from.Ping(t.Context(), to.Addr())
			if err != nil {
				t.Fatal(err)
			}
			if n == 0 {
				first = rtt
				seen[rtt] = true
			}
			if rtt != first || rtt < 4*LastMile || rtt > 4*LastMile+2*most {
				t.Errorf("%v: round trips of %v and %v", h, first, rtt)
			}
		}
	}
	if len(seen) < 8 || f.Hits() != 8*3*2 {
		t.Errorf("8 pairs have %d latencies, %d hits", len(seen), f.Hits())
	}
}

// BenchmarkBandwidth compares a transfer over a link that is limited, and so wide that it
// never waits for it in virtual time, with one over a link that is not.
func BenchmarkBandwidth(b *testing.B) {
	spent := map[int64]time.Duration{}
	for _, bits := range []int64{0, 1e12} {
		w := New(b, Config{Instant: true})
		from, to := w.Internet().Host("a", "203.0.113.1"), w.Internet().Host("b", "203.0.113.2")
		from.Uplink().Link().SetBandwidth(Bandwidth{Bits: bits})
		l, err := to.Listen("tcp", ":80")
		if err != nil {
			b.Fatal(err)
		}
		c, err := from.Dial("tcp", "203.0.113.2:80")
		if err != nil {
			b.Fatal(err)
		}
		s, err := l.Accept()
		if err != nil {
			b.Fatal(err)
		}
		piece := make([]byte, 256<<10)
		began := time.Now()
		go func() {
			for range b.N {
				c.Write(piece)
			}
		}()
		if _, err := io.CopyN(io.Discard, s, int64(b.N*len(piece))); err != nil {
			b.Fatal(err)
		}
		spent[bits] = time.Since(began)
		b.SetBytes(int64(len(piece)))
	}
	b.ReportMetric(float64(spent[1e12])/float64(spent[0]), "x-unlimited")
}
