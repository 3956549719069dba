package tcp

import (
	"testing"
	"time"

	"github.com/netspec-go/netspec/internal/wire"
)

func TestHandshake(t *testing.T) {
	runRows(t, []row{
		{"RFC 9293 3.5 figure 6: SYN, SYN-ACK, ACK", Config{}, `
			dial
			> S 0 win 65535 mss 1460 scale 5
			= SYN-SENT
			< SA 0 ack 1 win 1000 mss 1400 scale 3
			> A 1 ack 1 win 32768
			= ESTABLISHED
			write 1000
			> A 1+1000 ack 1`},
		{"RFC 9293 3.10.7.2: the passive side", Config{}, `
			accept S 0 win 5000 mss 1000 scale 2
			> SA 0 ack 1 win 65535 mss 1460 scale 5
			= SYN-RECEIVED
			< A 1 ack 1
			= ESTABLISHED`},
		{"RFC 7323 1.3: the answer to a SYN without window scale has none, and nothing is scaled", Config{}, `
			accept S 0 win 5000 mss 1460
			> SA 0 ack 1 win 65535
			< A 1+1000 ack 1
			> A 1 ack 1001 win 64535`},
		{"RFC 9293 3.7.1: without the option, segments of 536 bytes", Config{}, `
			accept S 0 win 5000
			> SA 0 ack 1
			< A 1 ack 1
			write 600
			> A 1+536 ack 1
			> A 537+64 ack 1`},
		{"RFC 9293 3.7.1: our own link bounds what we send, and what we announce", Config{MTU: 576}, `
			dial
			> S 0 mss 536
			< SA 0 ack 1 mss 1460
			> A 1 ack 1
			write 537
			> A 1+536 ack 1
			> A 537+1 ack 1`},
		{"RFC 9293 3.7.1: over IPv6 the header takes 20 bytes more", Config{IPHeader: wire.IPv6HeaderLen}, `
			dial
			> S 0 mss 1440
			< SA 0 ack 1 mss 9000
			> A 1 ack 1
			write 1441
			> A 1+1440 ack 1
			> A 1441+1 ack 1`},
		{"RFC 9293 3.7.1: over IPv6, without the option, segments of 1220 bytes", Config{IPHeader: wire.IPv6HeaderLen}, `
			accept S 0 win 5000
			> SA 0 ack 1 mss 1440
			< A 1 ack 1
			write 1300
			> A 1+1220 ack 1
			> A 1221+80 ack 1`},
		{"RFC 7323 2.3: a scale above 14 is 14", Config{}, `
			accept S 0 win 1 mss 1460 scale 200
			> SA 0 ack 1
			< A 1 ack 1 win 1
			write 16385
			> A 1+1460 ack 1
			> A 1461+1460 ack 1
			> A 2921+1460 ack 1
			> A 4381+1460 ack 1
			> A 5841+1460 ack 1
			> A 7301+1460 ack 1
			> A 8761+1460 ack 1
			> A 10221+1460 ack 1
			> A 11681+1460 ack 1
			> A 13141+1460 ack 1
			> A 14601+1460 ack 1`},
		{"RFC 9293 3.10.7.3: RST with the right ACK refuses", Config{}, `
			dial
			> S 0
			< RA 0 ack 1
			= CLOSED refused`},
		{"RFC 9293 3.10.7.3: RST without ACK, or with a wrong one, is dropped", Config{}, `
			dial
			> S 0
			< R 0
			< RA 0 ack 2
			< RA 0 ack 0
			= SYN-SENT`},
		{"RFC 9293 3.10.7.3: an ACK of something else is answered with RST", Config{}, `
			dial
			> S 0
			< A 5 ack 7
			> R 7
			< SA 0 ack 0
			> R 0
			= SYN-SENT`},
		{"Linux: then the first SYN goes again after two jiffies, and the next after the usual time", Config{}, `
			dial
			> S 0
			@300ms
			< A 5 ack 7
			> R 7
			308ms > S 0
			< A 5 ack 7
			> R 7
			2.308s > S 0
			= SYN-SENT`},
		{"Linux: so it does when what is about something else is a RST", Config{}, `
			dial
			> S 0
			< RA 0 ack 2
			8ms > S 0
			= SYN-SENT`},
		{"RFC 9293 3.5 figure 7: both open at once", Config{}, `
			dial
			> S 0
			< S 0 win 64000 mss 1460
			> SA 0 ack 1
			= SYN-RECEIVED
			< SA 0 ack 1 mss 1460
			= ESTABLISHED
			write 5
			> A 1+5 ack 1`},
		{"RFC 9293 3.10.7.4: then, an ACK of something else is answered with RST", Config{}, `
			dial
			> S 0
			< S 0 mss 1460
			> SA 0 ack 1
			< SA 0 ack 3
			> R 3
			= SYN-RECEIVED`},
		{"RFC 9293 3.10.7.3: without SYN it is dropped", Config{}, "dial\n> S 0\n< A 0 ack 1\n= SYN-SENT"},
		{"RFC 9293 3.10.7.4: refused after both opened at once", Config{}, `
			dial
			> S 0
			< S 0 mss 1460
			> SA 0 ack 1
			< RA 1 ack 1
			= CLOSED refused`},
		{"RFC 9293 3.10.7.4: RST at SYN-RECEIVED ends a passive one", Config{}, `
			accept S 0 mss 1460
			> SA 0 ack 1
			< R 1
			= CLOSED reset`},
		{"RFC 9293 3.10.7.4: a bad ACK at SYN-RECEIVED is answered with RST", Config{}, `
			accept S 0 mss 1460
			> SA 0 ack 1
			< A 1 ack 2
			> R 2
			< A 1 ack 0
			> R 0
			= SYN-RECEIVED`},
		{"a SYN that comes again has its answer sent again", Config{}, `
			accept S 0 mss 1460
			> SA 0 ack 1
			< S 0 mss 1460
			> SA 0 ack 1
			= SYN-RECEIVED`},
		{"a lost SYN-ACK is sent again after 1 s, and the next timeout is RFC 6298's 3 s", Config{}, `
			accept S 0 mss 1460
			> SA 0 ack 1
			1s > SA 0 ack 1
			@1.5s
			< A 1 ack 1
			= ESTABLISHED
			write 1
			> A 1+1 ack 1
			4.5s > A 1+1 ack 1`},
		{"the handshake's last ACK is lost: the data that follows does as well", Config{}, `
			accept S 0 mss 1460
			> SA 0 ack 1
			< A 1+10 ack 1
			> A 1 ack 11
			= ESTABLISHED
			buffered 10`},
		{"the handshake's last ACK is lost: the SYN-ACK that comes again is acknowledged", Config{}, `
			established
			< SA 0 ack 1 mss 1460
			> A 1 ack 1
			= ESTABLISHED`},
		{"data in a SYN-ACK is taken", Config{}, `
			dial
			> S 0
			< SA 0+10 ack 1 mss 1460
			> A 1 ack 1
			> A 1 ack 11
			buffered 10`},
	})
}

// TestSimultaneousOpen dials from both ends at once: the two SYN-ACKs must not chase
// each other.
func TestSimultaneousOpen(t *testing.T) {
	n := newNetwork(t, 1)
	for i, e := range n.ends {
		cfg := Config{ISN: uint32(i) * 1000}
		e.check.init(n.tb, cfg)
		e.conn = Dial(cfg, e, n.now)
	}
	n.run(time.Minute)
	a, b := n.ends[0].conn, n.ends[1].conn
	if a.State() != Established || b.State() != Established || n.events > 8 {
		t.Fatalf("%v and %v after %d events", a.State(), b.State(), n.events)
	}
	a.Write(pattern(0, 100_000), n.now)
	n.run(time.Minute)
	if got := b.Buffered(); got != 100_000 {
		t.Errorf("%d bytes arrived", got)
	}
}
