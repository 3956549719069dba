package tcp

import (
	"time"

	"github.com/netspec-go/netspec/internal/wire"
)

// Sender carries a segment away. It is called from inside the machine and must not
// call back into it; data is valid only during the call. The sender fills in ports. Data
// longer than MSS is a train of segments, see Config.Train: all are full but the last, to
// which alone PSH and FIN belong.
type Sender interface {
	Send(h *wire.TCP, data []byte)
}

// KeepAlive says when an idle connection is probed. The zero KeepAlive is never. What
// waits to be acknowledged is retransmitted instead.
type KeepAlive struct {
	Idle     time.Duration // of silence before the first probe; 0 means no probes
	Interval time.Duration // between probes; 0 means 75 s, net.ipv4.tcp_keepalive_intvl
	Count    int           // unanswered probes that kill the connection; 0 means 9, net.ipv4.tcp_keepalive_probes
}

// CongestionControl says how much may be in flight besides what the peer's window
// allows.
type CongestionControl uint8

// The congestion controls.
const (
	NoCongestion CongestionControl = iota // the window alone, except after a timeout
	NewReno                               // RFC 5681 and RFC 6582
)

// Config shapes a machine. Its zero fields have the defaults of Linux.
type Config struct {
	MTU        int           // of the first link; 0 means 1500
	IPHeader   int           // bytes in front of each segment; 0 means 20, IPv4's
	SendBuffer int           // bytes that Write takes before it refuses; 0 means no limit
	RecvBuffer int           // bytes that wait to be read; 0 means DefaultRecvBuffer
	ISN        uint32        // the initial sequence number
	TSOffset   uint32        // what the clock of the timestamps shows when time is 0
	Nagle      bool          // wait for acknowledgements before sending small segments
	KeepAlive  KeepAlive     //
	SYNRetries int           // 0 means 6 for Dial, 5 for Accept (net.ipv4.tcp_syn_retries, tcp_synack_retries)
	Retries    int           // how long the peer may be silent: see patienceFor; 0 means 15 (net.ipv4.tcp_retries2), and 8 once the application has closed
	DelayedACK time.Duration // 0 means 40 ms, Linux's TCP_DELACK_MIN
	Train      int           // bytes that one Send may carry, as several segments of MSS each; 0 means one segment
	Merge      int           // bytes of one instant that one acknowledgement answers, as Linux's GRO does; 0 means two segments
	Congestion CongestionControl
	Pool       *BufferPool // where buffers come from; nil allocates
}

// Defaults that have no field of their own.
const (
	DefaultRecvBuffer = 1 << 20
	timeWait          = 60 * time.Second // Linux's TCP_TIMEWAIT_LEN
	finWait2          = 60 * time.Second // net.ipv4.tcp_fin_timeout
	orphanRetries     = 8                // what net.ipv4.tcp_orphan_retries of 0 means
	strayACKs         = 500 * time.Millisecond
	synAgain          = 8 * time.Millisecond
	maxScale          = 14   // RFC 7323, 2.3
	minMSS            = 48   // Linux's TCP_MIN_SND_MSS
	defaultMSS        = 536  // RFC 9293, 3.7.1: where the peer names none
	defaultMSS6       = 1220 // the same, over IPv6
)

// headers is what a segment without options has in front of its data.
func (c *Config) headers() int { return c.IPHeader + wire.TCPHeaderLen }

func (c *Config) defaultMSS() int {
	if c.IPHeader == wire.IPv6HeaderLen {
		return defaultMSS6
	}
	return defaultMSS
}
