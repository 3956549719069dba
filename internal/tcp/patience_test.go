package tcp

import "testing"

// Which data is acknowledged at once, as Linux decides it.
func TestQuickACK(t *testing.T) {
	runRows(t, []row{
		{"a new connection acknowledges its first 16 segments at once: TCP_MAX_QUICKACKS", Config{}, `
			new
			< A 1+10 ack 1
			> A 1 ack 11
			< A 11+10 ack 1
			> A 1 ack 21
			< A 21+10 ack 1
			> A 1 ack 31
			< A 31+10 ack 1
			> A 1 ack 41
			< A 41+10 ack 1
			> A 1 ack 51
			< A 51+10 ack 1
			> A 1 ack 61
			< A 61+10 ack 1
			> A 1 ack 71
			< A 71+10 ack 1
			> A 1 ack 81
			< A 81+10 ack 1
			> A 1 ack 91
			< A 91+10 ack 1
			> A 1 ack 101
			< A 101+10 ack 1
			> A 1 ack 111
			< A 111+10 ack 1
			> A 1 ack 121
			< A 121+10 ack 1
			> A 1 ack 131
			< A 131+10 ack 1
			> A 1 ack 141
			< A 141+10 ack 1
			> A 1 ack 151
			< A 151+10 ack 1
			> A 1 ack 161
			< A 161+10 ack 1
			40ms > A 1 ack 171`},
		{"but no more than every second segment of the window", Config{RecvBuffer: 5000}, `
			new
			< A 1+536 ack 1
			> A 1 ack 537
			< A 537+536 ack 1
			> A 1 ack 1073
			< A 1073+536 ack 1
			> A 1 ack 1609
			< A 1609+536 ack 1
			> A 1 ack 2145
			< A 2145+536 ack 1
			40ms > A 1 ack 2681`},
		{"once it answers within 40 ms, acknowledgements wait for the next answer", Config{}, `
			new
			< A 1+10 ack 1
			> A 1 ack 11
			@39ms
			write 5
			> A 1+5 ack 11
			< A 11+10 ack 6
			@50ms
			write 5
			> A 6+5 ack 21
			< A 21 ack 11`},
		{"an answer after 40 ms is none", Config{}, `
			new
			< A 1+10 ack 1
			> A 1 ack 11
			@40ms
			write 5
			> A 1+5 ack 11
			< A 11+10 ack 6
			> A 6 ack 21`},
		{"an acknowledgement that waited in vain ends the patience", Config{}, `
			new
			< A 1+10 ack 1
			> A 1 ack 11
			write 5
			> A 1+5 ack 11
			< A 11+10 ack 6
			40ms > A 6 ack 21
			< A 21+10 ack 6
			> A 6 ack 31`},
		{"so does data that comes again", Config{}, `
			established
			< A 1+10 ack 1
			write 5
			> A 1+5 ack 11
			< A 1+10 ack 6
			> A 6 ack 11
			< A 11+10 ack 6
			> A 6 ack 21`},
		{"a silence longer than the retransmission timeout begins the haste anew", Config{}, `
			established
			@200ms
			< A 1+10 ack 1
			240ms > A 1 ack 11
			@400.000001ms
			< A 11+10 ack 1
			> A 1 ack 21`},
		{"with Merge the segments of an instant have one answer, at its end", Config{Merge: 10_000}, `
			new
			< A 1+10 ack 1
			< A 11+10 ack 1
			0s > A 1 ack 21
			@1ms
			< A 21+10 ack 1
			1ms > A 1 ack 31`},
	})
}
