// Package tcp is the TCP state machine of RFC 9293 without I/O, clock or lock:
// segments, application calls and expiries go in; segments, state and the time of the
// next expiry come out. The owner brings the time, carries the segments, and looks at
// the state after each call to see whom to wake.
//
// All times are durations since an epoch of the owner's choice; a time of 0 as a
// deadline means none, so the clock should have started when the machine does.
//
// Where the RFCs leave a choice, and in the defaults, it does as Linux does; comments
// name the setting.
//
// Not here: urgent data, ECN, fast open, SYN cookies, data in a SYN; duplicate reports (RFC
// 2883) and reports on data; Linux's RACK and tail loss probes, its proportional rate
// reduction, its slow start after idle, and its search for black holes of path MTU; its
// delayed ACKs do not grow beyond 40 ms, and it delays that of a FIN, which here goes at
// once. A receive buffer does not tune itself.
package tcp
