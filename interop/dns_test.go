// miekg/dns is what most DNS software in Go is built on; its client takes a connection
// and its server a listener and a packet connection. The tests ask over UDP and TCP,
// transfer a zone, let netspec's own stub resolver ask a server of miekg's, and wait
// for one that is unreachable.

package interop_test

import (
	"errors"
	"net"
	"os"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/netspec-go/netspec/assert"
	"github.com/netspec-go/netspec/netfake"
)

// newNameServer builds a pair whose server answers for example.com, over UDP and TCP.
func newNameServer(t *testing.T, w *netfake.World) pair {
	t.Helper()
	p := newPair(w, "all")
	packets, err := p.server.ListenPacket("udp", ":53")
	must(t, err)
	for _, s := range []*dns.Server{{PacketConn: packets}, {Listener: p.listen(t, ":53")}} {
		s.Handler = dns.HandlerFunc(answer)
		started := make(chan struct{})
		s.NotifyStartedFunc = func() { close(started) }
		go s.ActivateAndServe()
		<-started
		t.Cleanup(func() { s.Shutdown() })
	}
	return p
}

// answer answers A queries with one address, and those for many.example.com with two
// hundred, which need TCP. It lets anybody transfer the zone.
func answer(rw dns.ResponseWriter, q *dns.Msg) {
	name := q.Question[0].Name
	m := new(dns.Msg).SetReply(q)
	switch {
	case q.Question[0].Qtype == dns.TypeAXFR:
		m.Answer = append([]dns.RR{soa()}, addresses("many.example.com.", 200)...)
		m.Answer = append(m.Answer, soa())
	case q.Question[0].Qtype != dns.TypeA:
		m.Ns = []dns.RR{soa()}
	case name == "many.example.com.":
		m.Answer = addresses(name, 200)
	default:
		m.Answer = addresses(name, 1)
	}
	if rw.LocalAddr().Network() == "udp" {
		m.Truncate(dns.MinMsgSize)
	}
	rw.WriteMsg(m)
}

func soa() dns.RR {
	return &dns.SOA{
		Hdr: header("example.com.", dns.TypeSOA), Ns: "ns.example.com.", Mbox: "hostmaster.example.com.",
		Serial: 1, Refresh: 60, Retry: 60, Expire: 60, Minttl: 60,
	}
}

func addresses(name string, n int) (all []dns.RR) {
	for i := range n {
		all = append(all, &dns.A{Hdr: header(name, dns.TypeA), A: net.IPv4(203, 0, 113, byte(i+1))})
	}
	return all
}

func header(name string, kind uint16) dns.RR_Header {
	return dns.RR_Header{Name: name, Rrtype: kind, Class: dns.ClassINET, Ttl: 60}
}

// ask asks the pair's server for the addresses of name from a new socket.
func ask(t *testing.T, p pair, network, name string, timeout time.Duration) (*dns.Msg, time.Duration, error) {
	t.Helper()
	c, err := p.client.DialContext(t.Context(), network, p.address("53"))
	must(t, err)
	defer c.Close()
	client := &dns.Client{Net: network, Timeout: timeout}
	return client.ExchangeWithConn(new(dns.Msg).SetQuestion(name, dns.TypeA), &dns.Conn{Conn: c})
}

func TestDNSQuery(t *testing.T) { netfake.Run(t, testDNSQuery) }

func testDNSQuery(t *testing.T, w *netfake.World) {
	p := newNameServer(t, w)
	m, d, err := ask(t, p, "udp", "www.example.com.", time.Second)
	must(t, err)
	assert.Equal(t, m.Answer[0].(*dns.A).A.String(), "203.0.113.1")
	assert.Equal(t, d, rtt)
}

// What does not fit a datagram is cut there, and whole over TCP.
func TestDNSTruncation(t *testing.T) { netfake.Run(t, testDNSTruncation) }

func testDNSTruncation(t *testing.T, w *netfake.World) {
	p := newNameServer(t, w)
	m, _, err := ask(t, p, "udp", "many.example.com.", time.Second)
	must(t, err)
	assert.Equal(t, m.Truncated, true)
	start := w.Now()
	m, _, err = ask(t, p, "tcp", "many.example.com.", time.Second)
	must(t, err)
	assert.Equal(t, m.Truncated, false)
	assert.Equal(t, len(m.Answer), 200)
	took(t, "a query over TCP", w, start, 2*rtt)
}

func TestDNSZoneTransfer(t *testing.T) { netfake.Run(t, testDNSZoneTransfer) }

func testDNSZoneTransfer(t *testing.T, w *netfake.World) {
	p := newNameServer(t, w)
	c, err := p.client.DialContext(t.Context(), "tcp", p.address("53"))
	must(t, err)
	transfer := &dns.Transfer{Conn: &dns.Conn{Conn: c}}
	envelopes, err := transfer.In(new(dns.Msg).SetAxfr("example.com."), "")
	must(t, err)
	var records int
	for e := range envelopes {
		must(t, e.Error)
		records += len(e.RR)
	}
	assert.Equal(t, records, 202)
}

// A host's stub resolver and a server that was written by others understand each
// other, over TCP too where the answer was cut.
func TestDNSStubResolver(t *testing.T) { netfake.Run(t, testDNSStubResolver) }

func testDNSStubResolver(t *testing.T, w *netfake.World) {
	p := newNameServer(t, w)
	p.client.SetResolvers(p.server.Addr())
	for name, want := range map[string]int{"www.example.com": 1, "many.example.com": 200} {
		addrs, err := p.client.LookupNetIP(t.Context(), "ip4", name)
		must(t, err)
		assert.Equal(t, len(addrs), want)
	}
}

func TestDNSTimeout(t *testing.T) { netfake.Run(t, testDNSTimeout) }

func testDNSTimeout(t *testing.T, w *netfake.World) {
	p := newNameServer(t, w)
	undo := p.link.Partition()
	start := w.Now()
	if _, _, err := ask(t, p, "udp", "www.example.com.", 2*time.Second); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("got %v, want a deadline that is exceeded", err)
	}
	took(t, "the timeout", w, start, 2*time.Second)
	assert.Bit(t, p.link)

	undo.Undo()
	_, _, err := ask(t, p, "udp", "www.example.com.", 2*time.Second)
	must(t, err)
}
