package netfake

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

// The stub resolver's patience: glibc's defaults of resolv.conf(5).
const (
	resolveTimeout  = 5 * time.Second
	resolveAttempts = 2
)

// SetResolvers names the servers, at port 53, that the host asks for names, the first
// first. A host without any knows only addresses and localhost.
func (h *Host) SetResolvers(addrs ...netip.Addr) {
	h.world.Do(func(time.Duration) { h.resolvers = slices.Clone(addrs) })
}

// LookupNetIP finds a name's addresses: "ip" or "ip4". It asks the host's resolvers
// from the host's own sockets, over UDP and, for an answer that was cut, over TCP. It
// keeps no cache. Errors are *net.DNSError.
func (h *Host) LookupNetIP(ctx context.Context, network, name string) ([]netip.Addr, error) {
	if ip, err := netip.ParseAddr(name); err == nil {
		return literal(ip, name)
	}
	if name == "localhost" || name == "localhost." {
		return []netip.Addr{loopback}, nil
	}
	if network != "ip" && network != "ip4" {
		return nil, &net.DNSError{Err: "network " + network + " is not modelled", Name: name}
	}
	h.world.lock()
	servers := h.resolvers
	h.world.unlock()
	if len(servers) == 0 {
		return nil, &net.DNSError{Err: "the host has no resolver", Name: name}
	}
	q, err := newQuestion(name)
	if err != nil {
		return nil, &net.DNSError{Err: err.Error(), Name: name}
	}
	return h.lookup(ctx, q, name, servers)
}

func literal(ip netip.Addr, name string) ([]netip.Addr, error) {
	if ip = ip.Unmap(); !ip.Is4() {
		return nil, &net.AddrError{Err: noSuitableAddress, Addr: name}
	}
	return []netip.Addr{ip}, nil
}

// lookup asks server after server, as often as it has attempts.
func (h *Host) lookup(ctx context.Context, q dnsmessage.Question, name string, servers []netip.Addr) ([]netip.Addr, error) {
	var last error
	for attempt := range resolveAttempts {
		for i, server := range servers {
			reply, err := h.ask(ctx, q, server, uint64(attempt*len(servers)+i))
			if ctx.Err() != nil {
				return nil, dnsError(contextError(ctx.Err()), name, server)
			}
			if err == nil {
				addrs, err := readAnswer(reply, q, name, server)
				if temporary(err) {
					last = err
					continue
				}
				return addrs, err
			}
			last = dnsError(err, name, server)
		}
	}
	return nil, last
}

func temporary(err error) bool {
	var dns *net.DNSError
	return errors.As(err, &dns) && dns.IsTemporary
}

func dnsError(err error, name string, server netip.Addr) error {
	var timeout net.Error
	return &net.DNSError{
		Err: err.Error(), Name: name, Server: net.JoinHostPort(server.String(), "53"),
		IsTimeout: errors.As(err, &timeout) && timeout.Timeout(), IsTemporary: true, UnwrapErr: err,
	}
}

func newQuestion(name string) (dnsmessage.Question, error) {
	if !strings.HasSuffix(name, ".") {
		name += "."
	}
	n, err := dnsmessage.NewName(name)
	return dnsmessage.Question{Name: n, Type: dnsmessage.TypeA, Class: dnsmessage.ClassINET}, err
}

// ask sends the question to one server, over UDP and then, if need be, over TCP.
func (h *Host) ask(ctx context.Context, q dnsmessage.Question, server netip.Addr, try uint64) (*dnsmessage.Message, error) {
	ctx, cancel := context.WithTimeout(ctx, resolveTimeout)
	defer cancel()
	query, id, err := h.packQuery(q, server, try)
	if err != nil {
		return nil, err
	}
	reply, err := h.exchange(ctx, "udp", server, query, id, q)
	if err == nil && reply.Truncated {
		return h.exchange(ctx, "tcp", server, query, id, q)
	}
	return reply, err
}

