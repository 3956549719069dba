package tcp

import "testing"

// A retransmission timeout that came too early is taken back: the acknowledgement that
// follows answers what was sent first.
func TestRegret(t *testing.T) {
	runRows(t, []row{
		{"RFC 4015: the window is as it was, and nothing more is sent again", Config{Congestion: NewReno}, `
			new ts
			patient
			write 14480
			>> 1+14480
			200ms > A 1+1448 ack 1 tsval 3600200 tsecr 500
			cwnd 1448
			@250ms
			< A 1 ack 2897 tsval 501 tsecr 3600000
			cwnd 17376`},
		{"an acknowledgement of the second is none of the first", Config{Congestion: NewReno}, `
			new ts
			patient
			write 14480
			>> 1+14480
			200ms > A 1+1448 ack 1 tsval 3600200 tsecr 500
			@250ms
			< A 1 ack 2897 tsval 501 tsecr 3600200
			>> 2897+2896
			cwnd 2896`},
	})
}
