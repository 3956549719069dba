package tcp

import (
	"errors"
	"fmt"
)

// State is a state of RFC 9293, section 3.3.2. The zero State is Closed.
type State uint8

// The states. LISTEN is not one of a Conn: listening is the owner's affair.
const (
	Closed State = iota
	SynSent
	SynReceived
	Established
	FinWait1
	FinWait2
	CloseWait
	Closing
	LastAck
	TimeWait
)

var stateNames = [...]string{
	"CLOSED", "SYN-SENT", "SYN-RECEIVED", "ESTABLISHED", "FIN-WAIT-1", "FIN-WAIT-2",
	"CLOSE-WAIT", "CLOSING", "LAST-ACK", "TIME-WAIT",
}

// String returns the state's name as the RFC writes it.
func (s State) String() string {
	if int(s) < len(stateNames) {
		return stateNames[s]
	}
	return "UNKNOWN"
}

// synchronized reports whether both ends know each other's sequence numbers.
func (s State) synchronized() bool { return s >= Established }

// Why a connection died.
var (
	ErrRefused = errors.New("tcp: connection refused") // RST in answer to our SYN
	ErrReset   = errors.New("tcp: connection reset")   // RST later on
	ErrTimeout = errors.New("tcp: timed out")          // too many retransmissions or probes

	// ErrPipe is an ErrReset that came after the peer's FIN; Linux makes EPIPE of it.
	ErrPipe = fmt.Errorf("tcp: broken pipe: %w", ErrReset)
)

// before reports whether sequence number a comes before b, modulo 2^32.
func before(a, b uint32) bool { return int32(a-b) < 0 }

func maxSeq(a, b uint32) uint32 {
	if before(a, b) {
		return b
	}
	return a
}
