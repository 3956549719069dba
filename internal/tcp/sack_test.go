package tcp

import (
	"testing"
	"time"

	"github.com/netspec-go/netspec/internal/wire"
	"pgregory.net/rapid"
)

// A peer that permits selective acknowledgement is told what has come, and believed.
func TestSACK(t *testing.T) {
	reno := Config{Congestion: NewReno}
	const opened = `
			dial
			> S 0 sackok 1
			< SA 0 ack 1 win 64000 mss 1460 sackok 1
			> A 1 ack 1
			patient`
	runRows(t, []row{
		{"RFC 2018 2: permitted by both or not used", Config{}, `
			accept S 0 mss 1460
			> SA 0 ack 1 sackok 0
			< A 1 ack 1
			< A 11+10 ack 1
			> A 1 ack 1`},
		{"RFC 2018 2: and permitted in answer", Config{}, `
			accept S 0 mss 1460 sackok 1
			> SA 0 ack 1 sackok 1
			< A 1 ack 1
			< A 11+10 ack 1
			> A 1 ack 1 sack 11+10`},
		{"RFC 2018 4: the block that has just grown comes first, then those before it, three beside timestamps", Config{}, opened + `
			< A 11+10 ack 1
			> A 1 ack 1 sack 11+10
			< A 31+10 ack 1
			> A 1 ack 1 sack 31+10 sack 11+10
			< A 51+10 ack 1
			> A 1 ack 1 sack 51+10 sack 31+10 sack 11+10
			< A 71+10 ack 1
			> A 1 ack 1 sack 71+10 sack 51+10 sack 31+10
			< A 41+10 ack 1
			> A 1 ack 1 sack 31+30 sack 71+10
			< A 1+10 ack 1
			> A 1 ack 21 sack 31+30 sack 71+10
			< A 21+60 ack 1
			> A 1 ack 81`},
		{"data carries no blocks: the acknowledgement before it did", Config{}, opened + `
			< A 11+10 ack 1
			> A 1 ack 1 sack 11+10
			write 10
			> A 1+10 ack 1`},
		{"RFC 6675 5: three reports are a loss; only what is missing goes again, before anything new", reno, opened + `
			write 60000
			>> 1+14600
			< A 1 ack 1 sack 1461+1460
			> A 14601+1460 ack 1
			pipe 14600
			< A 1 ack 1 sack 1461+2920
			> A 16061+1460 ack 1
			pipe 14600
			< A 1 ack 1 sack 1461+2920 sack 5841+1460
			> A 1+1460 ack 1
			cwnd 8760
			pipe 13140
			< A 1 ack 1 sack 1461+2920 sack 5841+7300
			> A 4381+1460 ack 1
			> A 17521+1460 ack 1
			pipe 8760
			< A 1 ack 13141
			>> 18981+2920
			< A 1 ack 18981
			>> 21901+5840
			cwnd 8760`},
		{"RFC 6675 4: two holes in one round trip, where partial acknowledgements would take two", Config{}, opened + `
			write 14600
			>> 1+14600
			@100ms
			< A 1 ack 1 sack 1461+1460
			< A 1 ack 1 sack 1461+1460 sack 4381+10220
			> A 1+1460 ack 1
			> A 2921+1460 ack 1
			< A 1 ack 14601
			pipe 0`},
		{"what was sent after a repair has arrived and the repair has not: it goes a third time, before the timer", reno, opened + `
			write 20000
			>> 1+14600
			< A 1 ack 1 sack 1461+13140
			> A 1+1460 ack 1
			>> 14601+5400
			< A 1 ack 1 sack 1461+14600
			< A 1 ack 1 sack 1461+16060
			< A 1 ack 1 sack 1461+18540
			> A 1+1460 ack 1
			< A 1 ack 20001`},
		{"after a timeout what was reported is left out", reno, opened + `
			write 5840
			>> 1+5840
			< A 1 ack 1 sack 2921+1460
			200ms > A 1+1460 ack 1
			< A 1 ack 1461 sack 2921+1460
			> A 1461+1460 ack 1
			> A 4381+1460 ack 1
			< A 1 ack 5841`},
		{"RFC 2018 8: a peer that has thrown away what it reported is sent it again", reno, opened + `
			write 4380
			>> 1+4380
			< A 1 ack 1 sack 1461+1460
			< A 1 ack 1461
			200ms > A 1461+1460 ack 1
			< A 1 ack 4381`},
		{"blocks that cannot be are no news: behind what was sent, before what is acknowledged, backwards", Config{}, opened + `
			write 1460
			>> 1+1460
			< A 1 ack 1 sack 1461+10
			< A 1 ack 1 sack -9+5
			< A 1 ack 1 sack 100+-50
			< A 1 ack 1 sack 1+1460
			pipe 1460
			< A 1 ack 1 sack 101+100
			pipe 1360`},
	})
}

// TestSpans compares what is kept as stretches with a set of numbers.
func TestSpans(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const size = 60
		base := rapid.SampledFrom(isns).Draw(t, "base")
		var s spans
		set := map[uint32]bool{}
		una := base
		for range rapid.IntRange(1, 20).Draw(t, "steps") {
			from := base + rapid.Uint32Range(0, size).Draw(t, "from")
			if rapid.IntRange(0, 4).Draw(t, "drop") == 0 {
				una = maxSeq(una, from)
				s.drop(una)
			} else if from = maxSeq(from, una); true {
				b := wire.SACKBlock{From: from, To: from + rapid.Uint32Range(1, 20).Draw(t, "n")}
				news := false
				for seq := b.From; seq != b.To; seq++ {
					news = news || !set[seq]
					set[seq] = true
				}
				if got := s.add(b); got != news {
					t.Fatalf("%v in %v: news %v", b, s, got)
				}
			}
			for i, b := range s {
				if !before(b.From, b.To) || i > 0 && !before(s[i-1].To, b.From) {
					t.Fatalf("out of order, or touching: %v", s)
				}
			}
			for seq := una; seq != base+2*size; seq++ {
				in := false
				for _, b := range s {
					in = in || !before(seq, b.From) && before(seq, b.To)
				}
				if in != set[seq] {
					t.Fatalf("%d in %v: %v", seq-base, s, in)
				}
			}
		}
	})
}

// TestManyLosses loses every third segment of a window: all are repaired within two round
// trips, and nothing is sent a second time that had arrived.
func TestManyLosses(t *testing.T) {
	n := newNetwork(t, 1)
	n.dial(Config{Congestion: NewReno}, Config{})
	n.run(time.Second)
	n.ends[0].conn.cwnd = 1 << 20
	sent, lost := 0, uint64(0)
	n.drop = func(from *end, h *wire.TCP, data []byte) bool {
		if from != n.ends[0] || sent >= 45 {
			return false
		}
		sent++
		if sent%3 == 0 {
			lost++
		}
		return sent%3 == 0
	}
	n.ends[0].conn.Write(make([]byte, 46*1448), n.now)
	n.run(3 * n.latency * 2)
	if got := n.ends[1].conn.Buffered(); got != 46*1448 {
		t.Errorf("%d bytes have arrived in three round trips", got)
	}
	if s := n.ends[0].conn.Stats(); s.Retransmits != lost || lost != 15 {
		t.Errorf("%d were lost, %d sent again", lost, s.Retransmits)
	}
}
