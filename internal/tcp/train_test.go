package tcp

import (
	"bytes"
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/netspec-go/netspec/internal/wire"
)

// Taken apart, trains are the segments that a machine without trains sends, each at the
// same time, over links of every kind.
func TestTrainsAreSegments(t *testing.T) {
	trains := 0
	rapid.Check(t, func(t *rapid.T) {
		key := rapid.Uint64().Draw(t, "key")
		loss := rapid.SampledFrom([]float64{0, 0, 0.05, 0.2}).Draw(t, "loss")
		latency := time.Duration(rapid.IntRange(0, 200).Draw(t, "latency")) * time.Millisecond
		client, server := drawConfig(t, "client "), drawConfig(t, "server ")
		congestion := rapid.SampledFrom([]CongestionControl{NoCongestion, NewReno}).Draw(t, "congestion")
		client.Congestion, server.Congestion = congestion, congestion
		drawn := [2]*application{drawApplication(t, "client ", nil), drawApplication(t, "server ", nil)}
		drawn[0].fit(client, server)
		drawn[1].fit(server, client)
		drawn[0].fullClose = true

		run := func(train int) (log []string, stats [2]Stats) {
			client, server := client, server
			client.Train, server.Train = train, train
			n := newNetwork(t, key)
			n.loss, n.latency = loss, latency
			n.log = func(format string, args ...any) { log = append(log, fmt.Sprintf(format, args...)) }
			var apps [2]*application
			for i := range apps {
				a := *drawn[i]
				a.end = n.ends[i]
				apps[i] = &a
			}
			n.dial(client, server)
			converse(t, n, apps)
			trains += n.trains
			return log, [2]Stats{n.ends[0].conn.Stats(), n.ends[1].conn.Stats()}
		}
		want, wantStats := run(0)
		got, stats := run(65000)
		for i := range min(len(want), len(got)) {
			if got[i] != want[i] {
				t.Fatalf("segment %d\nof trains  %s\nand without %s", i, got[i], want[i])
			}
		}
		if len(got) != len(want) || stats != wantStats {
			t.Fatalf("%d segments, %+v\nwithout trains %d, %+v", len(got), stats, len(want), wantStats)
		}
	})
	t.Logf("%d trains", trains) // that bulk goes in trains here shows TestBulkTravelsInTrains
}

// What is written at once travels in trains, and none of it differs from segments.
func TestBulkTravelsInTrains(t *testing.T) {
	run := func(train int) (log []string, trains int) {
		n := newNetwork(t, 1)
		n.log = func(format string, args ...any) { log = append(log, fmt.Sprintf(format, args...)) }
		n.dial(Config{ISN: 7, Train: train}, Config{ISN: 9, Train: train})
		n.run(time.Second)
		n.ends[0].conn.Write(pattern(0, 100_000), n.now)
		n.run(time.Second)
		if n.ends[1].read(1 << 20); !bytes.Equal(n.ends[1].got, pattern(0, 100_000)) {
			t.Errorf("%d bytes arrived", len(n.ends[1].got))
		}
		return log, n.trains
	}
	want, none := run(0)
	got, some := run(65000)
	if none != 0 || some == 0 {
		t.Errorf("%d trains, and %d where there may be none", some, none)
	}
	if !slices.Equal(got, want) {
		t.Errorf("segments of trains  %v\nand without %v", got, want)
	}
}

// trainSender keeps the lengths of what a machine sends.
type trainSender struct{ lengths []int }

func (s *trainSender) Send(h *wire.TCP, data []byte) {
	if len(data) > 0 {
		s.lengths = append(s.lengths, len(data))
	}
}

// What is written at once goes in few calls, as long as full segments fit.
func TestTrainLengths(t *testing.T) {
	for _, tt := range []struct {
		name  string
		cfg   Config
		win   uint16
		write int
		want  string
	}{
		{"no trains", Config{}, 60000, 4000, "[1460 1460 1080]"},
		{"one", Config{Train: 60000}, 60000, 4000, "[4000]"},
		{"a segment is no train", Config{Train: 60000}, 60000, 1460, "[1460]"},
		{"no larger than allowed", Config{Train: 5000}, 60000, 9000, "[4380 4620]"},
		{"less than two segments", Config{Train: 2000}, 60000, 4000, "[1460 1460 1080]"},
		{"less than one", Config{Train: 1000}, 60000, 4000, "[1460 1460 1080]"},
		// RFC 9293, 3.8.6.2.1: what the window cuts off waits unless it is large.
		{"the window", Config{Train: 60000}, 4000, 9000, "[2920]"},
		// RFC 9293, 3.7.4: the small segment at the end waits for an acknowledgement.
		{"Nagle", Config{Train: 60000, Nagle: true}, 60000, 4000, "[2920]"},
	} {
		var out trainSender
		c := Dial(tt.cfg, &out, 1)
		c.Receive(&wire.TCP{Flags: wire.SYN | wire.ACK, Ack: 1, Window: tt.win, MSS: 1460}, nil, 1)
		c.Write(make([]byte, tt.write), 1)
		if got := fmt.Sprint(out.lengths); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
	}
}