// packQuery builds the query. Its id depends on the seed and on what is asked.
func (h *Host) packQuery(q dnsmessage.Question, server netip.Addr, try uint64) ([]byte, uint16, error) {
	key := mix(mix(h.world.seed, hashString(h.name+" "+q.Name.String()+" "+server.String())), try)
	m := dnsmessage.Message{
		Header:    dnsmessage.Header{ID: uint16(key), RecursionDesired: true},
		Questions: []dnsmessage.Question{q},
	}
	var opt dnsmessage.Resource
	opt.Header.Name = dnsmessage.MustNewName(".")
	// 1232 bytes, as net asks for: DNS flag day 2020.
	if err := opt.Header.SetEDNS0(1232, dnsmessage.RCodeSuccess, false); err != nil {
		return nil, 0, err
	}
	opt.Body = &dnsmessage.OPTResource{}
	m.Additionals = append(m.Additionals, opt)
	b, err := m.Pack()
	return b, uint16(key), err
}

// exchange sends a query and waits for the message that answers it.
func (h *Host) exchange(ctx context.Context, network string, server netip.Addr, query []byte, id uint16, q dnsmessage.Question) (*dnsmessage.Message, error) {
	c, err := h.DialContext(ctx, network, netip.AddrPortFrom(server, 53).String())
	if err != nil {
		return nil, err
	}
	defer c.Close()
	if deadline, ok := ctx.Deadline(); ok {
		c.SetDeadline(deadline)
	}
	stop := context.AfterFunc(ctx, func() { c.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	if network == "tcp" {
		query = append(binary.BigEndian.AppendUint16(nil, uint16(len(query))), query...)
	}
	if _, err := c.Write(query); err != nil {
		return nil, err
	}
	for {
		b, err := readMessage(c, network)
		if err != nil {
			return nil, err
		}
		var m dnsmessage.Message
		if m.Unpack(b) == nil && m.ID == id && m.Response && len(m.Questions) == 1 && sameQuestion(m.Questions[0], q) {
			return &m, nil
		}
	}
}

func sameQuestion(a, b dnsmessage.Question) bool {
	return a.Type == b.Type && a.Class == b.Class && strings.EqualFold(a.Name.String(), b.Name.String())
}

func readMessage(c net.Conn, network string) ([]byte, error) {
	if network == "udp" {
		b := make([]byte, 1232)
		n, err := c.Read(b)
		return b[:n], err
	}
	var size [2]byte
	if _, err := io.ReadFull(c, size[:]); err != nil {
		return nil, err
	}
	b := make([]byte, binary.BigEndian.Uint16(size[:]))
	_, err := io.ReadFull(c, b)
	return b, err
}

// readAnswer follows the CNAMEs of a reply to its addresses.
func readAnswer(m *dnsmessage.Message, q dnsmessage.Question, name string, server netip.Addr) ([]netip.Addr, error) {
	fail := &net.DNSError{Name: name, Server: net.JoinHostPort(server.String(), "53")}
	switch {
	case m.RCode == dnsmessage.RCodeNameError:
		fail.Err, fail.IsNotFound = "no such host", true
		return nil, fail
	case m.RCode != dnsmessage.RCodeSuccess:
		fail.Err, fail.IsTemporary = "server misbehaving", true
		return nil, fail
	}
	var addrs []netip.Addr
	at := strings.ToLower(q.Name.String())
	for range len(m.Answers) + 1 {
		next := ""
		for _, a := range m.Answers {
			if strings.ToLower(a.Header.Name.String()) != at {
				continue
			}
			switch body := a.Body.(type) {
			case *dnsmessage.AResource:
				addrs = append(addrs, netip.AddrFrom4(body.A))
			case *dnsmessage.CNAMEResource:
				next = strings.ToLower(body.CNAME.String())
			}
		}
		if len(addrs) > 0 {
			return addrs, nil
		}
		if next == "" {
			break
		}
		at = next
	}
	fail.Err, fail.IsNotFound = "no such host", true
	return nil, fail
}
