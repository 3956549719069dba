package tcp

import (
	"testing"
	"time"

	"github.com/netspec-go/netspec/internal/wire"
)

func TestClose(t *testing.T) {
	runRows(t, []row{
		{"RFC 9293 3.6 figure 12: we close first", Config{}, `
			established
			close
			> FA 1 ack 1
			= FIN-WAIT-1
			< A 1 ack 2
			= FIN-WAIT-2
			< FA 1 ack 2
			> A 2 ack 2
			= TIME-WAIT
			@59.999999999s
			= TIME-WAIT
			@60s
			= CLOSED`},
		{"RFC 9293 3.6 figure 12: the peer closes first", Config{}, `
			established
			< FA 1 ack 1
			> A 1 ack 2
			= CLOSE-WAIT
			close
			> FA 1 ack 2
			= LAST-ACK
			< A 2 ack 2
			= CLOSED`},
		{"RFC 9293 3.6 figure 13: both close at once", Config{}, `
			established
			close
			> FA 1 ack 1
			< FA 1 ack 1
			> A 2 ack 2
			= CLOSING
			< A 2 ack 2
			= TIME-WAIT
			@60s
			= CLOSED`},
		{"RFC 9293 3.10.7.4: FIN with the ACK of ours leads to TIME-WAIT at once", Config{}, `
			established
			close
			> FA 1 ack 1
			< FA 1 ack 2
			> A 2 ack 2
			= TIME-WAIT`},
		{"RFC 9293 3.6: half-close, data goes on the other way", Config{}, `
			established
			closewrite
			> FA 1 ack 1
			< A 1 ack 2
			= FIN-WAIT-2
			< A 1+1000 ack 2
			read 1000
			@40ms
			> A 2 ack 1001
			@10h
			< FA 1001+5 ack 2
			> A 2 ack 1007
			read 5
			= TIME-WAIT`},
		{"data after the peer's FIN still goes out", Config{}, `
			established
			< FA 1 ack 1
			> A 1 ack 2
			write 10
			> A 1+10 ack 2
			closewrite
			> FA 11 ack 2
			< A 2 ack 12
			= CLOSED`},
		{"the FIN rides on the last data", Config{}, `
			established
			< A 1 ack 1 win 0
			write 10
			close
			= FIN-WAIT-1
			@100ms
			< A 1 ack 1 win 100
			> FA 1+10 ack 1`},
		{"the FIN takes room in the window: it waits for it, then a probe asks", Config{}, `
			dial
			> S 0
			< SA 0 ack 1 win 10 mss 1460
			> A 1 ack 1
			write 10
			> A 1+10 ack 1
			close
			< A 1 ack 11 win 0
			200ms > A 10 ack 1
			@300ms
			< A 1 ack 11 win 1
			> FA 11 ack 1`},
		{"Linux: unread data at Close is a RST", Config{}, `
			established
			< A 1+10 ack 1
			close
			> RA 1 ack 11
			= CLOSED`},
		{"RFC 9293 3.6.1: data after Close is answered with RST, which the peer believes", Config{}, `
			established
			close
			> FA 1 ack 1
			< A 1+10 ack 1
			> R 1
			= CLOSED`},
		{"data after Close at FIN-WAIT-2", Config{}, `
			established
			close
			> FA 1 ack 1
			< A 1 ack 2
			< A 1+10 ack 2
			> R 2
			= CLOSED`},
		{"net.ipv4.tcp_fin_timeout: FIN-WAIT-2 of a closed socket ends after 60 s", Config{}, `
			established
			close
			> FA 1 ack 1
			@100ms
			< A 1 ack 2
			@60.099999999s
			= FIN-WAIT-2
			@60.1s
			= CLOSED`},
		{"and counts from Close if the half-close came first", Config{}, `
			established
			closewrite
			> FA 1 ack 1
			< A 1 ack 2
			@1h
			= FIN-WAIT-2
			close
			@3659.999999999s
			= FIN-WAIT-2
			@3660s
			= CLOSED`},
		{"RFC 9293 3.10.7.4: a FIN that comes again restarts TIME-WAIT", Config{}, `
			established
			close
			> FA 1 ack 1
			< FA 1 ack 2
			> A 2 ack 2
			@50s
			< FA 1 ack 2
			> A 2 ack 2
			@109s
			= TIME-WAIT
			@110s
			= CLOSED`},
		{"close at TIME-WAIT with unread data leaves TIME-WAIT alone", Config{}, `
			established
			closewrite
			> FA 1 ack 1
			< FA 1+10 ack 2
			> A 2 ack 12
			= TIME-WAIT
			close
			= TIME-WAIT
			@60s
			= CLOSED`},
		{"a lost FIN is sent again", Config{}, `
			established
			@10s
			close
			> FA 1 ack 1
			10.2s > FA 1 ack 1
			10.6s > FA 1 ack 1`},
		{"a FIN that comes before the data waits for it", Config{}, `
			established
			< FA 11 ack 1
			> A 1 ack 1
			= ESTABLISHED
			< A 1+10 ack 1
			> A 1 ack 12
			= CLOSE-WAIT
			read 10`},
		{"FIN with data out of order, then the hole", Config{}, `
			established
			< FA 11+10 ack 1
			> A 1 ack 1
			< A 1+10 ack 1
			> A 1 ack 22
			= CLOSE-WAIT
			read 20`},
		{"FIN with data that had come already", Config{}, `
			established
			< A 1+10 ack 1
			< FA 1+10 ack 1
			> A 1 ack 12
			= CLOSE-WAIT`},
		{"Linux: a FIN is taken while the window is closed", Config{RecvBuffer: 10}, `
			established
			< A 1+10 ack 1
			40ms > A 1 ack 11 win 0
			< FA 11 ack 1
			> A 1 ack 12 win 0
			= CLOSE-WAIT
			read 10`},
		{"nothing is taken behind the FIN", Config{}, `
			established
			< FA 1 ack 1
			> A 1 ack 2
			< A 2+10 ack 1
			> A 1 ack 2
			buffered 0`},
		{"a FIN before what has come is not believed", Config{}, `
			established
			< A 21+10 ack 1
			> A 1 ack 1
			< FA 1+10 ack 1
			> A 1 ack 11
			= ESTABLISHED`},
		{"RFC 9293 3.10.4: Close at SYN-SENT deletes", Config{}, `
			dial
			> S 0
			close
			= CLOSED`},
		{"RFC 9293 3.10.4: Close at SYN-RECEIVED waits for the handshake", Config{}, `
			accept S 0 mss 1460
			> SA 0 ack 1
			close
			1s > SA 0 ack 1
			< A 1 ack 1
			> FA 1 ack 1
			= FIN-WAIT-1
			< FA 1 ack 2
			> A 2 ack 2
			= TIME-WAIT`},
		{"Linux: what comes after CloseRead is there all the same", Config{}, `
			established
			closeread
			< A 1+1460 ack 1
			< A 1461+1460 ack 1
			> A 1 ack 2921
			buffered 2920
			close
			> RA 1 ack 2921`},
		{"RFC 1122 4.2.2.13: but not when both directions are shut down", Config{}, `
			established
			closeread
			closewrite
			> FA 1 ack 1
			< A 1+10 ack 2
			> R 2
			= CLOSED reset`},
		{"a FIN ends it in order then", Config{}, `
			established
			closeread
			closewrite
			> FA 1 ack 1
			< FA 1 ack 2
			> A 2 ack 2
			= TIME-WAIT`},
		{"a second close does nothing", Config{}, `
			established
			closewrite
			> FA 1 ack 1
			closewrite
			@100ms
			close
			close
			= FIN-WAIT-1`},
		{"nor does one after the end", Config{}, "established\n< R 1\ncloseread\nclosewrite\nclose\n= CLOSED reset"},
	})
}

