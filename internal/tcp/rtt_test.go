package tcp

import (
	"testing"
	"time"
)

func TestRTT(t *testing.T) {
	const ms = time.Millisecond
	for _, row := range []struct {
		rule    string
		samples []time.Duration
		lostSYN bool
		backoff uint
		want    time.Duration
	}{
		{"RFC 6298 2.1: a second before the first sample", nil, false, 0, time.Second},
		{"RFC 6298 5.7: three if the SYN was lost", nil, true, 0, 3 * time.Second},
		{"RFC 6298 2.2: R + 4 * R/2", []time.Duration{200 * ms}, false, 0, 600 * ms},
		{"the lost SYN is forgotten then", []time.Duration{200 * ms}, true, 0, 600 * ms},
		{"RFC 6298 2.3: 7/8 and 1/8, 3/4 and 1/4", []time.Duration{800 * ms, 400 * ms}, false, 0, 750*ms + 4*400*ms},
		{"Linux's TCP_RTO_MIN is the least for the variance", []time.Duration{40 * ms}, false, 0, 240 * ms},
		{"a round trip without latency is one", []time.Duration{0}, false, 0, 200 * ms},
		{"RFC 6298 5.5: doubling", []time.Duration{0}, false, 3, 1600 * ms},
		{"Linux's TCP_RTO_MAX", []time.Duration{0}, false, 63, 120 * time.Second},
		{"also before the doubling", []time.Duration{time.Hour}, false, 2, 120 * time.Second},
	} {
		r := rttEstimator{lostSYN: row.lostSYN}
		now := time.Second
		for _, sample := range row.samples {
			r.start(5, now)
			r.start(6, now+1) // a measurement runs already
			r.acked(4, 7, now+sample/2)
			now += sample
			r.acked(5, 7, now)
		}
		r.backoff = row.backoff
		if got := r.timeout(); got != row.want {
			t.Errorf("%s: %v, want %v", row.rule, got, row.want)
		}
	}
}

// TestLatencyJump makes the round trip ten times the timeout: the backoff must last
// until a segment gets through untouched, or every one would be sent twice for ever.
func TestLatencyJump(t *testing.T) {
	n := newNetwork(t, 1)
	n.dial(Config{}, Config{})
	n.run(time.Second)
	n.latency = 2 * time.Second
	c := n.ends[0].conn
	for range 5 {
		c.Write([]byte("x"), n.now)
		n.run(10 * time.Second)
	}
	sent := c.Stats().Retransmits
	for range 20 {
		c.Write([]byte("x"), n.now)
		n.run(10 * time.Second)
	}
	if got := c.Stats().Retransmits; got != sent || sent == 0 {
		t.Errorf("%d retransmissions after the first %d", got-sent, sent)
	}
}
