package tcp

import (
	"testing"
	"time"
)

func TestReceive(t *testing.T) {
	runRows(t, []row{
		{"RFC 9293 3.10.7.4: an old duplicate is answered with an ACK and dropped", Config{}, `
			established
			< A 1+10 ack 1
			40ms > A 1 ack 11
			< A 1+10 ack 1
			> A 1 ack 11
			< A 1+10 ack 1
			> A 1 ack 11
			buffered 10`},
		{"what overlaps is cut", Config{}, `
			established
			< A 1+10 ack 1
			< A 6+10 ack 1
			read 15`},
		{"what lies beyond the window is answered and dropped", Config{RecvBuffer: 100}, `
			established
			< A 101+10 ack 1
			> A 1 ack 1 win 100
			< A 91+20 ack 1
			> A 1 ack 1 win 100
			< A 1+90 ack 1
			> A 1 ack 101 win 0
			read 100
			> A 1 ack 101 win 100`},
		{"a closed window takes no data, but what it acknowledges", Config{RecvBuffer: 10}, `
			established
			< A 1+10 ack 1
			40ms > A 1 ack 11 win 0
			write 5
			> A 1+5 ack 11 win 0
			< A 11+10 ack 6
			> A 6 ack 11 win 0
			@10s
			buffered 10`},
		{"RFC 9293 3.10.7.4: without ACK it is dropped", Config{}, "established\n< P 1+10\n@1s\nbuffered 0"},
		{"the peer may acknowledge from the edge of a window that it has filled", Config{RecvBuffer: 10}, `
			established
			write 10
			> A 1+10 ack 1
			< A 11 ack 11
			@10s
			= ESTABLISHED`},
		{"RFC 9293 3.10.7.4: an ACK of what was never sent is answered and dropped", Config{}, `
			established
			write 10
			> A 1+10 ack 1
			< A 1+10 ack 12
			> A 11 ack 1
			buffered 0`},
		{"RFC 5961 5: so is one that is older than the window", Config{}, `
			established
			< A 1+10 ack -64000
			> A 1 ack 1
			buffered 0
			@1s
			< A 1+10 ack -63999
			> A 1 ack 11
			buffered 10`},
		{"an old ACK counts for nothing, its data does", Config{}, `
			established
			write 20
			> A 1+20 ack 1
			< A 1+10 ack 21
			< A 11+10 ack 11 win 5
			buffered 20
			write 100
			> A 21+100 ack 21`},
		{"RFC 9293 3.10.7.4: RST, exactly in order", Config{}, "established\n< R 1\n= CLOSED reset"},
		{"what came before RST can be read", Config{}, "established\n< A 1+10 ack 1\n< R 11\n= CLOSED reset\nread 10"},
		{"RFC 5961 3: RST inside the window is challenged", Config{}, `
			established
			< R 2
			> A 1 ack 1
			= ESTABLISHED
			< R 1
			= CLOSED reset`},
		{"RFC 5961 3: RST outside the window is dropped", Config{}, "established\n< R 0\n< R 65537\n= ESTABLISHED"},
		{"RST with the window closed", Config{RecvBuffer: 10}, `
			established
			< A 1+10 ack 1
			40ms > A 1 ack 11 win 0
			< R 11
			= CLOSED reset`},
		{"RST after the peer's FIN: broken pipe", Config{}, "established\n< FA 1 ack 1\n> A 1 ack 2\n< R 2\n= CLOSED pipe"},
		{"RST at LAST-ACK, CLOSING and TIME-WAIT is the end", Config{}, `
			established
			< FA 1 ack 1
			> A 1 ack 2
			close
			> FA 1 ack 2
			< R 2
			= CLOSED`},
		{"RFC 5961 4: SYN is challenged, in the window and before it", Config{}, `
			established
			< S 1
			> A 1 ack 1
			@1s
			< S 0
			> A 1 ack 1
			@2s
			< SA 100 ack 1
			> A 1 ack 1
			= ESTABLISHED`},
		{"net.ipv4.tcp_invalid_ratelimit: a challenge every 500 ms, so that two ends cannot challenge each other for ever", Config{}, `
			established
			< S 1
			> A 1 ack 1
			< S 1
			< A 0 ack 1
			< R 2
			< A 1 ack 5
			@499ms
			< S 1
			@500ms
			< S 1
			> A 1 ack 1`},
		{"RFC 9293 3.8.6: a window that comes late and old is not believed", Config{}, `
			established
			write 10
			> A 1+10 ack 1
			< A 101 ack 11 win 100
			< A 1 ack 11 win 50
			write 100
			> A 11+100 ack 1`},
		{"what acknowledges more brings its window, even with old data", Config{}, `
			established
			write 10
			> A 1+10 ack 1
			< A 101+1 ack 1 win 100
			> A 11 ack 1
			< A 1+1 ack 11 win 50
			> A 11 ack 2
			write 50
			> A 11+50 ack 2
			write 1
			@100ms`},
	})
}

