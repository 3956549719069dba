package netfake

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/netip"
	"slices"
	"sync"
	"syscall"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

// The stub resolver's patience with one server, and how often it goes round them all:
// the defaults of resolv.conf(5), which net has too.
const (
	resolveTimeout  = 5 * time.Second
	resolveAttempts = 2
)

// largestAnswer is how much of a datagram net accepts: DNS flag day 2020.
const largestAnswer = 1232

// What net says of servers.
var (
	errMisbehaving      = errors.New("server misbehaving")
	errLameReferral     = errors.New("lame referral")
	errInvalidAnswer    = errors.New("invalid DNS response")
	errUnreadableAnswer = errors.New("cannot unmarshal DNS message")
	errNameError        = errors.New("no such host") // RFC 1035, 4.1.1: RCODE 3
	errNoResolver       = errors.New("the host has no resolver: see Host.SetResolvers")
	errServerFailure    = servfailError{}
)

// servfailError is errMisbehaving of a server that may do better later.
type servfailError struct{}

func (servfailError) Error() string   { return errMisbehaving.Error() }
func (servfailError) Temporary() bool { return true }
func (servfailError) Timeout() bool   { return false }

// stubLookup asks the host's resolvers for a name's addresses.
func (h *Host) stubLookup(ctx context.Context, network, name string) ([]netip.Addr, error) {
	types := []dnsmessage.Type{dnsmessage.TypeA, dnsmessage.TypeAAAA}
	switch network {
	case "ip4":
		types = types[:1]
	case "ip6":
		types = types[1:]
	}
	if isDomainName(name) && len(h.searchList().complete(name)) == 0 {
		return nil, nil // net finds no address, and no fault
	}
	findings, err := h.askAll(ctx, name, types)
	if err != nil {
		return nil, err
	}
	var addrs []netip.Addr
	for _, f := range findings {
		addrs = append(addrs, f.addrs()...)
	}
	if len(addrs) == 0 {
		return nil, errorOf(findings)
	}
	h.sortByRFC6724(addrs)
	return addrs, nil
}

// finding is what became of one question.
type finding struct {
	asIs    bool // the question was for the name that the caller wrote, and not for a longer one
	records []dnsmessage.Resource
	server  string
	err     *net.DNSError
	at      time.Duration
}

// addrs returns the addresses in a finding. As net does, it trusts the resolver that all
// of them belong to the name: the records between are its CNAMEs.
func (f finding) addrs() []netip.Addr {
	var addrs []netip.Addr
	for _, r := range f.records {
		switch body := r.Body.(type) {
		case *dnsmessage.AResource:
			addrs = append(addrs, netip.AddrFrom4(body.A))
		case *dnsmessage.AAAAResource:
			addrs = append(addrs, netip.AddrFrom16(body.AAAA).Unmap())
		}
	}
	return addrs
}

// errorOf returns why no question was answered, which is net's way: what was told last of
// the name as the caller wrote it without a dot at its end, or else what was told first.
func errorOf(findings []finding) error {
	var last *net.DNSError
	for _, f := range findings {
		if f.err != nil && (last == nil || f.asIs) {
			last = f.err
		}
	}
	if last == nil {
		return nil
	}
	return last
}

// askAll asks for records of several types at once, under one name after another until one
// of them has some. There is a finding for each question.
func (h *Host) askAll(ctx context.Context, name string, types []dnsmessage.Type) ([]finding, error) {
	needContext(ctx)
	searches, err := h.searches(name)
	if err != nil {
		return nil, err
	}
	var all []finding
	for _, s := range searches {
		findings, err := s.askAll(ctx, types)
		if err != nil {
			return nil, err
		}
		all = append(all, findings...)
		if slices.ContainsFunc(findings, func(f finding) bool { return f.err == nil }) {
			break
		}
	}
	return all, nil
}

// askAll asks for records of several types at once. There is a finding for each, in the
// order of the time at which they came, or of types where they came together.
func (s *search) askAll(ctx context.Context, types []dnsmessage.Type) ([]finding, error) {
	findings := make([]finding, len(types))
	var others sync.WaitGroup
	for i, t := range types[1:] {
		others.Go(func() { findings[i+1] = s.ask(ctx, t) })
	}
	findings[0] = s.ask(ctx, types[0])
	others.Wait()
	failed := slices.ContainsFunc(findings, func(f finding) bool { return f.err != nil })
	if err := ended(ctx); err != nil && failed {
		return nil, dnsError(contextError(err), s.name, "")
	}
	slices.SortStableFunc(findings, func(a, b finding) int { return cmp.Compare(a.at, b.at) })
	return findings, nil
}

// ended returns why a context is over, nil if it is not. At the instant of its deadline it
// is, whether or not its own timer has gone off before that of the socket which waits.
func ended(ctx context.Context) error {
	if at, ok := ctx.Deadline(); ok && ctx.Err() == nil && !time.Now().Before(at) {
		return context.DeadlineExceeded
	}
	return ctx.Err()
}

// search asks a host's resolvers for one absolute name.
type search struct {
	host    *Host
	name    string // as the caller wrote it
	fqdn    dnsmessage.Name
	servers []netip.Addr
}