// TestNoStorm puts two ends that agree on nothing at a link: each answers what it
// cannot take, and they must not do so for ever.
func TestNoStorm(t *testing.T) {
	n := newNetwork(t, 1)
	n.latency = 0
	n.dial(Config{}, Config{})
	n.run(time.Second)
	n.ends[0].conn.rcvNxt += 1 << 25
	n.ends[0].conn.edge += 1 << 25
	n.ends[1].conn.rcvNxt += 1 << 25
	n.ends[1].conn.edge += 1 << 25
	for _, e := range n.ends {
		e.check.init(n.tb, Config{})
		e.conn.sendACK(n.now)
	}
	for range 1000 {
		if !n.step(n.now + time.Hour) {
			return
		}
	}
	t.Errorf("still at it at %v", n.now)
}

func TestAbort(t *testing.T) {
	runRows(t, []row{
		{"RFC 9293 3.10.5: at ESTABLISHED", Config{}, "established\nwrite 5\n> A 1+5 ack 1\nabort\n> RA 6 ack 1\n= CLOSED"},
		{"RFC 9293 3.10.5: at SYN-SENT nothing is sent", Config{}, "dial\n> S 0\nabort\n= CLOSED"},
		{"RFC 9293 3.10.5: at SYN-RECEIVED", Config{}, "accept S 0 mss 1460\n> SA 0 ack 1\nabort\n> RA 1 ack 1\n= CLOSED"},
		{"RFC 9293 3.10.5: at LAST-ACK nothing is sent", Config{}, `
			established
			< FA 1 ack 1
			> A 1 ack 2
			closewrite
			> FA 1 ack 2
			abort
			= CLOSED`},
		{"unless something was not", Config{}, `
			established
			< FA 1 ack 1 win 0
			> A 1 ack 2
			write 5
			closewrite
			= LAST-ACK
			abort
			> RA 1 ack 2
			= CLOSED`},
		{"Linux: or not read", Config{}, `
			established
			< FA 1+10 ack 1
			> A 1 ack 12
			closewrite
			> FA 1 ack 12
			close
			> RA 2 ack 12
			= CLOSED`},
		{"Linux: TIME-WAIT goes on, without what was not read", Config{}, `
			established
			closewrite
			> FA 1 ack 1
			< FA 1+10 ack 2
			> A 2 ack 12
			abort
			= TIME-WAIT
			buffered 0
			@60s
			= CLOSED`},
	})
}