func TestReceiveTimeWait(t *testing.T) {
	runRows(t, []row{
		{"RST ends it", Config{}, "established\nclose\n> FA 1 ack 1\n< FA 1 ack 2\n> A 2 ack 2\n< R 2\n= CLOSED"},
		{"an old duplicate is answered", Config{}, `
			established
			close
			> FA 1 ack 1
			< FA 1 ack 2
			> A 2 ack 2
			@10s
			< A 1 ack 2
			> A 2 ack 2
			@60s
			= CLOSED`},
		{"new data is nobody's", Config{}, `
			established
			close
			> FA 1 ack 1
			< FA 1 ack 2
			> A 2 ack 2
			< A 2+10 ack 2
			> A 2 ack 2
			= TIME-WAIT`},
		{"a closed machine takes nothing", Config{}, "established\nabort\n> RA 1 ack 1\n< A 1+10 ack 1\n< S 5\n= CLOSED"},
	})
}

func TestDelayedACK(t *testing.T) {
	runRows(t, []row{
		{"TCP_DELACK_MIN: exactly 40 ms", Config{}, `
			established
			< A 1+10 ack 1
			@30ms
			< A 11+10 ack 1
			40ms > A 1 ack 21
			@10h`},
		{"Config.DelayedACK", Config{DelayedACK: 200 * time.Millisecond}, `
			established
			< A 1+10 ack 1
			200ms > A 1 ack 11`},
		{"RFC 9293 3.8.6.3: at once for every second full segment", Config{}, `
			established
			< A 1+1460 ack 1
			< A 1461+1460 ack 1
			> A 1 ack 2921
			< A 2921+1460 ack 1
			< A 4381+1460 ack 1
			> A 1 ack 5841
			< A 5841+1460 ack 1
			40ms > A 1 ack 7301`},
		{"full is what the peer sends, not what we could", Config{MTU: 9001}, `
			dial
			> S 0
			< SA 0 ack 1 win 64000 mss 8961
			> A 1 ack 1
			patient
			< A 1+1460 ack 1
			< A 1461+1460 ack 1
			> A 1 ack 2921`},
		{"it rides on data", Config{}, `
			established
			< A 1+10 ack 1
			@20ms
			write 5
			> A 1+5 ack 11
			< A 11 ack 6
			@10h`},
		{"at once where there is a hole, and where it is filled", Config{}, `
			established
			< A 11+10 ack 1
			> A 1 ack 1
			< A 1+5 ack 1
			> A 1 ack 6
			< A 6+5 ack 1
			> A 1 ack 21
			read 20`},
		{"a FIN at once", Config{}, `
			established
			< FA 1+10 ack 1
			> A 1 ack 12`},
	})
}

// With Merge the segments of an instant have one acknowledgement at its end, unless
// they are more than Merge says.
func TestMerge(t *testing.T) {
	merge := Config{Merge: 2400}
	runRows(t, []row{
		{"two segments and more are answered in the same instant, but not at once", merge, `
			established
			< A 1+600 ack 1
			< A 601+600 ack 1
			< A 1201+600 ack 1
			0s > A 1 ack 1801
			@1s
			= ESTABLISHED`},
		{"what is sent meanwhile carries the acknowledgement", merge, `
			established
			< A 1+600 ack 1
			< A 601+600 ack 1
			write 5
			> A 1+5 ack 1201`},
		{"one segment is answered later, as ever", merge, `
			established
			< A 1+600 ack 1
			40ms > A 1 ack 601`},
		{"as much as Merge: at once", merge, `
			established
			< A 1+1200 ack 1
			< A 1201+1200 ack 1
			> A 1 ack 2401`},
		{"a hole: at once", merge, `
			established
			< A 601+600 ack 1
			> A 1 ack 1`},
	})
}
