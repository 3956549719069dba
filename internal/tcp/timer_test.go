package tcp

import "testing"

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
