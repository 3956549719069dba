package dnsfake

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/netspec-go/netspec/netfake"
)

// 512 bytes without EDNS0; with it what the asker takes, up to 4096.
func TestServerTruncates(t *testing.T) {
	s := &nameServer{}
	z := &zone{apex: "example.com."}
	d := testZone(t)
	set, err := Record{Name: "www.example.com", TTL: time.Minute, Values: manyAddrs(256)}.compile()
	if err != nil {
		t.Fatal(err)
	}
	sets, _ := d.creating(set)
	z.data.Store(buildZone("example.com.", sets))
	s.add(z)
	for _, test := range []struct {
		via      transport
		size     uint16 // 0 is no EDNS0
		most     int
		complete bool
	}{
		{datagram, 0, 512, false},
		{datagram, 100, 512, false},
		{datagram, 1232, 1232, false},
		{datagram, 4096, 4096, false},
		{datagram, 65535, 4096, false},
		{stream, 0, 65535, true},
	} {
		m, size := ask(t, s, test.via, func(m *dns.Msg) {
			if test.size > 0 {
				m.SetEdns0(test.size, false)
			}
		})
		if size > test.most || size < test.most/2 && !test.complete || m.Truncated == test.complete || (len(m.Answer) == 256) != test.complete {
			t.Errorf("EDNS0 size %d: %d bytes, %d answers, truncated %v", test.size, size, len(m.Answer), m.Truncated)
		}
	}
}

func manyAddrs(n int) []string {
	var out []string
	for i := range n {
		out = append(out, fmt.Sprintf("192.0.2.%d", i))
	}
	return out
}

func TestLargeAnswerByUDP(t *testing.T) { instant(t, testLargeAnswerByUDP) }

// What an asker takes with EDNS0 comes in fragments if it exceeds a packet, and not at all if
// a firewall on the way drops those.
func testLargeAnswerByUDP(t *testing.T, w *netfake.World, sys *System) {
	zone, client, _ := shop(w, sys)
	var many []netip.Addr
	for _, a := range manyAddrs(200) {
		many = append(many, addr(a))
	}
	zone.A("many.example.com", time.Minute, many...)
	server := zone.NameServers()[0].Addr
	c, err := client.Dial("udp", netip.AddrPortFrom(server, 53).String())
	if err != nil {
		t.Fatal(err)
	}
	ask := func() (*dns.Msg, error) {
		m := new(dns.Msg).SetQuestion("many.example.com.", dns.TypeA)
		m.SetEdns0(4096, false)
		c.SetDeadline(time.Now().Add(time.Second))
		conn := &dns.Conn{Conn: c, UDPSize: 4096}
		if err := conn.WriteMsg(m); err != nil {
			return nil, err
		}
		return conn.ReadMsg()
	}
	m, err := ask()
	if err != nil || len(m.Answer) != 200 || m.Truncated {
		t.Fatalf("%v, %v", m, err)
	}
	if s := client.FragmentStats(); s.Received != 3 || s.Joined != 1 {
		t.Errorf("%+v, want one answer in 3 fragments", s)
	}
	filter := client.Uplink().Link().Insert(noFragments{})
	if m, err := ask(); err == nil {
		t.Errorf("an answer without its fragments: %v", m)
	}
	filter()
}

// noFragments is a firewall that drops all fragments, as some do.
type noFragments struct{}

func (noFragments) String() string { return "no fragments" }

func (n noFragments) Step(p *netfake.Packet) netfake.Next {
	if p.IsFragment() {
		return p.Drop(netfake.Hop{Place: "link", By: n, Rule: "a fragment"})
	}
	return p.Onward()
}
