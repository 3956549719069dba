package tcp

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/netspec-go/netspec/internal/wire"
)

// A script is a dialogue of one machine with the test, a line per step:
//
//	dial | accept S 0 win 1000    the machine is made
//	established                   both together: dials and is answered, and is no longer
//	                              in the haste of a new connection's quick ACKs
//	new                           the same in that haste; "new ts" with timestamps
//	patient                       the haste ends
//	< A 1+100 ack 1 win 500       the peer sends 100 bytes at its sequence number 1
//	< A 1 ack 1 sack 11+10        the peer reports 10 bytes at ours, 11
//	> A 1 ack 101                 the machine has sent this and nothing before it
//	1.5s > A 1 ack 101            the same, and it did so exactly then
//	>> 1+14600                    the same of a burst of full segments
//	@2s                           time passes until then
//	= ESTABLISHED                 the state; "= CLOSED reset" names the error too
//	write 10, read 10, buffered 10, close, closewrite, closeread, abort, mtu 576
//	cwnd 14600                    the congestion window
//	keepalive 15                  the peer is probed after so many seconds of silence
//	rto 1s                        the retransmission timeout
//	pipe 2920                     what is on its way
//
// Sequence numbers count from the initial ones. Fields that a line leaves out are not
// looked at in what the machine sends; data always is. Whatever it sends must appear
// in the script.
type script struct {
	tb      testing.TB
	conn    *Conn
	cfg     Config
	peerISN uint32
	now     time.Duration
	check   checker
	sent    []event
	wrote   int
	read    int
	line    string
}

// event is a segment that the machine has sent.
type event struct {
	at   time.Duration
	h    wire.TCP
	data []byte
}

// isns are where the scripts are run: sequence numbers wrap around in the SYN, in the
// data, and in signed arithmetic.
var isns = []uint32{1000, math.MaxUint32, math.MaxUint32 - 50, math.MaxInt32 - 50}

// rows are scripts by the rule that they show.
type row struct {
	rule string
	cfg  Config
	text string
}

func runRows(t *testing.T, rows []row) {
	t.Helper()
	for _, r := range rows {
		t.Run(r.rule, func(t *testing.T) {
			for i, isn := range isns {
				s := &script{tb: t, cfg: r.cfg, peerISN: isns[(i+2)%len(isns)], now: time.Hour}
				s.cfg.ISN = isn
				s.run(r.text)
			}
		})
	}
}

func (s *script) run(text string) {
	s.tb.Helper()
	s.check.init(s, s.cfg)
	for line := range strings.Lines(text) {
		if s.line = strings.TrimSpace(line); s.line != "" {
			s.step(s.line)
		}
	}
	s.line = "the end"
	s.quiet()
}

func (s *script) Helper() { s.tb.Helper() }

// Fatalf fails the test with the line of the script.
func (s *script) Fatalf(format string, args ...any) {
	s.tb.Helper()
	s.tb.Fatalf("%q (ISN %d) at %v: %s", s.line, s.cfg.ISN, s.now-time.Hour, fmt.Sprintf(format, args...))
}

func (s *script) Send(h *wire.TCP, data []byte) {
	s.check.sent(h, data)
	s.sent = append(s.sent, event{s.now, *h, bytes.Clone(data)})
}

func (s *script) step(line string) {
	s.tb.Helper()
	when, rest, ok := strings.Cut(line, " > ")
	if ok {
		s.expectAt(s.duration(when), rest)
		return
	}
	verb, rest, _ := strings.Cut(line, " ")
	if verb == ">" {
		s.expect(rest)
		return
	}
	if verb == ">>" {
		s.expectBurst(rest)
		return
	}
	if verb == "=" {
		s.expectState(rest)
		return
	}
	s.quiet()
	switch verb {
	case "<":
		h, data := s.parse(rest)
		s.check.heard(&h)
		s.conn.Receive(&h, data, s.now)
	case "dial":
		s.conn = Dial(s.cfg, s, s.now)
	case "accept":
		h, _ := s.parse(rest)
		s.check.heard(&h)
		s.conn = Accept(s.cfg, s, &h, s.now)
	case "established":
		s.open("")
		s.patient()
	case "new":
		s.open(rest)
	case "patient":
		s.patient()
	default:
		if strings.HasPrefix(verb, "@") {
			s.advance(time.Hour + s.duration(verb[1:]))
			return
		}
		s.call(verb, rest)
	}
}

// open opens a connection whose peer takes 1460 bytes a segment and offers a window of
// 64000. With "ts" both have timestamps: the clocks begin at 3600000 and at 500.
func (s *script) open(with string) {
	s.tb.Helper()
	s.step("dial")
	s.step("> S 0")
	if with == "ts" {
		s.step("< SA 0 ack 1 win 64000 mss 1460 tsval 500 tsecr 3600000")
		s.step("> A 1 ack 1 tsval 3600000 tsecr 500")
		return
	}
	s.step("< SA 0 ack 1 win 64000 mss 1460")
	s.step("> A 1 ack 1")
}

// patient makes the machine one that has received data before.
func (s *script) patient() {
	s.conn.patience.heard, s.conn.patience.last, s.conn.patience.quick = true, s.now, 0
}