func TestCanReuse(t *testing.T) {
	later := wire.TCP{Flags: wire.SYN, Seq: 500}
	for _, row := range []struct {
		rule  string
		state State
		syn   wire.TCP
		want  bool
	}{
		{"RFC 9293 3.10.7.4: a SYN beyond what was received", TimeWait, later, true},
		{"not one before it", TimeWait, wire.TCP{Flags: wire.SYN, Seq: 400}, false},
		{"across the wrap", TimeWait, wire.TCP{Flags: wire.SYN, Seq: 401 + 1<<31}, false},
		{"not with ACK", TimeWait, wire.TCP{Flags: wire.SYN | wire.ACK, Seq: 500}, false},
		{"not with RST", TimeWait, wire.TCP{Flags: wire.SYN | wire.RST, Seq: 500}, false},
		{"not in another state", Established, later, false},
		{"nor in LAST-ACK", LastAck, later, false},
		{"a later timestamp is as good as a sequence number", TimeWait, wire.TCP{Flags: wire.SYN, Seq: 400, HasTimestamp: true, TSVal: 1}, true},
		{"the same timestamp says nothing", TimeWait, wire.TCP{Flags: wire.SYN, Seq: 500, HasTimestamp: true, TSVal: 1<<32 - 10}, true},
		{"of itself", TimeWait, wire.TCP{Flags: wire.SYN, Seq: 400, HasTimestamp: true, TSVal: 1<<32 - 10}, false},
		{"an earlier one is an old duplicate", TimeWait, wire.TCP{Flags: wire.SYN, Seq: 500, HasTimestamp: true, TSVal: 1<<32 - 11}, false},
	} {
		c := Conn{state: row.state, rcvNxt: 400, ts: timestamps{on: true, recent: 1<<32 - 10}}
		if got := c.CanReuse(&row.syn); got != row.want {
			t.Errorf("%s: %v", row.rule, got)
		}
	}
}

func TestReset(t *testing.T) {
	for _, row := range []struct {
		rule string
		in   wire.TCP
		n    int
		want wire.TCP
		ok   bool
	}{
		{"RFC 9293 3.10.7.1: a RST is not answered", wire.TCP{Flags: wire.RST | wire.ACK, Ack: 5}, 0, wire.TCP{}, false},
		{"with ACK: its number is ours", wire.TCP{Flags: wire.ACK, Seq: 3, Ack: 5}, 9, wire.TCP{Flags: wire.RST, Seq: 5}, true},
		{"without: zero, and what came is acknowledged", wire.TCP{Flags: wire.SYN, Seq: 3}, 0, wire.TCP{Flags: wire.RST | wire.ACK, Ack: 4}, true},
		{"SYN, FIN and data count", wire.TCP{Flags: wire.SYN | wire.FIN, Seq: 3}, 10, wire.TCP{Flags: wire.RST | wire.ACK, Ack: 15}, true},
	} {
		if got, ok := Reset(&row.in, row.n); got != row.want || ok != row.ok {
			t.Errorf("%s: %v %v", row.rule, got, ok)
		}
	}
}
