package tcp

import "time"

// The bounds of the retransmission timeout: Linux's TCP_RTO_MIN and TCP_RTO_MAX, and
// RFC 6298's value before the first sample.
const (
	minRTO     = 200 * time.Millisecond
	initialRTO = time.Second
	maxRTO     = 120 * time.Second
)

// rttEstimator measures the round trip with one segment at a time and derives the
// retransmission timeout (RFC 6298).
type rttEstimator struct {
	smoothed, variance time.Duration
	seq                uint32 // an acknowledgement of this ends the measurement
	since              time.Duration
	running            bool
	backoff            uint
}

func (r *rttEstimator) start(seq uint32, now time.Duration) {
	if !r.running {
		r.seq, r.since, r.running = seq, now, true
	}
}

// cancel gives the measurement up: what is retransmitted must not be measured (Karn).
func (r *rttEstimator) cancel() { r.running = false }

func (r *rttEstimator) acked(ack uint32, now time.Duration) {
	r.backoff = 0
	if !r.running || before(ack, r.seq) {
		return
	}
	r.running = false
	sample := now - r.since
	if r.smoothed == 0 && r.variance == 0 {
		r.smoothed, r.variance = sample, sample/2
		return
	}
	r.variance += ((r.smoothed - sample).Abs() - r.variance) / 4
	r.smoothed += (sample - r.smoothed) / 8
}

// timeout returns the retransmission timeout with its backoff.
func (r *rttEstimator) timeout() time.Duration {
	rto := initialRTO
	if r.smoothed != 0 || r.variance != 0 {
		rto = max(minRTO, r.smoothed+4*r.variance)
	}
	return min(rto<<min(r.backoff, 16), maxRTO)
}