// call is what the application does.
func (s *script) call(verb, arg string) {
	s.tb.Helper()
	n, _ := strconv.Atoi(arg)
	switch verb {
	case "write":
		if took := s.conn.Write(pattern(s.wrote, n), s.now); took != n {
			s.Fatalf("Write took %d of %d bytes", took, n)
		}
		s.wrote += n
	case "read":
		b := make([]byte, n)
		if got := s.conn.Read(b, s.now); got != n || !bytes.Equal(b, pattern(s.read, n)) {
			s.Fatalf("Read gave %d bytes of %d, or the wrong ones", got, n)
		}
		s.read += n
	case "buffered":
		if got := s.conn.Buffered(); got != n {
			s.Fatalf("%d bytes wait to be read", got)
		}
	case "cwnd":
		if got := int(s.conn.cwnd); got != n {
			s.Fatalf("the congestion window is %d", got)
		}
	case "pipe":
		if got := s.conn.pipe(); got != n {
			s.Fatalf("%d bytes are on their way", got)
		}
	case "rto":
		if got := s.conn.rtt.timeout(); got != s.duration(arg) {
			s.Fatalf("the retransmission timeout is %v", got)
		}
	case "keepalive":
		s.conn.SetKeepAlive(KeepAlive{Idle: time.Duration(n) * time.Second}, s.now)
	case "close":
		s.conn.Close(s.now)
	case "closewrite":
		s.conn.CloseWrite(s.now)
	case "closeread":
		s.conn.CloseRead(s.now)
	case "abort":
		s.conn.Abort(s.now)
	case "mtu":
		s.conn.SetMTU(n, s.now)
	case "noroute":
		s.conn.Unblock(s.conn.iss+uint32(n), s.now)
	default:
		s.Fatalf("no such step")
	}
}

func (s *script) quiet() {
	s.tb.Helper()
	if len(s.sent) > 0 {
		s.Fatalf("before this, the machine had sent %s", s.format(s.sent[0]))
	}
}

// advance runs the machine's timers until then, or until it sends something.
func (s *script) advance(until time.Duration) {
	s.tb.Helper()
	for {
		at, ok := s.conn.Timer()
		if !ok || at > until {
			s.now = until
			return
		}
		s.quiet()
		s.now = max(at, s.now)
		s.conn.Expire(s.now)
	}
}

func (s *script) expectAt(at time.Duration, text string) {
	s.tb.Helper()
	for len(s.sent) == 0 {
		t, ok := s.conn.Timer()
		if !ok {
			s.Fatalf("nothing is sent, no timer runs")
		}
		s.now = max(t, s.now)
		s.conn.Expire(s.now)
		if s.now > at+time.Hour {
			break
		}
	}
	if len(s.sent) > 0 && s.sent[0].at != at+time.Hour {
		s.Fatalf("at %v, not then, the machine sent %s", s.sent[0].at-time.Hour, s.format(s.sent[0]))
	}
	s.expect(text)
}

func (s *script) expect(text string) {
	s.tb.Helper()
	if len(s.sent) == 0 {
		s.Fatalf("nothing was sent; state %v, error %v", s.conn.State(), s.conn.Err())
	}
	got := s.sent[0]
	s.sent = s.sent[1:]
	want, _ := s.parse(text)
	if !strings.Contains(text, "win") {
		want.Window = got.h.Window
	}
	if !strings.Contains(text, "mss") {
		want.MSS = got.h.MSS
	}
	if !strings.Contains(text, "tsval") {
		want.HasTimestamp, want.TSVal, want.TSEcr = got.h.HasTimestamp, got.h.TSVal, got.h.TSEcr
	}
	if !strings.Contains(text, "scale") {
		want.HasScale, want.WindowScale = got.h.HasScale, got.h.WindowScale
	}
	if !strings.Contains(text, "sackok") {
		want.SACKPermitted = got.h.SACKPermitted
	}
	if !strings.Contains(text, "P") {
		got.h.Flags &^= wire.PSH
	}
	_, n, seq := s.parseSpan(strings.Fields(text)[1])
	// The peer's numbers count from its ISN, ours from ours: parse does it the other way.
	want.Seq = s.cfg.ISN + seq
	if want.Flags&wire.ACK != 0 {
		want.Ack = s.peerISN + want.Ack - s.cfg.ISN
	}
	for i, b := range want.SACK {
		if b.From != b.To {
			want.SACK[i] = wire.SACKBlock{From: s.peerISN + b.From - s.cfg.ISN, To: s.peerISN + b.To - s.cfg.ISN}
		}
	}
	if got.h != want || len(got.data) != n {
		s.Fatalf("the machine sent %s", s.format(got))
	}
	if n > 0 && !bytes.Equal(got.data, pattern(int(seq)-1, n)) {
		s.Fatalf("the wrong bytes in %s", s.format(got))
	}
}

func (s *script) expectBurst(text string) {
	s.tb.Helper()
	_, n, seq := s.parseSpan(text)
	for ; n > 0; n, seq = n-s.conn.mss, seq+uint32(s.conn.mss) {
		s.expect(fmt.Sprintf("A %d+%d ack %d", seq, min(n, s.conn.mss), int32(s.conn.rcvNxt-s.peerISN)))
	}
}

func (s *script) expectState(text string) {
	s.tb.Helper()
	state, name, _ := strings.Cut(text, " ")
	wantErr := map[string]error{"": nil, "reset": ErrReset, "refused": ErrRefused, "timeout": ErrTimeout, "pipe": ErrPipe}[name]
	if s.conn.State().String() != state || !errors.Is(s.conn.Err(), wantErr) {
		s.Fatalf("the state is %v, the error %v", s.conn.State(), s.conn.Err())
	}
}
