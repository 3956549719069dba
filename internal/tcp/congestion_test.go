package tcp

import (
	"testing"
	"time"

	"github.com/netspec-go/netspec/internal/wire"
)

func TestCongestion(t *testing.T) {
	reno := Config{Congestion: NewReno}
	runRows(t, []row{
		{"RFC 6928: ten segments to begin with; the handshake does not count (RFC 5681 3.1)", reno, `
			established
			cwnd 14600
			write 60000
			>> 1+14600
			@100ms`},
		{"RFC 5681 3.1: slow start doubles in a round trip, delayed ACKs or not (RFC 3465)", reno, `
			established
			write 60000
			>> 1+14600
			< A 1 ack 2921
			>> 14601+5840
			< A 1 ack 5841
			>> 20441+5840
			< A 1 ack 8761
			>> 26281+5840
			< A 1 ack 11681
			>> 32121+5840
			< A 1 ack 14601
			>> 37961+5840
			cwnd 29200`},
		{"RFC 5681 3.2 and RFC 6582: the third duplicate sends again, partial ACKs the next hole", reno, `
			established
			write 60000
			>> 1+14600
			< A 1 ack 1
			< A 1 ack 1
			cwnd 14600
			< A 1 ack 1
			> A 1+1460 ack 1
			cwnd 11680
			< A 1 ack 1
			< A 1 ack 1
			< A 1 ack 1
			> A 14601+1460 ack 1
			cwnd 16060
			< A 1 ack 2921
			> A 2921+1460 ack 1
			> A 16061+1460 ack 1
			cwnd 14600
			< A 1 ack 16061
			>> 17521+5840
			cwnd 7300`},
		{"RFC 6582 3.2 step 3: a partial ACK of less than a segment gives nothing back", reno, `
			established
			write 14600
			>> 1+14600
			< A 1 ack 1
			< A 1 ack 1
			< A 1 ack 1
			> A 1+1460 ack 1
			cwnd 11680
			< A 1 ack 1001
			> A 1001+1460 ack 1
			cwnd 10680`},
		{"RFC 6582 3.2 step 3: only the first partial ACK puts the timer off; then the rest is sent slowly from the first hole", reno, `
			established
			write 14600
			>> 1+14600
			< A 1 ack 1
			< A 1 ack 1
			< A 1 ack 1
			> A 1+1460 ack 1
			@150ms
			< A 1 ack 1461
			> A 1461+1460 ack 1
			@300ms
			< A 1 ack 2921
			> A 2921+1460 ack 1
			350ms > A 2921+1460 ack 1
			cwnd 1460
			< A 1 ack 14601
			cwnd 4380`},
		{"a FIN that the window holds back is not sent with the repair", reno, `
			dial
			> S 0
			< SA 0 ack 1 win 10 mss 1460
			> A 1 ack 1
			write 10
			> A 1+10 ack 1
			close
			< A 1 ack 1 win 10
			< A 1 ack 1 win 10
			< A 1 ack 1 win 10
			> A 1+10 ack 1
			< A 1 ack 11 win 1
			> FA 11 ack 1`},
		{"what is sent during a repair is not measured: the hole delays its acknowledgement", reno, `
			established
			write 14600
			>> 1+14600
			< A 1 ack 1
			< A 1 ack 1
			< A 1 ack 1
			> A 1+1460 ack 1
			< A 1 ack 1
			< A 1 ack 1
			< A 1 ack 1
			write 1460
			> A 14601+1460 ack 1
			@190ms
			< A 1 ack 16061
			write 1
			> A 16061+1 ack 1
			390ms > A 16061+1 ack 1`},
		{"RFC 6582 3.2 step 2: duplicates of the repair itself are no second loss", reno, `
			established
			write 14600
			>> 1+14600
			< A 1 ack 1
			< A 1 ack 1
			< A 1 ack 1
			> A 1+1460 ack 1
			< A 1 ack 14601
			cwnd 7300
			write 7300
			>> 14601+7300
			< A 1 ack 14601
			< A 1 ack 14601
			< A 1 ack 14601
			< A 1 ack 14601
			200ms > A 14601+1460 ack 1`},
		{"RFC 5681 3.1 equation 4: a timeout leaves one segment and half the flight as the threshold", reno, `
			established
			write 14600
			>> 1+14600
			200ms > A 1+1460 ack 1
			cwnd 1460
			< A 1 ack 1461
			>> 1461+2920
			cwnd 2920
			< A 1 ack 4381
			>> 4381+4380
			cwnd 4380
			< A 1 ack 14601
			cwnd 7300`},
		{"RFC 5681 3.1 equation 3: above the threshold, a segment in a round trip", reno, `
			established
			write 60000
			>> 1+14600
			< A 1 ack 1
			< A 1 ack 1
			< A 1 ack 1
			> A 1+1460 ack 1
			< A 1 ack 14601
			>> 14601+7300
			cwnd 7300
			< A 1 ack 17521
			>> 21901+2920
			cwnd 7884
			< A 1 ack 21901
			>> 24821+4380
			cwnd 8695`},
		{"RFC 5681 2: not a duplicate with data, with another window, with FIN, or with nothing in flight", reno, `
			established
			< A 1 ack 1
			< A 1 ack 1
			< A 1 ack 1
			write 1460
			>> 1+1460
			< A 1+1 ack 1
			< A 2+1 ack 1
			< A 3 ack 1
			< A 3 ack 1 win 64001
			< A 3 ack 1 win 64002
			< FA 3 ack 1
			> A 1461 ack 4
			cwnd 14600
			@199ms`},
		{"without congestion control the window alone counts", Config{}, `
			established
			write 60000
			>> 1+60000
			< A 1 ack 1
			< A 1 ack 1
			< A 1 ack 1
			> A 1+1460 ack 1
			< A 1 ack 2921
			> A 2921+1460 ack 1
			< A 1 ack 60001
			write 60000
			>> 60001+60000`},
		{"except that a timeout sends one segment and then what its acknowledgements allow", Config{}, `
			established
			write 8760
			>> 1+8760
			200ms > A 1+1460 ack 1
			< A 1 ack 1461
			>> 1461+2920
			< A 1 ack 8761
			write 60000
			>> 8761+60000`},
	})
}

