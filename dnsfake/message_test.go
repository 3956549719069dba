package dnsfake

import (
	"fmt"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// 512 bytes without EDNS0; with it what the asker takes, up to what a packet does.
func TestServerTruncates(t *testing.T) {
	s := &nameServer{}
	z := &zone{apex: "example.com."}
	d := testZone(t)
	set, err := Record{Name: "www.example.com", TTL: time.Minute, Values: manyAddrs(250)}.compile()
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
		{datagram, 4096, maxDatagram, false},
		{datagram, 65535, maxDatagram, false},
		{stream, 0, 65535, true},
	} {
		m, size := ask(t, s, test.via, func(m *dns.Msg) {
			if test.size > 0 {
				m.SetEdns0(test.size, false)
			}
		})
		if size > test.most || size < test.most/2 && !test.complete || m.Truncated == test.complete || (len(m.Answer) == 250) != test.complete {
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
