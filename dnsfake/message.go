package dnsfake

import (
	"encoding/binary"

	"github.com/miekg/dns"
)

// transport is how a message came.
type transport uint8

const (
	datagram transport = iota // UDP: answers are cut to what the asker can take
	stream                    // TCP: they are not
)

const (
	plainSize  = 512  // the largest answer by UDP without EDNS0 (RFC 1035 section 2.3.4)
	serverSize = 4096 // and with it, from a Route 53 server (DNSBehavior page)
)

// readQuery reads a question from whatever arrived. If it is none that a handler could
// answer, req is nil and refusal is what to send back: nothing for what is no query at
// all, lest two servers talk to each other for ever.
func readQuery(b []byte) (req *dns.Msg, refusal []byte) {
	const headerSize, responseBit = 12, 0x80
	if len(b) < headerSize || b[2]&responseBit != 0 {
		return nil, nil
	}
	req = new(dns.Msg)
	if err := req.Unpack(b); err != nil {
		return nil, bareReply(b, dns.RcodeFormatError)
	}
	switch {
	case req.Opcode != dns.OpcodeQuery:
		return nil, bareReply(b, dns.RcodeNotImplemented)
	case len(req.Question) != 1:
		return nil, bareReply(b, dns.RcodeFormatError)
	}
	if opt := req.IsEdns0(); opt != nil && opt.Version() != 0 {
		m := reply(req, dns.RcodeSuccess)
		m.SetEdns0(serverSize, false)
		m.Rcode = dns.RcodeBadVers
		return nil, pack(m, b)
	}
	return req, nil
}

// bareReply is a header and nothing else, for a message that could not be read further.
func bareReply(b []byte, rcode int) []byte {
	out := make([]byte, 12)
	copy(out, b[:2])
	out[2] = 0x80 | b[2]&0x79 // a response; opcode and recursion desired as asked
	out[3] = byte(rcode)
	return out
}

// reply returns an empty answer to a query.
func reply(req *dns.Msg, rcode int) *dns.Msg {
	m := new(dns.Msg)
	m.SetReply(req)
	m.Rcode = rcode
	return m
}

// finish turns an answer into bytes that the asker can take: EDNS0 if the query had it,
// and by UDP no more than its size, with the rest cut and TC set.
func finish(req, m *dns.Msg, via transport) []byte {
	size := dns.MaxMsgSize
	if via == datagram {
		size = plainSize
	}
	if opt := req.IsEdns0(); opt != nil {
		m.SetEdns0(serverSize, false)
		if via == datagram {
			size = min(max(plainSize, int(opt.UDPSize())), serverSize)
		}
	}
	m.Compress = true
	m.Truncate(size)
	return pack(m, nil)
}

// pack encodes a message; what cannot be encoded becomes SERVFAIL.
func pack(m *dns.Msg, query []byte) []byte {
	b, err := m.Pack()
	if err == nil {
		return b
	}
	if len(query) < 12 {
		query = make([]byte, 12)
		binary.BigEndian.PutUint16(query, m.Id)
	}
	return bareReply(query, dns.RcodeServerFailure)
}