// TestFastRetransmitAnywhere loses one segment in each stretch of a long stream: none
// may need the timer, wherever the sequence numbers are.
func TestFastRetransmitAnywhere(t *testing.T) {
	for _, control := range []CongestionControl{NoCongestion, NewReno} {
		for isn := uint64(0); isn < 1<<32; isn += 1 << 28 {
			n := newNetwork(t, 1)
			cfg := Config{Congestion: control, ISN: uint32(isn)}
			n.dial(cfg, cfg)
			n.run(time.Second)
			lost := false
			n.drop = func(from *end, h *wire.TCP, data []byte) bool {
				drop := !lost && len(data) > 0 && h.Seq-uint32(isn)-1 == 14480
				lost = lost || drop
				return drop
			}
			n.ends[0].conn.Write(make([]byte, 64000), n.now)
			n.run(150 * time.Millisecond)
			if got := n.ends[1].conn.Buffered(); !lost || got != 64000 {
				t.Errorf("control %d, ISN %#x: %d bytes arrived before the timer, lost: %v", control, isn, got, lost)
			}
		}
	}
}

// TestRecoverFollows sends 3 GiB without a loss, in theory, and then loses one: where
// the last loss was must not look like the future (sequence numbers wrap around).
func TestRecoverFollows(t *testing.T) {
	c := &Conn{mss: 1000, cwnd: noLimit, ssthresh: noLimit, state: Established}
	for range 3 << 10 {
		c.una += 1 << 20
		c.nxt, c.top = c.una, c.una
		c.ackedNew(1<<20, 0)
	}
	if !before(c.recover, c.una) {
		t.Errorf("una %#x is not behind the last loss, %#x", c.una, c.recover)
	}
}
