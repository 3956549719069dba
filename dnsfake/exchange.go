package dnsfake

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"syscall"
	"time"

	"github.com/miekg/dns"
	"github.com/netspec-go/netspec/netfake"
)

// ExchangeTimeout is how long a resolver waits for one server's answer before it asks
// the next.
const ExchangeTimeout = 2 * time.Second

// askerSize is the largest answer by UDP that a resolver asks for: it fits into every
// path's packets (DNS flag day 2020).
const askerSize = 1232

// asker asks from a host, and from a port that it was given. Concurrent questions to
// one server would otherwise get their ports in the order in which goroutines run,
// which no two runs share.
type asker struct {
	host *netfake.Host
	key  uint64
}

// exchange asks one server by UDP, and by TCP if the answer was cut. Whatever comes
// that is not the answer to this very question is passed over.
func (a asker) exchange(ctx context.Context, server netip.Addr, query *dns.Msg) (m *dns.Msg, overTCP bool, err error) {
	m, err = a.exchangeUDP(ctx, server, query)
	if err != nil || !m.Truncated {
		return m, false, err
	}
	m, err = a.exchangeTCP(ctx, server, query)
	return m, true, err
}

func (a asker) exchangeUDP(ctx context.Context, server netip.Addr, query *dns.Msg) (*dns.Msg, error) {
	conn, done, err := a.open(ctx, "udp", server)
	if err != nil {
		return nil, err
	}
	defer done()
	b, err := query.Pack()
	if err != nil {
		return nil, fmt.Errorf("dnsfake: question %s: %w", query.Question[0].Name, err)
	}
	if _, err := conn.Write(b); err != nil {
		return nil, err
	}
	buf := make([]byte, dns.MaxMsgSize)
	for {
		n, err := conn.Read(buf)
		if err != nil {
			return nil, err
		}
		if m := answerTo(query, buf[:n]); m != nil {
			return m, nil
		}
	}
}

func (a asker) exchangeTCP(ctx context.Context, server netip.Addr, query *dns.Msg) (*dns.Msg, error) {
	conn, done, err := a.open(ctx, "tcp", server)
	if err != nil {
		return nil, err
	}
	defer done()
	b, err := query.Pack()
	if err != nil {
		return nil, fmt.Errorf("dnsfake: question %s: %w", query.Question[0].Name, err)
	}
	if err := writeFrame(conn, b); err != nil {
		return nil, err
	}
	in, err := readFrame(conn)
	if err != nil {
		return nil, err
	}
	m := answerTo(query, in)
	if m == nil {
		return nil, fmt.Errorf("dnsfake: %v: the answer is to another question", server)
	}
	return m, nil
}

// open connects to a server's port 53 for one exchange: it ends with ctx or when
// ExchangeTimeout is over.
func (a asker) open(ctx context.Context, network string, server netip.Addr) (conn net.Conn, done func(), err error) {
	until := time.Now().Add(ExchangeTimeout)
	dialling, cancel := context.WithDeadline(ctx, until)
	defer cancel()
	conn, err = a.dial(dialling, network, netip.AddrPortFrom(server, port).String())
	if err != nil {
		return nil, nil, err
	}
	conn.SetDeadline(until)
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	return conn, func() { stop(); conn.Close() }, nil
}

// dial connects from the asker's port, or if it is taken from the next that is free.
func (a asker) dial(ctx context.Context, network, address string) (net.Conn, error) {
	const first, ports, tries = 32768, 28232, 16 // Linux's net.ipv4.ip_local_port_range
	for i := range uint64(tries) {
		local := netip.AddrPortFrom(netip.Addr{}, uint16(first+(a.key+i)%ports))
		d := netfake.Dialer{Host: a.host, LocalAddr: local}
		conn, err := d.DialContext(ctx, network, address)
		if !errors.Is(err, syscall.EADDRINUSE) {
			return conn, err
		}
	}
	return a.host.DialContext(ctx, network, address)
}

// isOver reports whether ctx has ended, or ends at this very instant: its own timer may
// go off a little later than another one that is due now.
func isOver(ctx context.Context) bool {
	until, ok := ctx.Deadline()
	return ctx.Err() != nil || ok && !time.Now().Before(until)
}

// answerTo returns the message in b if it answers the query: same number, same
// question.
func answerTo(query *dns.Msg, b []byte) *dns.Msg {
	m := new(dns.Msg)
	if m.Unpack(b) != nil || !m.Response || m.Id != query.Id || len(m.Question) != 1 {
		return nil
	}
	asked, got := query.Question[0], m.Question[0]
	if canonical(asked.Name) != canonical(got.Name) || asked.Qtype != got.Qtype || asked.Qclass != got.Qclass {
		return nil
	}
	return m
}

// newQuery returns the message that asks a question. Its number is given, for the
// library's own would be drawn at random.
func newQuery(q question, id uint16) *dns.Msg {
	m := new(dns.Msg)
	m.Id = id
	m.Question = []dns.Question{{Name: q.name, Qtype: q.typ, Qclass: dns.ClassINET}}
	m.SetEdns0(askerSize, false)
	return m
}
