package wire

import (
	"encoding/binary"
	"strconv"
)

// TCP flag bits, as they stand in the header's 14th byte.
const (
	FIN uint8 = 1 << iota
	SYN
	RST
	PSH
	ACK
	URG
	ECE
	CWR
)

// TCPHeaderLen is the length of a TCP header without options, TCPMaxHeaderLen
// of the longest that [TCP.Put] writes.
const (
	TCPHeaderLen    = 20
	TCPMaxHeaderLen = 60
)

// TCP is a TCP header with the options that a host and a middlebox look at.
// Options that it does not name are skipped on parse and never written.
type TCP struct {
	SrcPort, DstPort uint16
	Seq, Ack         uint32
	Flags            uint8
	Window           uint16 // as on the wire, unscaled
	Urgent           uint16

	MSS           uint16 // 0: option absent
	WindowScale   uint8  // shift count, meaningful when HasScale
	HasScale      bool   // the window scale option is present
	SACKPermitted bool
	HasTimestamp  bool
	TSVal, TSEcr  uint32
	SACK          [4]SACKBlock // what came out of order; behind the last, empty ones
}

// SACKBlock is a stretch of sequence numbers that has arrived: From, and all up to but
// without To (RFC 2018). The zero SACKBlock is empty, as is every one whose ends are the
// same; a header has none of those.
type SACKBlock struct{ From, To uint32 }

// Option kinds (RFC 9293 section 3.2, RFC 7323, RFC 2018).
const (
	optEnd   = 0
	optNOP   = 1
	optMSS   = 2
	optScale = 3
	optSACK  = 4 // SACK permitted
	optBlock = 5 // SACK
	optTS    = 8
)

// ParseTCP reads the header at the front of b and checks its length and that of
// every option. The checksum is not looked at, see [VerifyTransport]. Options
// are reported whatever the flags: that some count on a SYN only is for the
// caller to know. Of an option that comes twice the last one counts. SACK blocks that
// [TCP.Put] would have no room for are left out.
func ParseTCP(b []byte) (h TCP, payload []byte, err error) {
	if payload, err = h.Parse(b); err != nil {
		return TCP{}, nil, err
	}
	return h, payload, nil
}

// Parse is [ParseTCP] for a header that is already somewhere: it overwrites it. After an
// error what it holds is of no use.
func (h *TCP) Parse(b []byte) (payload []byte, err error) {
	if len(b) < TCPHeaderLen {
		return nil, ErrShort
	}
	hlen := int(b[12]>>4) * 4
	if hlen < TCPHeaderLen || hlen > len(b) {
		return nil, ErrLength
	}
	*h = TCP{
		SrcPort: binary.BigEndian.Uint16(b),
		DstPort: binary.BigEndian.Uint16(b[2:]),
		Seq:     binary.BigEndian.Uint32(b[4:]),
		Ack:     binary.BigEndian.Uint32(b[8:]),
		Flags:   b[13],
		Window:  binary.BigEndian.Uint16(b[14:]),
		Urgent:  binary.BigEndian.Uint16(b[18:]),
	}
	if hlen > TCPHeaderLen && !h.parseOptions(b[TCPHeaderLen:hlen]) {
		return nil, ErrOption
	}
	clear(h.SACK[h.blocks():])
	return b[hlen:len(b):len(b)], nil
}

func (h *TCP) parseOptions(b []byte) bool {
	for len(b) > 0 && b[0] != optEnd {
		if b[0] == optNOP {
			b = b[1:]
			continue
		}
		if len(b) < 2 || b[1] < 2 || int(b[1]) > len(b) {
			return false
		}
		if !h.parseOption(b[0], b[2:b[1]]) {
			return false
		}
		b = b[b[1]:]
	}
	return true
}

// parseOption takes one option without its kind and length bytes.
func (h *TCP) parseOption(kind uint8, b []byte) bool {
	switch kind {
	case optMSS:
		if len(b) != 2 {
			return false
		}
		h.MSS = binary.BigEndian.Uint16(b)
	case optScale:
		if len(b) != 1 {
			return false
		}
		h.HasScale, h.WindowScale = true, b[0]
	case optSACK:
		h.SACKPermitted = true
		return len(b) == 0
	case optBlock:
		return h.parseBlocks(b)
	case optTS:
		if len(b) != 8 {
			return false
		}
		h.HasTimestamp = true
		h.TSVal, h.TSEcr = binary.BigEndian.Uint32(b), binary.BigEndian.Uint32(b[4:])
	}
	return true
}

func (h *TCP) parseBlocks(b []byte) bool {
	if len(b) == 0 || len(b)%8 != 0 {
		return false
	}
	h.SACK = [4]SACKBlock{}
	for n := 0; len(b) > 0 && n < len(h.SACK); b = b[8:] {
		block := SACKBlock{binary.BigEndian.Uint32(b), binary.BigEndian.Uint32(b[4:])}
		if block.From != block.To {
			h.SACK[n] = block
			n++
		}
	}
	return true
}

// blocks returns how many SACK blocks there are and have room behind the other options.
func (h *TCP) blocks() int {
	if h.SACK[0] == (SACKBlock{}) {
		return 0
	}
	n, room := 0, (TCPMaxHeaderLen-h.lenWithoutSACK()-4)/8
	for n < len(h.SACK) && n < room && h.SACK[n].From != h.SACK[n].To {
		n++
	}
	return n
}

