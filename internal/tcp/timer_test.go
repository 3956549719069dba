package tcp

import (
	"bytes"
	"testing"
	"time"

	"github.com/netspec-go/netspec/internal/wire"
)

func TestRetransmission(t *testing.T) {
	runRows(t, []row{
		{"net.ipv4.tcp_syn_retries: six, a minute and a bit; ETIMEDOUT after 127 s", Config{}, `
			dial
			0s > S 0
			1s > S 0 mss 1460 scale 5
			3s > S 0
			7s > S 0
			15s > S 0
			31s > S 0
			63s > S 0
			@126.999999999s
			= SYN-SENT
			@127s
			= CLOSED timeout`},
		{"Config.SYNRetries", Config{SYNRetries: 1}, `
			dial
			> S 0
			1s > S 0
			@3s
			= CLOSED timeout`},
		{"net.ipv4.tcp_synack_retries: five", Config{}, `
			accept S 0 mss 1460
			> SA 0 ack 1
			1s > SA 0 ack 1
			3s > SA 0 ack 1
			7s > SA 0 ack 1
			15s > SA 0 ack 1
			31s > SA 0 ack 1
			@62.999999999s
			= SYN-RECEIVED
			@63s
			= CLOSED timeout`},
		{"both opened at once: the SYN-ACK goes again", Config{}, `
			dial
			> S 0
			@500ms
			< S 0 mss 1460
			> SA 0 ack 1
			1.5s > SA 0 ack 1
			3.5s > SA 0 ack 1`},
		{"RFC 6298 5.5 and net.ipv4.tcp_retries2: doubling from 200 ms to 120 s, 15 times, ends after 924.6 s", Config{}, `
			established
			write 10
			0s > A 1+10 ack 1
			200ms > A 1+10 ack 1
			600ms > A 1+10 ack 1
			1.4s > A 1+10 ack 1
			3s > A 1+10 ack 1
			6.2s > A 1+10 ack 1
			12.6s > A 1+10 ack 1
			25.4s > A 1+10 ack 1
			51s > A 1+10 ack 1
			102.2s > A 1+10 ack 1
			204.6s > A 1+10 ack 1
			324.6s > A 1+10 ack 1
			444.6s > A 1+10 ack 1
			564.6s > A 1+10 ack 1
			684.6s > A 1+10 ack 1
			804.6s > A 1+10 ack 1
			@924.599999999s
			= ESTABLISHED
			@924.6s
			= CLOSED timeout`},
		{"net.ipv4.tcp_retries2 is a time: who begins with 2.4 s asks less often", Config{}, `
			dial
			> S 0
			@800ms
			< SA 0 ack 1 mss 1460
			> A 1 ack 1
			write 10
			> A 1+10 ack 1
			3.2s > A 1+10 ack 1
			8s > A 1+10 ack 1
			17.6s > A 1+10 ack 1
			36.8s > A 1+10 ack 1
			75.2s > A 1+10 ack 1
			152s > A 1+10 ack 1
			272s > A 1+10 ack 1
			392s > A 1+10 ack 1
			512s > A 1+10 ack 1
			632s > A 1+10 ack 1
			752s > A 1+10 ack 1
			872s > A 1+10 ack 1
			@991.999999999s
			= ESTABLISHED
			@992s
			= CLOSED timeout`},
		{"RFC 6069: of a router that knows no way on, each takes a doubling back", Config{}, `
			established
			write 10
			0s > A 1+10 ack 1
			@10ms
			noroute 1
			200ms > A 1+10 ack 1
			@210ms
			noroute 1
			noroute 1
			400ms > A 1+10 ack 1
			@410ms
			noroute 2
			800ms > A 1+10 ack 1
			1.6s > A 1+10 ack 1
			@2.9s
			noroute 1
			2.9s > A 1+10 ack 1
			4.5s > A 1+10 ack 1`},
		{"and it is patient for as long as without: 1 s after the first", Config{Retries: 2}, `
			established
			write 10
			0s > A 1+10 ack 1
			200ms > A 1+10 ack 1
			noroute 1
			400ms > A 1+10 ack 1
			noroute 1
			600ms > A 1+10 ack 1
			noroute 1
			800ms > A 1+10 ack 1
			1.2s > A 1+10 ack 1
			@1.999999999s
			= ESTABLISHED
			@2s
			= CLOSED timeout`},
		{"Config.Retries", Config{Retries: 1}, `
			established
			write 10
			> A 1+10 ack 1
			200ms > A 1+10 ack 1
			@600ms
			= CLOSED timeout`},
		{"net.ipv4.tcp_orphan_retries: eight once the application has closed", Config{}, `
			established
			close
			> FA 1 ack 1
			200ms > FA 1 ack 1
			600ms > FA 1 ack 1
			1.4s > FA 1 ack 1
			3s > FA 1 ack 1
			6.2s > FA 1 ack 1
			12.6s > FA 1 ack 1
			25.4s > FA 1 ack 1
			51s > FA 1 ack 1
			@102.2s
			= CLOSED timeout`},
		{"which is a time too", Config{}, `
			dial
			> S 0
			@800ms
			< SA 0 ack 1 mss 1460
			> A 1 ack 1
			close
			> FA 1 ack 1
			3.2s > FA 1 ack 1
			8s > FA 1 ack 1
			17.6s > FA 1 ack 1
			36.8s > FA 1 ack 1
			75.2s > FA 1 ack 1
			@152s
			= CLOSED timeout`},
		{"RFC 6298 2.2 and 5.3: the timeout follows the first sample: 100 + 4 * 50 ms", Config{}, `
			dial
			> S 0
			@100ms
			< SA 0 ack 1 mss 1460
			> A 1 ack 1
			write 10
			> A 1+10 ack 1
			400ms > A 1+10 ack 1`},
		{"Linux: the variance counts at least 200 ms, so that a steady 300 ms round trip leaves time for delayed ACKs", Config{}, `
			dial
			> S 0
			@300ms
			< SA 0 ack 1 mss 1460
			> A 1 ack 1
			write 1
			> A 1+1 ack 1
			@600ms
			< A 1 ack 2
			write 1
			> A 2+1 ack 1
			@900ms
			< A 1 ack 3
			write 1
			> A 3+1 ack 1
			@1200ms
			< A 1 ack 4
			write 1
			> A 4+1 ack 1
			@1500ms
			< A 1 ack 5
			write 1
			> A 5+1 ack 1
			@1800ms
			< A 1 ack 6
			write 1
			> A 6+1 ack 1
			@2100ms
			< A 1 ack 7
			write 1
			> A 7+1 ack 1
			@2400ms
			< A 1 ack 8
			write 1
			> A 8+1 ack 1
			@2700ms
			< A 1 ack 9
			write 1
			> A 9+1 ack 1
			3.2s > A 9+1 ack 1`},
		{"Karn: what was retransmitted is not measured, and the backoff stays until something is", Config{}, `
			established
			write 10
			> A 1+10 ack 1
			200ms > A 1+10 ack 1
			@300ms
			< A 1 ack 11
			write 10
			> A 11+10 ack 1
			700ms > A 11+10 ack 1
			@800ms
			< A 1 ack 21
			write 10
			> A 21+10 ack 1
			@900ms
			< A 1 ack 31
			write 10
			> A 31+10 ack 1
			@1.1s
			< A 1 ack 41
			write 10
			> A 41+10 ack 1
			1.3984375s > A 41+10 ack 1`},
		{"RFC 6298 5.3: an ACK of something new starts the timer again", Config{}, `
			established
			write 10
			> A 1+10 ack 1
			write 10
			> A 11+10 ack 1
			@100ms
			< A 1 ack 11
			312.5ms > A 11+10 ack 1`},
		{"RFC 6298 5.2: nothing in flight, no timer", Config{}, `
			established
			write 10
			> A 1+10 ack 1
			< A 1 ack 11
			@10h
			= ESTABLISHED`},
		{"after a timeout, one segment; the rest follows what is acknowledged", Config{}, `
			established
			write 4380
			> A 1+1460 ack 1
			> A 1461+1460 ack 1
			> A 2921+1460 ack 1
			200ms > A 1+1460 ack 1
			< A 1 ack 1461
			> A 1461+1460 ack 1
			> A 2921+1460 ack 1
			< A 1 ack 4381
			@10h`},
	})
}

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
