package tcp

import (
	"bytes"
	"testing"
	"time"

	"github.com/netspec-go/netspec/internal/wire"
)

func TestSend(t *testing.T) {
	runRows(t, []row{
		{"segments of MSS, the last with PSH", Config{}, `
			established
			write 3000
			> A 1+1460 ack 1
			> A 1461+1460 ack 1
			> PA 2921+80 ack 1`},
		{"RFC 9293 3.8.6: not beyond the window", Config{}, `
			dial
			> S 0
			< SA 0 ack 1 win 2000 mss 1460
			> A 1 ack 1
			write 5000
			> A 1+1460 ack 1
			< A 1 ack 1461 win 2000
			> A 1461+1460 ack 1
			< A 1 ack 2921 win 3000
			> A 2921+1460 ack 1
			> A 4381+620 ack 1`},
		{"RFC 9293 3.8.6.2.1 rule 3: half of the largest window is enough", Config{}, `
			dial
			> S 0
			< SA 0 ack 1 win 1000 mss 1460
			> A 1 ack 1
			write 1200
			> A 1+1000 ack 1
			< A 1 ack 1001 win 150
			@50ms
			< A 1 ack 1001 win 500
			> A 1001+200 ack 1`},
		{"RFC 9293 3.7.4: Nagle holds a small segment back while others are in flight", Config{Nagle: true}, `
			established
			write 10
			> A 1+10 ack 1
			write 10
			write 10
			< A 1 ack 11
			> A 11+20 ack 1
			write 1470
			> A 31+1460 ack 1
			close
			> FA 1491+10 ack 1`},
		{"without it they go at once", Config{}, "established\nwrite 1\n> A 1+1 ack 1\nwrite 1\n> A 2+1 ack 1"},
		{"RFC 1191: a smaller MTU sends again what a router dropped", Config{}, `
			established
			write 2000
			> A 1+1460 ack 1
			> A 1461+540 ack 1
			mtu 1040
			> A 1+1000 ack 1
			> A 1001+1000 ack 1
			mtu 2000
			< A 1 ack 2001
			write 1001
			> A 2001+1000 ack 1
			> A 3001+1 ack 1`},
		{"a MTU without sense is the smallest", Config{}, "established\nmtu 0\nwrite 49\n> A 1+48 ack 1\n> A 49+1 ack 1"},
		{"SetMTU while the handshake runs is too early", Config{}, "dial\n> S 0\nmtu 576\n1s > S 0 mss 1460"},
		{"an ACK during a repair stands behind all that was sent", Config{}, `
			established
			write 2920
			> A 1+1460 ack 1
			> A 1461+1460 ack 1
			200ms > A 1+1460 ack 1
			< FA 1 ack 1
			> A 2921 ack 2`},
		{"RFC 7323 2.4: what the window seemed to give back is sent again", Config{}, `
			accept S 0 win 100 mss 1460 scale 7
			> SA 0 ack 1
			< A 1 ack 1 win 1
			write 128
			> A 1+128 ack 1
			@100ms
			< A 1 ack 61 win 0
			300ms > A 61+68 ack 1
			< A 1 ack 129 win 1`},
	})
}

func TestSendBuffer(t *testing.T) {
	n := newNetwork(t, 1)
	n.dial(Config{SendBuffer: 1000}, Config{RecvBuffer: 500})
	c := n.ends[0].conn
	if got := c.Write(make([]byte, 10), n.now); got != 0 || c.Writable() {
		t.Errorf("before the handshake is over, Write took %d; Writable %v", got, c.Writable())
	}
	n.run(time.Second)
	if got := c.Write(make([]byte, 1500), n.now); got != 1000 || c.Writable() || c.SendQueue() != 1000 {
		t.Errorf("Write took %d of the buffer's 1000; Writable %v, SendQueue %d", got, c.Writable(), c.SendQueue())
	}
	n.run(time.Second)
	if got := c.SendQueue(); got != 500 || !c.Writable() {
		t.Errorf("SendQueue %d after the window's 500 are acknowledged; Writable %v", got, c.Writable())
	}
	c.CloseWrite(n.now)
	if got := c.Write(make([]byte, 10), n.now); got != 0 || c.CanSend() || c.Writable() {
		t.Errorf("after CloseWrite, Write took %d", got)
	}
}

