package tcp

import (
	"bytes"
	"testing"
	"time"

	"github.com/netspec-go/netspec/internal/wire"
)

func TestPersist(t *testing.T) {
	runRows(t, []row{
		{"RFC 9293 3.8.6.1: probes of a closed window, doubling, as long as they are answered", Config{}, `
			dial
			> S 0
			< SA 0 ack 1 win 10 mss 1460
			> A 1 ack 1
			write 30
			> A 1+10 ack 1
			< A 1 ack 11 win 0
			200ms > A 10 ack 1
			< A 1 ack 11 win 0
			600ms > A 10 ack 1
			< A 1 ack 11 win 0
			1.4s > A 10 ack 1
			3s > A 10 ack 1
			6.2s > A 10 ack 1
			12.6s > A 10 ack 1
			@13s
			< A 1 ack 11 win 100
			> A 11+20 ack 1`},
		{"the schedule begins anew when the window closes again", Config{}, `
			dial
			> S 0
			< SA 0 ack 1 win 10 mss 1460
			> A 1 ack 1
			write 30
			> A 1+10 ack 1
			< A 1 ack 11 win 0
			200ms > A 10 ack 1
			600ms > A 10 ack 1
			< A 1 ack 11 win 10
			> A 11+10 ack 1
			< A 1 ack 21 win 0
			800ms > A 20 ack 1`},
		{"a silent peer is given up after net.ipv4.tcp_retries2 probes", Config{Retries: 3}, `
			established
			< A 1+1 ack 1 win 0
			write 5
			40ms > A 1 ack 2
			200ms > A 0 ack 2
			600ms > A 0 ack 2
			1.4s > A 0 ack 2
			@2.999999999s
			= ESTABLISHED
			@3s
			= CLOSED timeout`},
		{"probes are counted, however far apart: Linux's tcp_probe_timer", Config{Retries: 3}, `
			dial
			> S 0
			@800ms
			< SA 0 ack 1 win 0 mss 1460
			> A 1 ack 1
			write 5
			3.2s > A 0 ack 1
			8s > A 0 ack 1
			17.6s > A 0 ack 1
			@36.799999999s
			= ESTABLISHED
			@36.8s
			= CLOSED timeout`},
		{"of an orphan's only eight: net.ipv4.tcp_orphan_retries", Config{}, `
			established
			< A 1+1 ack 1 win 0
			write 5
			read 1
			close
			40ms > A 1 ack 2
			200ms > A 0 ack 2
			600ms > A 0 ack 2
			1.4s > A 0 ack 2
			3s > A 0 ack 2
			6.2s > A 0 ack 2
			12.6s > A 0 ack 2
			25.4s > A 0 ack 2
			51s > A 0 ack 2
			@102.199999999s
			= FIN-WAIT-1
			@102.2s
			= CLOSED timeout`},
		{"and it does not wait for ever for one who answers", Config{}, `
			established
			< A 1+1 ack 1 win 0
			write 5
			read 1
			close
			40ms > A 1 ack 2
			200ms > A 0 ack 2
			600ms > A 0 ack 2
			1.4s > A 0 ack 2
			3s > A 0 ack 2
			6.2s > A 0 ack 2
			12.6s > A 0 ack 2
			25.4s > A 0 ack 2
			51s > A 0 ack 2
			@100s
			< A 2 ack 1 win 0
			102.2s > A 0 ack 2
			@200s
			< A 2 ack 1 win 0
			204.6s > A 0 ack 2
			@324.6s
			= CLOSED timeout`},
		{"RFC 9293 3.8.6.2.1 rule 4: what fits a small window goes after a while", Config{}, `
			established
			< A 1+1 ack 1 win 5
			write 1000
			40ms > A 1 ack 2
			200ms > A 1+5 ack 2
			< A 2 ack 6 win 0
			400ms > A 5 ack 2`},
	})
}

// TestLostWindowUpdate loses the only segment that says that the window has opened:
// the sender's probe finds out.
func TestLostWindowUpdate(t *testing.T) {
	n := newNetwork(t, 1)
	n.dial(Config{}, Config{RecvBuffer: 1000})
	n.run(time.Second)
	n.ends[0].conn.Write(pattern(0, 1500), n.now)
	n.run(130 * time.Millisecond)
	lost := 0
	n.drop = func(from *end, h *wire.TCP, data []byte) bool { lost++; return true }
	n.ends[1].read(1000)
	n.drop = nil
	n.run(time.Second)
	if n.ends[1].read(1000); lost != 1 || !bytes.Equal(n.ends[1].got, pattern(0, 1500)) {
		t.Errorf("%d bytes arrived, %d segments were lost", len(n.ends[1].got), lost)
	}
}

// What repeats for ever as long as the peer answers is told from what does not.
func TestIdles(t *testing.T) {
	for _, row := range []struct {
		name string
		text string
		want bool
	}{
		{"no timer", "established", false},
		{"a keep-alive", "established\nkeepalive 15", true},
		{"a probe of the window", "established\n< A 1 ack 1 win 0\n< A 1+1 ack 1 win 0\nwrite 5\n40ms > A 1 ack 2", true},
		{"a retransmission before the keep-alive", "established\nkeepalive 15\nwrite 5\n> A 1+5 ack 1", false},
		{"a delayed acknowledgement", "established\nkeepalive 15\n< A 1+5 ack 1", false},
		{"both at one instant", "established\nkeepalive 1\n@960ms\npatient\n< A 1+5 ack 1", false},
		{"TIME-WAIT", "established\nkeepalive 15\nclose\n> FA 1 ack 1\n< FA 1 ack 2\n> A 2 ack 2", false},
		{"FIN-WAIT-2 of an orphan", "established\nkeepalive 15\nclose\n> FA 1 ack 1\n< A 1 ack 2", false},
		{"FIN-WAIT-2 of an application that reads", "established\nkeepalive 15\nclosewrite\n> FA 1 ack 1\n< A 1 ack 2", true},
	} {
		s := &script{tb: t, now: time.Hour, peerISN: 5}
		s.run(row.text)
		if got := s.conn.Idles(); got != row.want {
			t.Errorf("%s: %v", row.name, got)
		}
	}
}
