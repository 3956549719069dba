package tcp

import (
	"testing"
	"time"
)

func TestKeepAlive(t *testing.T) {
	k := KeepAlive{Idle: 15 * time.Second, Interval: 5 * time.Second, Count: 3}
	runRows(t, []row{
		{"probes after Idle, then every Interval; RST and ErrTimeout after Count", Config{KeepAlive: k}, `
			established
			15s > A 0 ack 1
			20s > A 0 ack 1
			25s > A 0 ack 1
			30s > RA 1 ack 1
			= CLOSED timeout`},
		{"an answer starts it again", Config{KeepAlive: k}, `
			established
			15s > A 0 ack 1
			20s > A 0 ack 1
			@21s
			< A 1 ack 1
			36s > A 0 ack 1
			41s > A 0 ack 1
			46s > A 0 ack 1
			51s > RA 1 ack 1
			= CLOSED timeout`},
		{"so does data", Config{KeepAlive: k}, `
			established
			@14s
			< A 1+1 ack 1
			> A 1 ack 2
			29s > A 0 ack 2`},
		{"Linux: what waits for its acknowledgement is retransmitted, not probed", Config{KeepAlive: k}, `
			established
			@14.9s
			write 1
			> A 1+1 ack 1
			15.1s > A 1+1 ack 1
			15.5s > A 1+1 ack 1
			16.3s > A 1+1 ack 1
			17.9s > A 1+1 ack 1
			21.1s > A 1+1 ack 1
			27.5s > A 1+1 ack 1
			40.3s > A 1+1 ack 1`},
		{"zero Interval and Count are Linux's 75 s and 9", Config{KeepAlive: KeepAlive{Idle: time.Second}}, `
			established
			1s > A 0 ack 1
			76s > A 0 ack 1
			151s > A 0 ack 1
			226s > A 0 ack 1
			301s > A 0 ack 1
			376s > A 0 ack 1
			451s > A 0 ack 1
			526s > A 0 ack 1
			601s > A 0 ack 1
			676s > RA 1 ack 1
			= CLOSED timeout`},
		{"the zero KeepAlive is never", Config{}, "established\n@1000h\n= ESTABLISHED"},
		{"nor at TIME-WAIT", Config{KeepAlive: k}, `
			established
			close
			> FA 1 ack 1
			< FA 1 ack 2
			> A 2 ack 2
			@60s
			= CLOSED`},
		{"not at SYN-SENT", Config{KeepAlive: KeepAlive{Idle: time.Millisecond}}, "dial\n> S 0\n1s > S 0"},
		{"a probe is answered, RFC 9293 3.8.4", Config{}, `
			established
			< A 0 ack 1
			> A 1 ack 1
			< A 0+1 ack 1
			> A 1 ack 1`},
	})
}

// TestSetKeepAlive turns it on and off again on a living connection.
func TestSetKeepAlive(t *testing.T) {
	s := &script{tb: t, now: time.Hour, peerISN: 5}
	s.run("established\n@10s")
	s.conn.SetKeepAlive(KeepAlive{Idle: time.Minute}, s.now)
	s.step("60s > A 0 ack 1")
	s.conn.SetKeepAlive(KeepAlive{Idle: time.Second}, s.now)
	s.step("60s > A 0 ack 1")
	s.conn.SetKeepAlive(KeepAlive{}, s.now)
	s.step("@100h")
	s.step("= ESTABLISHED")
}
