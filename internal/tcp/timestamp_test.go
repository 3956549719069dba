package tcp

import (
	"testing"
	"time"
)

// Timestamps: RFC 7323, sections 3 to 5. The machine's clock shows 3600000 when a script
// begins, the peer's 500.
func TestTimestamps(t *testing.T) {
	runRows(t, []row{
		{"3.2: a SYN offers them, with nothing to echo", Config{}, "dial\n> S 0 tsval 3600000 tsecr 0"},
		{"Config.TSOffset is where the clock begins", Config{TSOffset: 1<<32 - 3600000 + 7}, "dial\n> S 0 tsval 7 tsecr 0"},
		{"3.2: once agreed, every segment has them, a millisecond per tick", Config{}, `
			new ts
			@2.5ms
			write 5
			> A 1+5 ack 1 tsval 3600002 tsecr 500
			close
			> FA 6 ack 1 tsval 3600002 tsecr 500`},
		{"3.2: a SYN that has them is answered with them", Config{}, `
			accept S 0 mss 1460 tsval 500 tsecr 0
			> SA 0 ack 1 tsval 3600000 tsecr 500
			1s > SA 0 ack 1 tsval 3601000 tsecr 500
			< A 1 ack 1 tsval 501 tsecr 3600000
			close
			> FA 1 ack 1 tsval 3601000 tsecr 501`},
		{"appendix A: they take 12 bytes of each segment, not of what the SYN says", Config{}, `
			dial
			> S 0 mss 1460
			< SA 0 ack 1 mss 1460 tsval 500 tsecr 3600000
			> A 1 ack 1
			write 2000
			> A 1+1448 ack 1
			> A 1449+552 ack 1`},
		{"nor of each when the path's MTU is smaller", Config{}, `
			new ts
			write 1000
			> A 1+1000 ack 1
			mtu 576
			> A 1+524 ack 1
			> A 525+476 ack 1`},
		{"4.3: the echo is of the earliest segment that is not acknowledged", Config{}, `
			new ts
			patient
			< A 1+10 ack 1 tsval 510 tsecr 3600000
			< A 11+10 ack 1 tsval 520 tsecr 3600000
			40ms > A 1 ack 21 tsval 3600040 tsecr 510
			< A 21+10 ack 1 tsval 560 tsecr 3600040
			80ms > A 1 ack 31 tsval 3600080 tsecr 560`},
		{"4.3: what comes behind a hole is not echoed, what fills it is", Config{}, `
			new ts
			< A 11+10 ack 1 tsval 520 tsecr 3600000
			> A 1 ack 1 tsecr 500 tsval 3600000
			< A 1+10 ack 1 tsval 530 tsecr 3600000
			> A 1 ack 21 tsecr 530 tsval 3600000`},
		{"4.1: the echo measures what Karn forbids to, and ends the backoff", Config{}, `
			new ts
			write 10
			> A 1+10 ack 1
			200ms > A 1+10 ack 1
			rto 400ms
			@300ms
			< A 1 ack 11 tsval 800 tsecr 3600200
			rto 212.5ms`},
		{"without a retransmission our own clock measures, which is finer", Config{}, `
			new ts
			write 10
			> A 1+10 ack 1
			@800us
			< A 1 ack 11 tsval 501 tsecr 3600000
			rto 200.1ms`},
		{"an echo of the future measures nothing", Config{}, `
			new ts
			write 10
			> A 1+10 ack 1
			200ms > A 1+10 ack 1
			< A 1 ack 11 tsval 700 tsecr 3700000
			rto 400ms`},
		{"5.3 R1, PAWS: data with an older timestamp is an old duplicate, and answered", Config{}, `
			new ts
			< A 1+10 ack 1 tsval 600 tsecr 3600000
			> A 1 ack 11 tsecr 600 tsval 3600000
			< A 11+10 ack 1 tsval 598 tsecr 3600000
			> A 1 ack 11 tsecr 600 tsval 3600000
			buffered 10
			< A 11+10 ack 1 tsval 601 tsecr 3600000
			> A 1 ack 21 tsecr 601 tsval 3600000
			buffered 20`},
		{"Linux's TCP_PAWS_WINDOW: one tick older passes", Config{}, `
			new ts
			< A 1+10 ack 1 tsval 600 tsecr 3600000
			> A 1 ack 11
			< A 11+10 ack 1 tsval 599 tsecr 3600000
			> A 1 ack 21
			buffered 20`},
		{"5.2: older is meant modulo 2^32", Config{}, `
			new ts
			< A 1+10 ack 1 tsval 2147483000 tsecr 3600000
			> A 1 ack 11
			< A 11+10 ack 1 tsval 4294966000 tsecr 3600000
			> A 1 ack 21
			< A 21+10 ack 1 tsval 5 tsecr 3600000
			> A 1 ack 31
			< A 31+10 ack 1 tsval 4294966000 tsecr 3600000
			> A 1 ack 31
			buffered 30`},
		{"5.5: after 24 days the peer's clock may have turned", Config{}, `
			new ts
			@576h
			< A 1+10 ack 1 tsval 100 tsecr 3600000
			> A 1 ack 11
			buffered 10`},
		{"until then it has not", Config{}, `
			new ts
			@575h59m
			< A 1+10 ack 1 tsval 100 tsecr 3600000
			> A 1 ack 1
			buffered 0`},
		{"Linux: an acknowledgement that was overtaken is no reason to answer", Config{}, `
			new ts
			< A 1 ack 1 tsval 600 tsecr 3600000
			< A 1 ack 1 tsval 550 tsecr 3600000
			@1s
			= ESTABLISHED`},
		{"unless it is older than the retransmission timeout", Config{}, `
			new ts
			< A 1 ack 1 tsval 1000 tsecr 3600000
			< A 1 ack 1 tsval 700 tsecr 3600000
			> A 1 ack 1`},
		{"5.2: a RST needs no timestamp, and may have an old one", Config{}, `
			new ts
			< R 1 tsval 1 tsecr 1
			= CLOSED reset`},
		{"Linux: other segments that lack it are taken, though 3.2 would drop them", Config{}, `
			new ts
			< A 1+10 ack 1
			> A 1 ack 11
			buffered 10`},
		{"a peer that did not agree is not believed", Config{}, `
			new
			< A 1+10 ack 1 tsval 600 tsecr 5
			> A 1 ack 11
			< A 11+10 ack 1 tsval 500 tsecr 5
			> A 1 ack 21
			buffered 20`},
	})
}

// An acknowledgement that PAWS has rejected counts for nothing: what it was about is sent
// again, and its answer counts.
func TestOutdatedACK(t *testing.T) {
	s := &script{tb: t, now: time.Hour, cfg: Config{}}
	s.run(`
		new ts
		write 10
		> A 1+10 ack 1
		< A 1 ack 11 tsval 100 tsecr 3600000
		> A 11 ack 1
		200ms > A 1+10 ack 1
		< A 1 ack 11 tsval 500 tsecr 3600200
		@1h
		= ESTABLISHED`)
}
