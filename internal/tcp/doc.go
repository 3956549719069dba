// Package tcp is the TCP state machine of RFC 9293 without I/O, clock or lock:
// segments, application calls and expiries go in; segments, state and the time of the
// next expiry come out. The owner brings the time, carries the segments, and looks at
// the state after each call to see whom to wake.
//
// All times are durations since an epoch of the owner's choice; a time of 0 as a
// deadline means none, so the clock should have started when the machine does.
//
// Not here: selective acknowledgement, timestamps, urgent data, ECN.
package tcp
