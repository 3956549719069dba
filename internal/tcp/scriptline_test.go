package tcp

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/netspec-go/netspec/internal/wire"
)

func (s *script) duration(text string) time.Duration {
	s.tb.Helper()
	d, err := time.ParseDuration(text)
	if err != nil {
		s.Fatalf("%v", err)
	}
	return d
}

var flagLetters = map[rune]uint8{'S': wire.SYN, 'A': wire.ACK, 'F': wire.FIN, 'R': wire.RST, 'P': wire.PSH}

// parse reads a segment of the peer: "FA 1+10 ack 5 win 100 mss 1460 scale 7".
func (s *script) parse(text string) (wire.TCP, []byte) {
	s.tb.Helper()
	fields := strings.Fields(text)
	h := wire.TCP{Window: 64000}
	for _, letter := range fields[0] {
		h.Flags |= flagLetters[letter]
	}
	data, _, seq := s.parseSpan(fields[1])
	h.Seq = s.peerISN + seq
	for i, blocks := 2, 0; i+1 < len(fields); i += 2 {
		if fields[i] == "sack" {
			var from, n int32
			if _, err := fmt.Sscanf(fields[i+1], "%d+%d", &from, &n); err != nil {
				s.Fatalf("%v", err)
			}
			h.SACK[blocks] = wire.SACKBlock{From: s.cfg.ISN + uint32(from), To: s.cfg.ISN + uint32(from+n)}
			blocks++
			continue
		}
		n, err := strconv.ParseInt(fields[i+1], 10, 64)
		if err != nil {
			s.Fatalf("%v", err)
		}
		switch fields[i] {
		case "ack":
			h.Ack = s.cfg.ISN + uint32(n)
		case "win":
			h.Window = uint16(n)
		case "mss":
			h.MSS = uint16(n)
		case "tsval":
			h.HasTimestamp, h.TSVal = true, uint32(n)
		case "tsecr":
			h.TSEcr = uint32(n)
		case "sackok":
			h.SACKPermitted = n == 1
		case "scale":
			h.HasScale, h.WindowScale = true, uint8(n)
		}
	}
	return h, data
}

// parseSpan reads "1+100": sequence number and length of the data.
func (s *script) parseSpan(text string) (data []byte, n int, seq uint32) {
	s.tb.Helper()
	first, length, _ := strings.Cut(text, "+")
	at, err := strconv.ParseInt(first, 10, 64)
	if err != nil {
		s.Fatalf("%v", err)
	}
	n, _ = strconv.Atoi(length)
	return pattern(int(at)-1, n), n, uint32(at)
}

// format writes a segment of the machine as a script does.
func (s *script) format(e event) string {
	var b strings.Builder
	for _, letter := range "FSRPA" {
		if e.h.Flags&flagLetters[letter] != 0 {
			b.WriteRune(letter)
		}
	}
	fmt.Fprintf(&b, " %d", int32(e.h.Seq-s.cfg.ISN))
	if len(e.data) > 0 {
		fmt.Fprintf(&b, "+%d", len(e.data))
	}
	fmt.Fprintf(&b, " ack %d win %d", int32(e.h.Ack-s.peerISN), e.h.Window)
	if e.h.MSS != 0 {
		fmt.Fprintf(&b, " mss %d", e.h.MSS)
	}
	if e.h.HasScale {
		fmt.Fprintf(&b, " scale %d", e.h.WindowScale)
	}
	if e.h.HasTimestamp {
		fmt.Fprintf(&b, " tsval %d tsecr %d", e.h.TSVal, e.h.TSEcr)
	}
	for _, block := range e.h.SACK {
		if block.From != block.To {
			fmt.Fprintf(&b, " sack %d+%d", int32(block.From-s.peerISN), block.To-block.From)
		}
	}
	return b.String()
}