// Len is the length of the header with its options, in bytes, a multiple of 4
// from [TCPHeaderLen] to [TCPMaxHeaderLen].
func (h *TCP) Len() int {
	n := h.lenWithoutSACK()
	if blocks := h.blocks(); blocks > 0 {
		n += 4 + 8*blocks
	}
	return n
}

func (h *TCP) lenWithoutSACK() int {
	n := TCPHeaderLen
	if h.MSS != 0 {
		n += 4
	}
	switch {
	case h.HasTimestamp:
		n += 12 // SACK permitted takes the place of two NOPs
	case h.SACKPermitted:
		n += 4
	}
	if h.HasScale {
		n += 4
	}
	return n
}

// Put writes the header to the first [TCP.Len] bytes of b with a checksum of
// zero. It panics only when b is shorter than that. Options stand in the order
// of Linux, each padded by NOPs in front: MSS, SACK permitted with timestamps,
// window scale, as many SACK blocks as there is room for.
func (h *TCP) Put(b []byte) {
	n := h.Len()
	b = b[:n]
	_ = b[TCPHeaderLen-1]
	binary.BigEndian.PutUint64(b, uint64(h.SrcPort)<<48|uint64(h.DstPort)<<32|uint64(h.Seq))
	binary.BigEndian.PutUint64(b[8:], uint64(h.Ack)<<32|uint64(n/4)<<28|uint64(h.Flags)<<16|uint64(h.Window))
	if n == TCPHeaderLen+12 && h.HasTimestamp && !h.SACKPermitted { // as most have, and read in words as large as these
		binary.BigEndian.PutUint64(b[16:], uint64(h.Urgent)<<32|optNOP<<24|optNOP<<16|optTS<<8|10)
		binary.BigEndian.PutUint64(b[24:], uint64(h.TSVal)<<32|uint64(h.TSEcr))
		return
	}
	binary.BigEndian.PutUint32(b[16:], uint32(h.Urgent))
	if n > TCPHeaderLen {
		h.putOptions(b[TCPHeaderLen:])
	}
}

func (h *TCP) putOptions(b []byte) {
	if h.MSS != 0 {
		b[0], b[1] = optMSS, 4
		binary.BigEndian.PutUint16(b[2:], h.MSS)
		b = b[4:]
	}
	if h.HasTimestamp || h.SACKPermitted {
		b[0], b[1] = optNOP, optNOP
	}
	switch {
	case h.HasTimestamp:
		if h.SACKPermitted {
			b[0], b[1] = optSACK, 2
		}
		b[2], b[3] = optTS, 10
		binary.BigEndian.PutUint32(b[4:], h.TSVal)
		binary.BigEndian.PutUint32(b[8:], h.TSEcr)
		b = b[12:]
	case h.SACKPermitted:
		b[2], b[3] = optSACK, 2
		b = b[4:]
	}
	if h.HasScale {
		b[0], b[1], b[2], b[3] = optNOP, optScale, 3, h.WindowScale
		b = b[4:]
	}
	if n := h.blocks(); n > 0 {
		b[0], b[1], b[2], b[3] = optNOP, optNOP, optBlock, uint8(2+8*n)
		for i, block := range h.SACK[:n] {
			binary.BigEndian.PutUint32(b[4+8*i:], block.From)
			binary.BigEndian.PutUint32(b[8+8*i:], block.To)
		}
	}
}

var flagNames = [8]string{"FIN", "SYN", "RST", "PSH", "ACK", "URG", "ECE", "CWR"}

// String is one line in the manner of tcpdump, without the ports:
// "SYN,ACK seq 1 ack 2 win 65535 mss 8961".
func (h TCP) String() string {
	b := make([]byte, 0, 96)
	for i, name := range flagNames {
		if h.Flags&(1<<i) == 0 {
			continue
		}
		if len(b) > 0 {
			b = append(b, ',')
		}
		b = append(b, name...)
	}
	if len(b) == 0 {
		b = append(b, "none"...)
	}
	b = appendField(b, " seq ", h.Seq)
	b = appendField(b, " ack ", h.Ack)
	b = appendField(b, " win ", uint32(h.Window))
	if h.Flags&URG != 0 {
		b = appendField(b, " urg ", uint32(h.Urgent))
	}
	return string(h.appendOptions(b))
}

func (h *TCP) appendOptions(b []byte) []byte {
	if h.MSS != 0 {
		b = appendField(b, " mss ", uint32(h.MSS))
	}
	if h.SACKPermitted {
		b = append(b, " sackOK"...)
	}
	if h.HasTimestamp {
		b = appendField(b, " TS val ", h.TSVal)
		b = appendField(b, " ecr ", h.TSEcr)
	}
	if h.HasScale {
		b = appendField(b, " wscale ", uint32(h.WindowScale))
	}
	for _, block := range h.SACK[:h.blocks()] {
		b = appendField(b, " sack ", block.From)
		b = appendField(b, ":", block.To)
	}
	return b
}

func appendField(b []byte, name string, v uint32) []byte {
	return strconv.AppendUint(append(b, name...), uint64(v), 10)
}