// TestSillyWindow reads a byte at a time from a full buffer: neither side may answer
// with a flood of tiny segments (RFC 9293, 3.8.6.2).
func TestSillyWindow(t *testing.T) {
	n := newNetwork(t, 1)
	n.dial(Config{}, Config{RecvBuffer: 4000})
	n.run(time.Second)
	const total = 100_000
	n.ends[0].conn.Write(pattern(0, total), n.now)
	n.run(time.Minute)
	full, small, bare := 0, 0, 0
	n.drop = func(from *end, h *wire.TCP, data []byte) bool {
		switch len(data) {
		case 0:
			bare++
		case n.ends[0].conn.mss:
			full++
		default:
			small++
		}
		return false
	}
	for len(n.ends[1].got) < total {
		n.ends[1].read(1)
		n.run(time.Millisecond)
	}
	// One small segment ends the stream. For each full one: its ACK, the window's
	// update, and three probes, with answers, of the window that is closed for 1.46 s.
	if full < 60 || small > 1 || bare > 8*full {
		t.Errorf("%d full segments, %d small ones, %d without data", full, small, bare)
	}
}

// TestAPI asks a machine what its owner asks it.
func TestAPI(t *testing.T) {
	n := newNetwork(t, 1)
	n.dial(Config{}, Config{MTU: 576})
	n.run(time.Second)
	c, s := n.ends[0].conn, n.ends[1].conn
	if got := c.MSS(); got != 536-12 {
		t.Errorf("MSS %d", got)
	}
	if got := c.Stats().SRTT; got != 20*time.Millisecond {
		t.Errorf("SRTT %v", got)
	}
	s.SetNagle(true)
	s.Write([]byte("a"), n.now)
	s.Write([]byte("b"), n.now)
	if s.Stats().Sent != 2 { // SYN-ACK, a
		t.Errorf("Nagle: %+v", s.Stats())
	}
	c.Unreachable(ErrRefused, n.now)
	n.run(time.Second)
	if c.State() != Established || c.Buffered() != 2 || c.EOF() {
		t.Errorf("RFC 5461: a soft error killed the connection: %v, %d bytes", c.State(), c.Buffered())
	}
	c.CloseRead(n.now)
	n.ends[0].read(2)
	if !c.EOF() {
		t.Error("no EOF after CloseRead")
	}
	young := Dial(Config{}, n.ends[0], n.now)
	young.Unreachable(ErrRefused, n.now)
	if young.Err() != ErrRefused || !young.Done() {
		t.Errorf("a hard error while it opens: %v %v", young.Err(), young.State())
	}
	if got := State(99).String(); got != "UNKNOWN" {
		t.Error(got)
	}
}

// sentBytes is a sender that keeps a copy of all data, again and again what is sent
// again.
type sentBytes struct{ data []byte }

func (s *sentBytes) Send(_ *wire.TCP, data []byte) { s.data = append(s.data, data...) }

// What was lent is sent from where it is, and only what the peer has not acknowledged
// when the loan ends is copied, to be sent again.
func TestLend(t *testing.T) {
	var out sentBytes
	c := Accept(Config{}, &out, &wire.TCP{Flags: wire.SYN, MSS: 100}, 1)
	c.Receive(&wire.TCP{Flags: wire.ACK, Seq: 1, Ack: 1, Window: 1000}, nil, 1)
	b := pattern(0, 450)
	if n := c.Lend(b, 1); n != len(b) || !bytes.Equal(out.data, b) {
		t.Fatalf("took %d bytes and sent %d", n, len(out.data))
	}
	c.Receive(&wire.TCP{Flags: wire.ACK, Seq: 1, Ack: 301, Window: 1000}, nil, 1)
	if c.sendBuf.ring != nil {
		t.Error("something was copied before the loan ended")
	}
	c.Keep()
	clear(b)
	if len(c.sendBuf.ring) != 512 || c.SendQueue() != 150 {
		t.Errorf("a ring of %d for %d bytes", len(c.sendBuf.ring), c.SendQueue())
	}
	out.data = nil
	at, _ := c.Timer()
	c.Expire(at)
	if want := pattern(0, 450)[300:400]; !bytes.Equal(out.data, want) {
		t.Errorf("sent %d bytes again, want %d, or others", len(out.data), len(want))
	}
}
