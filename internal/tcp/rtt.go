package tcp

import "time"

// The bounds of the retransmission timeout: Linux's TCP_RTO_MIN and TCP_RTO_MAX, and
// RFC 6298's value before the first sample.
const (
	minRTO     = 200 * time.Millisecond
	initialRTO = time.Second
	lostSYNRTO = 3 * time.Second // RFC 6298, 5.7
	maxRTO     = 120 * time.Second
)

// rttEstimator measures the round trip with one segment at a time, and while something is
// repaired by timestamps, and derives the retransmission timeout (RFC 6298). As in Linux
// the variance is the largest of a round trip and falls once in one, so that many samples
// do not make it forget (RFC 7323, appendix G).
type rttEstimator struct {
	smoothed, variance time.Duration
	deviation, largest time.Duration // the mean one, and the largest mean of this round trip
	round              uint32        // an acknowledgement behind this ends the round trip
	seq                uint32        // one of this ends the measurement
	since              time.Duration
	running            bool
	sampled            bool // smoothed and variance mean something
	lostSYN            bool // the handshake needed a retransmission
	backoff            uint
}

func (r *rttEstimator) start(seq uint32, now time.Duration) {
	if !r.running {
		r.seq, r.since, r.running = seq, now, true
	}
}

// cancel gives the measurement up: what is retransmitted must not be measured (Karn).
func (r *rttEstimator) cancel() { r.running = false }

// acked ends the measurement if ack does; nxt is what will be sent next. The backoff stays
// until then: while every segment is retransmitted before its acknowledgement can come,
// nothing is measured.
func (r *rttEstimator) acked(ack, nxt uint32, now time.Duration) {
	if !r.running || before(ack, r.seq) {
		return
	}
	r.running = false
	r.sample(now-r.since, ack, nxt)
}

// sample takes a round trip that ack has measured.
func (r *rttEstimator) sample(sample time.Duration, ack, nxt uint32) {
	r.backoff = 0
	if !r.sampled {
		r.smoothed, r.variance, r.sampled = sample, sample/2, true
		r.deviation, r.round = sample/2, nxt
		return
	}
	off := (sample - r.smoothed).Abs() - r.deviation
	if sample < r.smoothed && off > 0 {
		off /= 8 // a path that gets better is no reason to wait longer
	}
	r.deviation += off / 4
	r.smoothed += (sample - r.smoothed) / 8
	r.largest = max(r.largest, r.deviation)
	r.variance = max(r.variance, r.largest)
	if before(r.round, ack) {
		r.variance -= (r.variance - r.largest) / 4
		r.round, r.largest = nxt, 0
	}
}

// timeout returns the retransmission timeout with its backoff.
func (r *rttEstimator) timeout() time.Duration { return r.backedOff(r.backoff) }

// backedOff returns the retransmission timeout doubled n times. As in Linux the bound
// is one of the variance, so that a steady round trip leaves time for a delayed ACK.
func (r *rttEstimator) backedOff(n uint) time.Duration {
	rto := initialRTO
	switch {
	case r.sampled:
		rto = r.smoothed + max(minRTO, 4*r.variance)
	case r.lostSYN:
		rto = lostSYNRTO
	}
	return min(min(rto, maxRTO)<<min(n, 16), maxRTO)
}