// A train that a machine takes leaves it as its segments would, one by one.
func TestReceiveTrain(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		cfg := Config{Merge: 1 << 30, RecvBuffer: rapid.SampledFrom([]int{9000, 65536, 1 << 20}).Draw(t, "buffer")}
		size := rapid.IntRange(1, 3000).Draw(t, "size")
		var segments, trains Conn
		for _, c := range []*Conn{&segments, &trains} {
			*c = *Accept(cfg, &trainSender{}, &wire.TCP{Flags: wire.SYN, Window: 1000, MSS: uint16(size)}, 1)
			c.Receive(&wire.TCP{Flags: wire.ACK, Seq: 1, Ack: 1, Window: 1000}, nil, 1)
		}
		seq := uint32(1)
		for now := time.Duration(2); now < 8; now++ {
			data := pattern(int(seq), rapid.IntRange(1, 20_000).Draw(t, "data"))
			h := wire.TCP{Flags: wire.ACK | wire.PSH, Seq: seq, Ack: 1, Window: 1000}
			if rapid.IntRange(0, 3).Draw(t, "fin") == 0 {
				h.Flags |= wire.FIN
			}
			if !trains.TakesTrain(&h, len(data)) {
				return // the end of the stream or of the window
			}
			trains.ReceiveTrain(&h, data, size, nil, now)
			seq += segmentLen(&h, len(data))
			last := h.Flags
			for h.Flags = wire.ACK; len(data) > size; data = data[size:] {
				segments.Receive(&h, data[:size], now)
				h.Seq += uint32(size)
			}
			h.Flags = last
			segments.Receive(&h, data, now)
			if a, b := observed(&trains), observed(&segments); a != b {
				t.Fatalf("by a train    %s\nby its segments %s", a, b)
			}
			if rapid.Bool().Draw(t, "read") {
				a, b := make([]byte, 30_000), make([]byte, 30_000)
				n, m := trains.Read(a, now), segments.Read(b, now)
				if !bytes.Equal(a[:n], b[:m]) {
					t.Fatalf("read %d and %d bytes, not the same", n, m)
				}
			}
		}
	})
}

// observed is what can be seen of a machine that has received something.
func observed(c *Conn) string {
	at, ok := c.Timer()
	return fmt.Sprint(c.State(), c.rcvNxt, c.edge, c.Buffered(), c.EOF(), c.unacked, c.rcvMSS, at, ok, c.Stats())
}

// At the edges of a stream segments are judged one by one.
func TestTakesTrain(t *testing.T) {
	open := func() *Conn {
		c := Accept(Config{RecvBuffer: 10_000}, &trainSender{}, &wire.TCP{Flags: wire.SYN, Window: 1000, MSS: 1000}, 1)
		c.Receive(&wire.TCP{Flags: wire.ACK, Seq: 1, Ack: 1, Window: 1000}, nil, 1)
		return c
	}
	for _, tt := range []struct {
		name   string
		seq    uint32
		length int
		before func(c *Conn)
		want   bool
	}{
		{"the next in order", 1, 5000, func(*Conn) {}, true},
		{"after a hole", 1001, 5000, func(*Conn) {}, false},
		{"old", 0, 5000, func(*Conn) {}, false},
		{"beyond the window", 1, 10_001, func(*Conn) {}, false},
		{"with a hole behind", 1, 5000, func(c *Conn) {
			c.Receive(&wire.TCP{Flags: wire.ACK, Seq: 8000, Ack: 1, Window: 1000}, make([]byte, 100), 1)
		}, false},
		{"after we have closed writing", 1, 5000, func(c *Conn) { c.CloseWrite(1) }, true},
		{"when nobody is left to read", 1, 5000, func(c *Conn) { c.Close(1) }, false},
		{"after the end of the stream", 2, 5000, func(c *Conn) {
			c.Receive(&wire.TCP{Flags: wire.ACK | wire.FIN, Seq: 1, Ack: 1, Window: 1000}, nil, 1)
		}, false},
	} {
		c := open()
		tt.before(c)
		h := wire.TCP{Flags: wire.ACK, Seq: tt.seq, Ack: 1, Window: 1000}
		if got := c.TakesTrain(&h, tt.length); got != tt.want {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
}