// ask asks server after server, as often as there are attempts, until one says what
// there is or that there is nothing.
func (s *search) ask(ctx context.Context, t dnsmessage.Type) (f finding) {
	defer func() { f.at, f.asIs = s.host.world.Now(), s.fqdn.String() == s.name+"." }()
	for attempt := range resolveAttempts {
		for i, server := range s.servers {
			q := &query{search: s, server: netip.AddrPortFrom(server, 53), typ: t, try: uint64(attempt*len(s.servers) + i)}
			f = q.do(ctx)
			if f.err == nil || f.err.IsNotFound || ended(ctx) != nil {
				return f
			}
		}
	}
	return f
}

// query is one question to one server.
type query struct {
	*search
	server netip.AddrPort
	typ    dnsmessage.Type
	try    uint64
	id     uint16
}

// do sends the query over UDP and, if the answer was cut, over TCP, and judges the answer.
func (q *query) do(ctx context.Context) finding {
	f := finding{server: q.server.String()}
	var err error
	if f.records, err = q.exchange(ctx); err == nil {
		return f
	}
	if err == errNameError {
		f.err = noSuchHost(q.name, f.server)
		return f
	}
	f.err = dnsError(err, q.name, f.server)
	if _, ok := err.(*net.OpError); ok {
		f.err.IsTemporary = true
	}
	return f
}

func (q *query) exchange(ctx context.Context) ([]dnsmessage.Resource, error) {
	key := q.key()
	q.id = uint16(key)
	b, err := q.pack()
	if err != nil {
		return nil, err
	}
	a, err := q.over(ctx, "udp", b, key)
	if err == nil && a.header.Truncated {
		a, err = q.over(ctx, "tcp", b, mix(key, 1))
	}
	if err != nil {
		return nil, err
	}
	return a.judge(q.typ)
}

// key is where the query's number and ports come from. Those of two questions that are
// asked at once do not depend on which goroutine is faster.
func (q *query) key() uint64 {
	h := q.host
	key := mix(mix(h.world.seed, h.key), hashString(q.fqdn.String()+" "+q.typ.String()+" "+q.server.String()))
	return mix(mix(key, uint64(h.world.Now())), q.try)
}

func (q *query) question() dnsmessage.Question {
	return dnsmessage.Question{Name: q.fqdn, Type: q.typ, Class: dnsmessage.ClassINET}
}

// pack builds the message, with EDNS (RFC 6891).
func (q *query) pack() ([]byte, error) {
	b := dnsmessage.NewBuilder(nil, dnsmessage.Header{ID: q.id, RecursionDesired: true})
	var opt dnsmessage.ResourceHeader
	err := errors.Join(
		b.StartQuestions(), b.Question(q.question()), b.StartAdditionals(),
		opt.SetEDNS0(largestAnswer, dnsmessage.RCodeSuccess, false),
	)
	if err == nil {
		err = b.OPTResource(opt, dnsmessage.OPTResource{})
	}
	if err != nil {
		return nil, err
	}
	return b.Finish()
}

// over sends the message and waits for the one that answers it.
func (q *query) over(ctx context.Context, network string, b []byte, key uint64) (*answer, error) {
	ctx, cancel := context.WithTimeout(ctx, resolveTimeout)
	defer cancel()
	c, err := q.dial(ctx, network, key)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	deadline, _ := ctx.Deadline()
	c.SetDeadline(deadline)
	stop := context.AfterFunc(ctx, func() { c.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	if network == "tcp" {
		return q.stream(c, b)
	}
	return q.datagrams(c, b)
}

// dial opens a socket at a port that comes from key, or at the next that is free: of each
// three one for A, one for AAAA and one for the other types, so that those that are asked
// for at once do not take each other's.
func (q *query) dial(ctx context.Context, network string, key uint64) (net.Conn, error) {
	const tries = 16
	ports := q.host.ephemeralPorts()
	third := max(uint64(ports.len())/3, 1)
	var c net.Conn
	var err error
	for i := range uint64(tries) {
		port := ports.first + uint16((key>>16+i)%third)*3
		switch q.typ {
		case dnsmessage.TypeA:
		case dnsmessage.TypeAAAA:
			port++
		default:
			port += 2
		}
		d := Dialer{Host: q.host, LocalAddr: netip.AddrPortFrom(netip.Addr{}, min(port, ports.last)), quiet: true}
		c, err = d.DialContext(ctx, network, q.server.String())
		if !errors.Is(err, syscall.EADDRINUSE) && !errors.Is(err, syscall.EADDRNOTAVAIL) {
			break
		}
	}
	var op *net.OpError
	if errors.As(err, &op) {
		op.Source = nil // which the caller did not choose
	}
	return c, err
}

// datagrams waits for the answer and overlooks what is none: it may be forged.
func (q *query) datagrams(c net.Conn, b []byte) (*answer, error) {
	if _, err := c.Write(b); err != nil {
		return nil, err
	}
	in := make([]byte, largestAnswer)
	for {
		n, err := c.Read(in)
		if err != nil {
			return nil, err
		}
		if a, err := q.read(in[:n]); err == nil {
			return a, a.alone()
		}
	}
}

// stream reads one message, which must be the answer.
func (q *query) stream(c net.Conn, b []byte) (*answer, error) {
	if _, err := c.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(b))), b...)); err != nil {
		return nil, err
	}
	var size [2]byte
	if _, err := io.ReadFull(c, size[:]); err != nil {
		return nil, err
	}
	in := make([]byte, binary.BigEndian.Uint16(size[:]))
	if _, err := io.ReadFull(c, in); err != nil {
		return nil, err
	}
	a, err := q.read(in)
	if err != nil {
		return nil, err
	}
	return a, a.alone()
}
